"""Report of a series: one page that needs no other file and no network."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

from s2match.outputs.figures.charts import Chart
from s2match.outputs.figures.saving import as_png
from s2match.outputs.report import embedding
from s2match.outputs.report.environment import environment
from s2match.outputs.report.page import EmbeddedFigure
from s2match.outputs.report.sections import settings_table
from s2match.outputs.series import report_sections as sections
from s2match.outputs.series.charts import series_charts
from s2match.timeseries.result import SeriesResult
from s2match.util.atomic_write import write_text
from s2match.util.threads import limit_threads

_LOG = logging.getLogger(__name__)

_PACKAGE = "s2match.outputs.series"


@limit_threads()
def write_series_report(
    result: SeriesResult, path: str | Path, blink: Path | None = None, command: Sequence[str] = ()
) -> None:
    """Write the report of a series as one HTML file.

    Args:
        result: The series.
        path: The file.
        blink: Animation by :func:`s2match.outputs.figures.blink.write_blink`, which the page contains; None for none.
        command: The words of the command line that made the result.

    Raises:
        OutputError: The file cannot be written.
    """
    page = render_series_page(result, None if blink is None else blink.read_bytes(), command)
    write_text(path, page)
    _LOG.info("Wrote %s", path)


def render_series_page(result: SeriesResult, blink: bytes | None, command: Sequence[str]) -> str:
    """HTML of the page.

    Args:
        result: The series.
        blink: Animated GIF of the series before and after its correction; None for none.
        command: The words of the command line that made the result.
    """
    return (
        environment(_PACKAGE)
        .get_template("report.html")
        .render(
            name=sections.series_name(result),
            counts=sections.counts_text(result),
            header=sections.page_header(result),
            cards=sections.cards(result),
            summary=sections.summary_table(result),
            blink=None if blink is None else embedding.animation(blink),
            figures=[_embedded(chart) for chart in series_charts(result)],
            missing=sections.missing_table(result),
            rejected=sections.rejected_table(result),
            unmeasured=sections.unmeasured_table(result),
            groups=sections.groups_table(result),
            dates=sections.dates_table(result),
            pairs=sections.pairs_table(result),
            reading=sections.reading(result),
            settings=settings_table(result.options.settings),
            options=sections.options_table(result),
            versions=sections.versions_table(),
            command=shlex.join(command),
        )
    )


def _embedded(chart: Chart) -> EmbeddedFigure:
    uri, size = embedding.figure(as_png(chart.figure), chart.photo)
    return EmbeddedFigure(chart.name, chart.title, chart.caption, uri, size)
