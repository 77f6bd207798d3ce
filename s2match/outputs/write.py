"""Write the files of a result, and return its summary."""

from pathlib import Path

from matplotlib.figure import Figure

from s2match.correction.decision import CorrectionOutcome
from s2match.outputs.correction_text import correction_lines, not_written_line, warning_line
from s2match.outputs.facts import correction_facts, write_json
from s2match.outputs.figures.matches import plot_matches
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.summary import summary
from s2match.outputs.targets import Outputs
from s2match.result import PairResult
from s2match.tiepoints.formats import write_tie_points
from s2match.tiepoints.points import tie_points_of
from s2match.util.progress import Progress, Stage
from s2match.util.threads import limit_threads


@limit_threads()
def write_outputs(
    result: PairResult,
    outputs: Outputs,
    figure: Figure | None = None,
    outcome: CorrectionOutcome | None = None,
    progress: Progress | None = None,
) -> str:
    """Write the files of a result, and return the summary with their names.

    Corrected files are written before, by :func:`s2match.pipeline.correct_and_evaluate`. If they were not written, the
    last line gives the reason.

    Args:
        result: The result.
        outputs: The files to write.
        figure: The figure to draw the matches in; None for one that is on no screen.
        outcome: The outcome of the correction; None without one.
        progress: Is told the stages; None for nobody.

    Returns:
        The summary, the agreement before and after a correction, and the files.

    Raises:
        S2MatchError: A file cannot be read or written; see :mod:`s2match.errors`.
    """
    progress = progress or Progress()
    if outputs.figure is not None or figure is not None:
        progress.begin(Stage.FIGURE)
        drawn = plot_matches(result, figure)
        if outputs.figure is not None:
            save_figure(drawn, outputs.figure)
    _write_tables(result, outputs, outcome, progress)
    request = outputs.correction
    missing = (*_write_model_files(result, outputs, progress), *_write_animation(result, outputs, progress))
    corrected = () if request is None else request.outputs
    written = [path for path in outputs.files if path not in (*corrected, *missing)]
    kept = corrected if outcome is not None and outcome.decision.kept else ()
    if outputs.report is not None:
        # only a report needs its templates
        from s2match.outputs.report.run import Run
        from s2match.outputs.report.writing import write_report

        run = Run(outputs.command, (*written, *kept))
        written.append(write_report(result, outputs.report, run, outcome, progress))
    written += kept
    lines = [summary(result)]
    if request is not None and outcome is not None:
        lines = [*filter(None, [warning_line(outcome)]), *lines, *correction_lines(request, outcome)]
    if written:
        lines.append(f"{'written':<14}{', '.join(map(str, written))}")
    if missing:
        lines.append(f"{'not written':<14}{', '.join(map(str, missing))}: there is no registration")
    if request is not None and outcome is not None:
        lines += filter(None, [not_written_line(request, outcome)])
    return "\n".join(lines)


def _write_tables(result: PairResult, outputs: Outputs, outcome: CorrectionOutcome | None, progress: Progress) -> None:
    """Write the tie points and the JSON."""
    request = outputs.correction
    if Stage.TABLES in outputs.stages:
        progress.begin(Stage.TABLES)
    if outputs.tie_points:
        points = tie_points_of(result)
        for path in outputs.tie_points:
            write_tie_points(points, path)
    if outputs.json is not None:
        more = {} if request is None or outcome is None else correction_facts(request, outcome)
        options = {"options": dict(outputs.options)} if outputs.options else {}
        write_json(result, outputs.json, more | options)


def _write_model_files(result: PairResult, outputs: Outputs, progress: Progress) -> tuple[Path, ...]:
    """Write the files of the model, and return those that are missing because there is no model."""
    if outputs.model_files is None:
        return ()
    if result.file_model is None:
        return outputs.model_files.paths
    if Stage.MODEL in outputs.stages:
        progress.begin(Stage.MODEL)
    outputs.model_files.write(result.file_model, result.file_model.target)
    return ()


def _write_animation(result: PairResult, outputs: Outputs, progress: Progress) -> tuple[Path, ...]:
    """Write the animation of the pair, and return it if it is missing because there is no model."""
    if outputs.blink is None:
        return ()
    if result.registration is None:
        return (outputs.blink,)
    progress.begin(Stage.ANIMATION)
    from s2match.outputs.figures.blink import write_blink
    from s2match.outputs.figures.blink_pair import pair_frames

    write_blink(pair_frames(result), outputs.blink)
    return ()
