"""Write a report: one page that works from a file without a network, and its figures beside it."""

import logging
from pathlib import Path

from s2match.correction.decision import CorrectionOutcome
from s2match.errors import OutputError
from s2match.outputs.figures.charts import Chart, charts, match_chart
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.report import embedding
from s2match.outputs.report.names import FIGURES, PAGE, figure_file
from s2match.outputs.report.page import EmbeddedFigure, render_page
from s2match.outputs.report.run import Run, link_to
from s2match.result import PairResult
from s2match.util.atomic_write import atomic_write
from s2match.util.progress import Progress, Stage
from s2match.util.threads import limit_threads

_LOG = logging.getLogger(__name__)


@limit_threads()
def write_report(
    result: PairResult,
    directory: str | Path,
    run: Run | None = None,
    outcome: CorrectionOutcome | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write ``index.html``, which needs no other file, and every figure as a PNG.

    Figures of an earlier report in the folder that this result does not have are removed.

    Args:
        result: The result.
        directory: Folder to write to; created if it is missing.
        run: The command that made the result, the files that it wrote and the time; None for now and no command.
        outcome: The outcome of its correction; None without one.
        progress: Is told the stage; None for nobody.

    Returns:
        Path of the page.

    Raises:
        OutputError: The folder or a file in it cannot be written.
    """
    directory = Path(directory)
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {directory}: {error.strerror}.") from error
    improvement = None if outcome is None else outcome.improvement
    progress = progress or Progress()
    progress.begin(Stage.REPORT)
    figures = [_write_figure(match_chart(result), directory)]
    for chart in charts(result, improvement):
        figures.append(_write_figure(chart, directory))
        progress.advance(len(figures) / (len(FIGURES) + 1))
    for name in set(FIGURES) - {figure.name for figure in figures}:
        figure_file(directory, name).unlink(missing_ok=True)
    run = run or Run()
    files = [link_to(path, directory) for path in run.files]
    page = directory / PAGE
    with atomic_write(page) as partial:
        partial.write_text(render_page(result, figures, outcome, run, files), encoding="utf-8")
    _LOG.info("Wrote %s", page)
    return page


def _write_figure(chart: Chart, directory: Path) -> EmbeddedFigure:
    path = figure_file(directory, chart.name)
    save_figure(chart.figure, path)
    uri, size = embedding.figure(path.read_bytes(), chart.photo)
    return EmbeddedFigure(chart.name, chart.title, chart.caption, uri, size, link_to(path, directory))
