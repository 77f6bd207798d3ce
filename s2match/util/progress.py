"""Progress of a run: its stages, the times that they are expected to take, and a bar that shows them."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from tqdm import tqdm

_BAR = "{desc:<32}{percentage:3.0f} %|{bar}| {elapsed}{postfix}"

# Seconds between two updates of the times that the bar shows.
_TICK_SECONDS = 1.0

# Smallest fraction of a run from which its time is estimated.
_LEAST_FRACTION = 0.01

# Fraction of a run after which a line is written where no bar can be shown.
_LINE_FRACTION = 0.05


class Stage(StrEnum):
    """A stage of a run; the values are what a bar shows."""

    WEIGHTS = "Loading weights"
    READ = "Reading images"
    MATCH = "Matching"
    FIT = "Fitting the model"
    CORRECT = "Correcting"
    COMPARE = "Comparing"
    REMATCH = "Matching again"
    SIBLINGS = "Correcting other files"
    FIGURE = "Drawing the figure"
    TABLES = "Writing tables"
    MODEL = "Writing files of the model"
    ANIMATION = "Drawing the animation"
    REPORT = "Writing the report"
    QUICK_LOOKS = "Looking at images"
    PAIRS = "Matching pairs"
    ADJUST = "Adjusting"
    CHARTS = "Drawing figures"


# Seconds of each stage on two cores: of a pair of the bundled sample, 1098 x 1098 px, with every output, and of the
# sample as a series. Only their ratios count: the bar scales them by the time that has passed.
SECONDS: Mapping[Stage, float] = {
    Stage.WEIGHTS: 1.8,
    Stage.READ: 0.1,
    Stage.MATCH: 7.8,
    Stage.FIT: 0.6,
    Stage.CORRECT: 0.8,
    Stage.COMPARE: 0.4,
    Stage.REMATCH: 8.2,
    Stage.SIBLINGS: 1.0,
    Stage.FIGURE: 1.4,
    Stage.TABLES: 0.5,
    Stage.MODEL: 0.2,
    Stage.ANIMATION: 0.5,
    Stage.REPORT: 5.0,
    Stage.QUICK_LOOKS: 1.5,
    Stage.PAIRS: 100.0,
    Stage.ADJUST: 0.1,
    Stage.CHARTS: 1.9,
}


class Progress:
    """The stages of a run, and the fraction of it that is done, which never falls."""

    def __init__(self, stages: Iterable[Stage] = (), report: Callable[[str, float], None] | None = None) -> None:
        """Begin a run.

        Args:
            stages: The stages of the run, in order. A stage that is left out, and one that is not listed, take no time.
            report: Called with what is done now and the fraction of the run that is done, 0 to 1; None: nobody is told.
        """
        self._seconds = {stage: SECONDS[stage] for stage in stages}
        self._report = report
        self._stage: Stage | None = None
        self._detail = ""
        self._done = 0.0

    def expect(self, stage: Stage, seconds: float) -> None:
        """Set the time that a stage of the run is expected to take."""
        if stage in self._seconds:
            self._seconds[stage] = seconds

    def begin(self, stage: Stage, detail: str = "") -> None:
        """Begin a stage; those before it are done.

        Args:
            stage: The stage.
            detail: Words that follow its name, such as "on cpu".
        """
        self._stage = stage
        self.advance(0.0, detail)

    def advance(self, fraction: float, detail: str | None = None) -> None:
        """Report the fraction of the stage that is done, 0 to 1.

        Args:
            fraction: The fraction.
            detail: Words that follow the name of the stage; None for those before.
        """
        self._detail = self._detail if detail is None else detail
        stages = list(self._seconds)
        if self._stage in self._seconds:
            before = stages[: stages.index(self._stage)]
            seconds = sum(self._seconds[stage] for stage in before) + fraction * self._seconds[self._stage]
            self._done = max(self._done, seconds / sum(self._seconds.values()))
        self._tell(" ".join(filter(None, [str(self._stage or ""), self._detail])))

    def end(self) -> None:
        """Report that the run is done."""
        self._done = 1.0
        self._tell("Done")

    def _tell(self, text: str) -> None:
        if self._report is not None:
            self._report(text, self._done)


@contextmanager
def progress_bar(stages: Iterable[Stage], show: bool = True, lines: bool = False) -> Iterator[Progress]:
    """Progress of a run, with a bar on standard error within the block.

    The bar names the stage, and shows the time that has passed and that is left.

    Args:
        stages: The stages of the run, in order.
        show: Whether to show the bar, where standard error is a terminal or a notebook.
        lines: Whether to write a line for every 5 % of the run instead, where it is neither.
    """
    # None: shown on a terminal
    hidden = (False if _in_notebook() else None) if show else True
    with tqdm(total=1.0, bar_format=_BAR, leave=False, disable=hidden) as bar:
        if bar.disable:
            yield Progress(stages, _line_writer() if show and lines else None)
            return
        clock = _Clock()

        def report(text: str, fraction: float) -> None:
            clock.update(fraction)
            bar.set_description_str(text, refresh=False)
            bar.n = fraction
            bar.set_postfix_str(clock.text)

        with _ticking(lambda: bar.set_postfix_str(clock.text)):
            progress = Progress(stages, report)
            yield progress
            progress.end()


def _line_writer() -> Callable[[str, float], None]:
    """Function that writes a line with the stage and the times, at most one for every 5 % of a run."""
    clock, written = _Clock(), -1.0

    def report(text: str, fraction: float) -> None:
        nonlocal written
        clock.update(fraction)
        if fraction < written + _LINE_FRACTION:
            return
        written = fraction
        times = filter(None, [f"{clock.passed} passed", clock.text])
        print(f"{fraction:4.0%}  {text}  ({', '.join(times)})", file=sys.stderr, flush=True)

    return report


def _in_notebook() -> bool:
    """Whether the code runs in a cell of a notebook."""
    # who has a shell of IPython has imported it
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _Clock:
    """The time that is left of a run, by the time that the part that is done took."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._total: float | None = None
        self._fraction = 0.0

    def update(self, fraction: float) -> None:
        """Take the fraction of the run that is done."""
        if fraction > self._fraction and fraction >= _LEAST_FRACTION:
            self._fraction = fraction
            self._total = (time.monotonic() - self._begun) / fraction

    @property
    def passed(self) -> str:
        """The time that has passed, such as "00:12"."""
        return str(tqdm.format_interval(time.monotonic() - self._begun))

    @property
    def text(self) -> str:
        """The time that is left, such as "00:12 left"; empty while it is unknown."""
        if self._total is None:
            return ""
        left = self._total - (time.monotonic() - self._begun)
        return f"{tqdm.format_interval(max(0.0, left))} left"


@contextmanager
def _ticking(tick: Callable[[], object]) -> Iterator[None]:
    """Call a function every second within the block, in another thread."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(_TICK_SECONDS):
            tick()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
