"""Time of a command by stage: what its main thread does, or waits for, is looked up every few milliseconds.

python -m benchmarks.stages times.json match --images a.jp2 b.jp2 --no-show

The command runs as it always does, in this process, so that work in other threads overlaps as it does for users.
"""

import json
import sys
import threading
import time
from pathlib import Path
from types import FrameType

# Seconds between two looks.
_INTERVAL_S = 0.004

START, IMPORTS, WEIGHTS, DECODE = "start", "imports", "weights", "decoding"
BACKBONE, TRANSFORMER, COARSE, FINE = "backbone", "transformer", "coarse matching", "fine matching"
REFINEMENT, FILL, FIT = "refinement", "added points", "model"
RESAMPLING, COMPARISON, SECOND_MATCH = "correction", "before and after", "second match"
FIGURES, OTHER = "figures and files", "other"

# Not a stage: the main thread waits for others, whose stages count.
WAITING = "waiting"

STAGES = (
    *(START, IMPORTS, WEIGHTS, DECODE, BACKBONE, TRANSFORMER, COARSE, FINE, REFINEMENT, FILL, FIT),
    *(RESAMPLING, COMPARISON, SECOND_MATCH, FIGURES, OTHER),
)

# Module, or the beginning of its name, and function; None for all of them. The first that any frame of the stack agrees
# with, from the outermost, decides.
_OUTER = (("s2match.pipeline", "rematch", SECOND_MATCH), ("s2match.correction.evaluation", None, COMPARISON))
# The first that agrees with a frame decides, from the innermost.
_INNER = (
    ("importlib._bootstrap", None, IMPORTS),
    ("s2match.loftr.checkpoints", None, WEIGHTS),
    ("s2match.loftr.backbone", "__init__", WEIGHTS),
    ("s2match.loftr.engine", "__init__", WEIGHTS),
    ("s2match.loftr.engine", "extract", BACKBONE),
    ("s2match.loftr.engine", "_transform", TRANSFORMER),
    ("s2match.loftr.engine", "_coarse_matches", COARSE),
    ("s2match.loftr.engine", None, FINE),
    ("s2match.matching.subpixel", "fill", FILL),
    ("s2match.matching.subpixel", None, REFINEMENT),
    ("s2match.matching.displacement", None, REFINEMENT),
    ("s2match.registration", None, FIT),
    ("s2match.correction", None, RESAMPLING),
    ("s2match.outputs", None, FIGURES),
    ("s2match.io", None, DECODE),
    ("s2match.util.background", None, WAITING),
    ("concurrent.futures", None, WAITING),
)


def stage_of(calls: list[tuple[str, str]]) -> str:
    """Stage of a stack of calls, each a module and a function, from the innermost."""
    for module, function in reversed(calls):
        for beginning, name, stage in _OUTER:
            if module.startswith(beginning) and name in (None, function):
                return stage
    for module, function in calls:
        for beginning, name, stage in _INNER:
            if module.startswith(beginning) and name in (None, function):
                return stage
    return OTHER


def stages_of(main: list[tuple[str, str]], others: list[list[tuple[str, str]]]) -> list[str]:
    """Stages that a command is in, at least one: that of its main thread, or those of the threads that it waits for.

    Args:
        main: Stack of calls of the main thread, see :func:`stage_of`.
        others: Those of the other threads.
    """
    stage = stage_of(main)
    if stage != WAITING:
        return [stage]
    # a thread whose innermost call is one of this module rests
    working = [stage_of(calls) for calls in others if calls[0][0] != "threading"]
    return [each for each in working if each != WAITING] or [OTHER]


class Sampler:
    """Adds up seconds by the stage of a thread, until it is stopped."""

    def __init__(self, thread: int) -> None:
        """Start.

        Args:
            thread: Identifier of the thread.
        """
        self.seconds: dict[str, float] = {}
        self._thread, self._ended = thread, threading.Event()
        self._sampling = threading.Thread(target=self._run, daemon=True)
        self._sampling.start()

    def stop(self) -> None:
        """Stop."""
        self._ended.set()
        self._sampling.join()

    def _run(self) -> None:
        clock = time.perf_counter()
        while not self._ended.wait(_INTERVAL_S):
            stacks = {thread: _calls(frame) for thread, frame in sys._current_frames().items()}
            main = stacks.pop(self._thread, [])
            del stacks[threading.get_ident()]
            stages = stages_of(main, list(stacks.values()))
            clock, before = time.perf_counter(), clock
            for stage in stages:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + (clock - before) / len(stages)


def _calls(frame: FrameType | None) -> list[tuple[str, str]]:
    """Module and function of a frame and of its callers, from the innermost."""
    calls = []
    while frame is not None:
        calls.append((frame.f_globals.get("__name__") or "", frame.f_code.co_name))
        frame = frame.f_back
    return calls


def _peak_gib() -> float:
    """Peak memory of this process, as Linux tells it: that of getrusage begins with the memory of the parent."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def main() -> None:
    """Run a command line, write its times by stage as JSON, and end with its exit code."""
    out, words = Path(sys.argv[1]), sys.argv[2:]
    sampler = Sampler(threading.get_ident())
    from s2match.cli.main import main as run

    code = run(words)
    sampler.stop()
    out.write_text(json.dumps({"seconds": sampler.seconds, "peak_gib": _peak_gib()}))
    sys.exit(code)


if __name__ == "__main__":
    main()
