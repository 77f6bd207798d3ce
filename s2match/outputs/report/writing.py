"""Write a report: one page that works from a file without a network, and its figures beside it."""

import json
import shlex
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from s2match.correction.evaluation import Improvement
from s2match.errors import OutputError
from s2match.outputs.figures.before_after import detail
from s2match.outputs.figures.charts import Chart, charts
from s2match.outputs.figures.saving import save_figure
from s2match.outputs.figures.style import stretched
from s2match.outputs.report import embedding, sections
from s2match.outputs.report.names import FIGURES, PAGE, figure_file
from s2match.outputs.report.points import map_data
from s2match.outputs.report.versions import versions
from s2match.result import PairResult
from s2match.util.atomic_write import atomic_write
from s2match.util.threads import limit_threads

_SCRIPTS = ("viewer.js", "map.js", "swipe.js", "start.js")


@limit_threads()
def write_report(
    result: PairResult, directory: str | Path, command: Sequence[str], improvement: Improvement | None = None
) -> Path:
    """Write ``index.html``, which needs no other file, and every figure as a PNG for talks.

    Figures of an earlier report in the folder that this result does not have are removed.

    Args:
        result: What to report.
        directory: Folder to write to; it is made where it is missing.
        command: What made the result, the words of a command line.
        improvement: The target before and after its correction.

    Returns:
        The page.

    Raises:
        OutputError: The folder or a file in it cannot be written.
    """
    directory = Path(directory)
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {directory}: {error.strerror}.") from error
    figures, written = [], set()
    for chart in charts(result, improvement):
        path = figure_file(directory, chart.name)
        save_figure(chart.figure, path)
        figures.append(_figure(chart, path.read_bytes()))
        written.add(chart.name)
    for name in set(FIGURES) - written:
        figure_file(directory, name).unlink(missing_ok=True)
    page = directory / PAGE
    with atomic_write(page) as partial:
        partial.write_text(_page(result, "".join(figures), command, improvement), encoding="utf-8")
    return page


def _page(result: PairResult, figures: str, command: Sequence[str], improvement: Improvement | None) -> str:
    headline, told, mood = sections.outcome(result, improvement)
    pair = f"{result.reference.scene.title} → {result.target.scene.title}"
    points = map_data(result)
    data = {"map": points, "swipe": None if improvement is None else _swipe_data(improvement, points)}
    return Template(_part("page.html")).substitute(
        title=escape(f"{pair}: match report"),
        mood=mood,
        headline=escape(headline),
        told="".join(f"<p>{escape(line)}</p>" for line in told),
        pair=escape(pair),
        found=escape(result.headline),
        summary=sections.summary_table(result),
        errors=sections.errors_table(result),
        improvement=sections.improvement_section(improvement),
        swipe="" if improvement is None else _part("swipe.html"),
        model=sections.model_section(result),
        figures=figures or "<p>There is nothing to draw.</p>",
        images=sections.images_table(result),
        settings=sections.settings_table(result),
        versions=sections.versions_table(result, versions()),
        command=escape(shlex.join(command)),
        style=_part("page.css"),
        # a "<" in a name must not end the script
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        script="\n".join(_part(name) for name in _SCRIPTS),
    )


def _part(name: str) -> str:
    return files("s2match.outputs.report").joinpath(name).read_text(encoding="utf-8")


def _figure(chart: Chart, png: bytes) -> str:
    uri, (width, height) = embedding.figure(png, chart.photo)
    shape = "square" if width < 1.3 * height else "broad"
    return (
        f'<figure id="{chart.name}" class="{shape}"><h3>{escape(chart.title)}</h3><div class="wide">'
        f'<img src="{uri}" width="{width}" height="{height}" alt="{escape(chart.title)}: {escape(chart.caption)}">'
        f"</div><figcaption>{escape(chart.caption)}</figcaption></figure>"
    )


def _swipe_data(improvement: Improvement, points: dict[str, Any]) -> dict[str, Any]:
    """What the swipe shows; an image that the map shows, too, by its name there."""
    known = {points[role]["image"]: role for role in ("target", "reference")}
    images = [embedding.photo(stretched(raster)) for raster in improvement.previews]
    part = detail(improvement)
    return {
        "size": improvement.previews[0].size,
        "images": [known.get(image, image) for image in images],
        "detail": [part.x, part.y, part.width, part.height],
    }
