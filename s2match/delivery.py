"""Write a result to all that it is to be written to, and say in words what it is."""

from functools import partial

from matplotlib.figure import Figure

from s2match.correcting import Order, correct
from s2match.images import Grid
from s2match.improvement import Improvement, measure_improvement
from s2match.improvement_text import correction_facts, correction_lines, warning_line
from s2match.job import create_matcher, match_images
from s2match.matches import Matches
from s2match.outputs import Outputs
from s2match.plotting import plot_matches, save_figure
from s2match.processor import share_processor
from s2match.report.writing import write_report
from s2match.results import PairResult, summary, write_json
from s2match.settings import Settings
from s2match.tiepoint_files import write_tie_points
from s2match.tiepoints import tie_points_of
from s2match.windowed import previews_of


@share_processor()
def deliver(result: PairResult, outputs: Outputs, figure: Figure | None = None) -> str:
    """Write a result, and give the summary with what was written.

    Without a registration nothing is corrected, and the last line says so.

    Args:
        result: The result; its images are grids where something is to be corrected.
        outputs: What to write.
        figure: To draw the matches in; None for one that is on no screen.

    Raises:
        S2MatchError: A file cannot be read or written; see :mod:`s2match.errors`.
    """
    order = outputs.order if result.registration is not None else None
    improvement = None if order is None else _corrected(result, order)
    save_figure(plot_matches(result, figure), outputs.figure)
    if outputs.tie_points:
        points = tie_points_of(result)
        for path in outputs.tie_points:
            write_tie_points(points, path)
    if outputs.json is not None:
        write_json(result, outputs.json, None if order is None else correction_facts(order, improvement))
    written = [path for path in outputs.files if outputs.order is None or path not in outputs.order.outputs]
    if outputs.report is not None:
        written.append(write_report(result, outputs.report, outputs.command, improvement))
    lines = [summary(result)]
    if order is not None:
        written += order.outputs
        warning = warning_line(improvement)
        lines = [*filter(None, [warning]), *lines, *correction_lines(result, order, improvement)]
    lines.append(f"{'written':<14}{', '.join(map(str, written))}")
    if outputs.order is not None and order is None:
        lines.append(f"{'not written':<14}{', '.join(map(str, outputs.order.outputs))}: there is no registration")
    return "\n".join(lines)


def _corrected(result: PairResult, order: Order) -> Improvement | None:
    """Write the corrected files and measure what it brought; None where nothing is known of before."""
    correct(result, order)
    # given points are no matches of a network, and are measured as they are
    rematch = None if result.matches.origin.given else partial(_rematch, result.settings)
    return measure_improvement(result, order.out, rematch)


def _rematch(settings: Settings, reference: Grid, corrected: Grid) -> Matches:
    return match_images(reference, corrected, previews_of(reference, corrected), create_matcher(settings), settings)
