"""Write the files of a result, and return its summary."""

from matplotlib.figure import Figure

from s2match.correction.evaluation import Improvement
from s2match.outputs.correction_text import correction_lines, warning_line
from s2match.outputs.facts import correction_facts, write_json
from s2match.outputs.figures.matches import plot_matches
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.summary import summary
from s2match.outputs.targets import Outputs
from s2match.result import PairResult
from s2match.tiepoints.formats import write_tie_points
from s2match.tiepoints.points import tie_points_of
from s2match.util.threads import limit_threads


@limit_threads()
def write_outputs(
    result: PairResult, outputs: Outputs, figure: Figure | None = None, improvement: Improvement | None = None
) -> str:
    """Write the files of a result, and return the summary with their names.

    Corrected files are written before, by :func:`s2match.pipeline.correct_and_evaluate`. Without a registration they
    are not written, and the last line is a note about this.

    Args:
        result: The result.
        outputs: The files to write.
        figure: The figure to draw the matches in; None for one that is on no screen.
        improvement: The agreement before and after the correction; None if there was nothing to measure.

    Returns:
        The summary, the agreement before and after a correction, and the files.

    Raises:
        S2MatchError: A file cannot be read or written; see :mod:`s2match.errors`.
    """
    request = outputs.correction if result.registration is not None else None
    save_figure(plot_matches(result, figure), outputs.figure)
    if outputs.tie_points:
        points = tie_points_of(result)
        for path in outputs.tie_points:
            write_tie_points(points, path)
    if outputs.json is not None:
        write_json(result, outputs.json, None if request is None else correction_facts(request, improvement))
    corrected = () if outputs.correction is None else outputs.correction.outputs
    written = [path for path in outputs.files if path not in corrected]
    if outputs.report is not None:
        # only a report needs its templates
        from s2match.outputs.report.writing import write_report

        written.append(write_report(result, outputs.report, outputs.command, improvement))
    lines = [summary(result)]
    if request is not None:
        written += corrected
        lines = [*filter(None, [warning_line(improvement)]), *lines, *correction_lines(result, request, improvement)]
    lines.append(f"{'written':<14}{', '.join(map(str, written))}")
    if corrected and request is None:
        lines.append(f"{'not written':<14}{', '.join(map(str, corrected))}: there is no registration")
    return "\n".join(lines)
