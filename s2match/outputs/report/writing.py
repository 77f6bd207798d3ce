"""Write a report: one page that works from a file without a network, and its figures beside it."""

import logging
import os
from pathlib import Path

from s2match.correction.decision import CorrectionOutcome
from s2match.outputs.figures.charts import Chart, charts, match_chart
from s2match.outputs.figures.saving import encoded
from s2match.outputs.report import embedding
from s2match.outputs.report.names import FIGURES, PAGE, figure_file
from s2match.outputs.report.page import EmbeddedFigure, render_page
from s2match.outputs.report.run import Run, link_to
from s2match.result import PairResult
from s2match.util.atomic_write import write_bytes, write_text
from s2match.util.output_place import writing
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

    Figures of an earlier report in the folder that this result does not have are removed. Other files stay.

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
    with writing(directory):
        # a link may lead to a folder that does not exist
        Path(os.path.realpath(directory)).mkdir(exist_ok=True)
    page = directory / PAGE
    earlier = _figures_of(page)
    improvement = None if outcome is None else outcome.improvement
    progress = progress or Progress()
    progress.begin(Stage.REPORT)
    figures = [_write_figure(match_chart(result), directory)]
    for chart in charts(result, improvement):
        figures.append(_write_figure(chart, directory))
        progress.advance(len(figures) / (len(FIGURES) + 1))
    for name in earlier - {figure.name for figure in figures}:
        figure_file(directory, name).unlink(missing_ok=True)
    run = run or Run()
    files = [link_to(path, directory) for path in run.files]
    write_text(page, render_page(result, figures, outcome, run, files))
    _LOG.info("Wrote %s", page)
    return page


def _figures_of(page: Path) -> set[str]:
    """Names of the figures of an earlier report; a picture of the user may have the name of another."""
    try:
        text = page.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {name for name in FIGURES if f'<figure id="{name}"' in text}


def _write_figure(chart: Chart, directory: Path) -> EmbeddedFigure:
    path = figure_file(directory, chart.name)
    png = encoded(chart.figure, path.suffix)
    write_bytes(path, png)
    uri, size = embedding.figure(png, chart.photo)
    return EmbeddedFigure(chart.name, chart.title, chart.caption, uri, size, link_to(path, directory))
