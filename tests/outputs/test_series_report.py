"""The report of a series: one page that needs no other file, says what counts, and fits every screen."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Page, browser, find_chromium
from conftest import texture
from html_page import Reader
from series_results import APART, CLOUD, DAMAGED, NO_EVIDENCE, OUTLIER, renamed, series_result

from s2match.errors import OutputError
from s2match.outputs.figures.blink import write_blink
from s2match.outputs.series.report import write_series_report
from s2match.outputs.series.summary import series_summary
from s2match.timeseries.result import SeriesResult

HOSTILE = "<b>x<!--<script>alert(1){{7*7}}.tif"


def blink(folder: Path) -> Path:
    ground = texture(120, 120, detail_px=2)
    frames = [(f"date {k}", np.ascontiguousarray(ground[k : 100 + k, :100]), ground[:100, :100]) for k in range(3)]
    write_blink(frames, folder / "blink.gif")
    return folder / "blink.gif"


def report(result: SeriesResult, folder: Path, *, animated: bool = False) -> Path:
    path = folder / "series.html"
    write_series_report(result, path, blink(folder) if animated else None, ["s2match", "series", "my images"])
    return path


def test_page_needs_no_other_file(tmp_path: Path) -> None:
    path = report(series_result(), tmp_path, animated=True)
    reader = Reader(path)
    assert all(address.startswith("data:") for address in reader.loads)
    kinds = [address[:15] for address in reader.loads]
    assert kinds.count("data:image/webp") == 4 and kinds.count("data:image/gif;") == 1
    assert not re.search(r"url\(|@import|fetch\(", path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 3e6


def test_page_says_what_the_summary_says(tmp_path: Path) -> None:
    result = series_result()
    said = Reader(report(result, tmp_path)).said
    for line in series_summary(result).splitlines():
        assert re.sub(r"\s+", " ", line[14:]) in said
    for text in (APART, CLOUD, DAMAGED, OUTLIER, NO_EVIDENCE, "s2match series 'my images'", "T36UXA 2018-12-15"):
        assert text in said
    row = result.dates[0]
    assert row.dx_m is not None
    # 1.96 standard errors of 0.5 m
    assert f"{row.dx_m:+.2f} ± 0.98" in said and "± is the half width of the 95 % interval." in said
    assert "Before and after" not in said and not re.search(r"\b(nan|None)\b", said)


def test_outcome_comes_first(tmp_path: Path) -> None:
    for series, mood, first in (
        (series_result(), "act", "19 of 24 images are placed, with a median standard error of 0.55 m (0.055 px)."),
        (series_result(days=5, tiles=1, pairs=9), "good", "5 of 5 images are placed"),
        (series_result(measured=False), "bad", "0 of 24 images are placed."),
    ):
        path = report(series, tmp_path)
        assert Reader(path).said.split("series report", 1)[1].strip().startswith(first)
        assert f'<header class="{mood}">' in path.read_text(encoding="utf-8")


def test_page_of_a_series_without_a_measured_pair(tmp_path: Path) -> None:
    said = Reader(report(series_result(measured=False), tmp_path)).said
    assert "Standard error unknown" in said and "no triangles" in said and CLOUD in said
    assert not re.search(r"\bnan\b", said)


def test_lengths_in_pixels_without_georeference(tmp_path: Path) -> None:
    said = Reader(report(series_result(unit="px"), tmp_path)).said
    assert "right (px)" in said and "down (px)" in said and "0.550 px" in said and "east" not in said


def test_names_are_no_markup(tmp_path: Path) -> None:
    path = tmp_path / "series.html"
    write_series_report(renamed(series_result(), HOSTILE), path, command=["</pre><script>alert(2)</script>"])
    reader = Reader(path)
    assert "script" not in reader.tags and "b" not in reader.tags
    assert HOSTILE in reader.said and "</pre><script>alert(2)</script>" in reader.said


def test_where_no_page_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write"):
        write_series_report(series_result(), tmp_path / "missing" / "series.html")


def test_equal_results_write_equal_pages(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = (report(series_result(), folder) for folder in (tmp_path, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = find_chromium()
    assert chromium is not None
    with browser(chromium) as opened:
        yield opened


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_page_in_a_browser(page: Page, tmp_path: Path, width: int, height: int) -> None:
    path = report(renamed(series_result(), HOSTILE), tmp_path, animated=True)
    page.open(path, width, height, phone=width < 500)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("[...document.images].every((image) => image.naturalWidth > 500)")
    assert page.complaints == [] and page.requests == [path.resolve().as_uri()]
    page.run("document.querySelector('details').open = true")
    assert page.wider_than(width) == [] and page.faults() == []
    assert page.run("document.querySelectorAll('#dates tbody tr').length") == 24
    assert page.run("document.querySelectorAll('#pairs tbody tr').length") == 80
