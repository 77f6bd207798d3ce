"""A matched pair to its files: the correction, if it is asked for, and everything else that is written."""

from dataclasses import dataclass, replace

from s2match.correction.decision import CorrectionOutcome
from s2match.errors import S2MatchError
from s2match.outputs.screen import screen_figure
from s2match.outputs.targets import Outputs
from s2match.outputs.write import write_outputs
from s2match.pipeline import LoadMatcher, correct_and_evaluate
from s2match.result import PairResult
from s2match.util.progress import Progress


@dataclass(frozen=True)
class WrittenPair:
    """A pair whose files are written.

    Attributes:
        summary: The summary with their names.
        outcome: The outcome of the correction; None without one.
        error: Why the target could not be corrected; the other files are written all the same. None if it was not
            asked for, or ended without an error.
    """

    summary: str
    outcome: CorrectionOutcome | None
    error: S2MatchError | None


def correct_and_write(
    result: PairResult,
    outputs: Outputs,
    load_matcher: LoadMatcher | None,
    progress: Progress,
    on_screen: bool = False,
) -> WrittenPair:
    """Correct a pair, if that is asked for, and write its files.

    Args:
        result: The pair.
        outputs: The files to write, which were checked.
        load_matcher: Returns the matcher to match again with; None for :func:`s2match.pipeline.create_matcher`.
        progress: Is told the stages.
        on_screen: Whether the matches are drawn in a figure that :func:`s2match.outputs.screen.show_screen` shows.

    Raises:
        S2MatchError: A file cannot be written; see :mod:`s2match.errors`.
    """
    outcome, error = None, None
    if outputs.correction is not None:
        try:
            outcome = correct_and_evaluate(result, outputs.correction, load_matcher, progress)
        except S2MatchError as met:
            # the matches are worth keeping
            error, outputs = met, replace(outputs, correction=None)
    figure = screen_figure() if on_screen else None
    return WrittenPair(write_outputs(result, outputs, figure, outcome, progress), outcome, error)
