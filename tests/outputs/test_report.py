"""The report: its page needs no other file, begins with the outcome, and works in a browser."""

import functools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import Page, browser, find_chromium
from html_page import Reader
from matplotlib.text import Text
from pairs import corrected, shifted_pair
from rasterio.crs import CRS

from s2match.correction.decision import CorrectionOutcome, decide
from s2match.correction.evaluation import Agreement, Improvement
from s2match.errors import OutputError
from s2match.outputs.correction_text import warning_line
from s2match.outputs.figures.before_after import plot_swipe
from s2match.outputs.report.names import FIGURES, report_files
from s2match.outputs.report.points import MOST_POINTS
from s2match.outputs.report.writing import write_report
from s2match.outputs.summary import summary
from s2match.result import PairResult

COMMAND = ["python", "model_inference.py", "--report", "my report"]


def outcome_of(result: PairResult, improvement: Improvement | None, force: bool = False) -> CorrectionOutcome:
    return CorrectionOutcome(decide(result.verdict, improvement, force), improvement)


def report(result: PairResult, folder: Path, outcome: CorrectionOutcome | None = None) -> Reader:
    return Reader(write_report(result, folder / "report", COMMAND, outcome))


PageOf = Callable[..., Path]


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> PageOf:
    """Write the page of a pair shifted by (right, down) px with a good, a bad or no correction, once for each."""

    @functools.cache
    def write(shift: tuple[float, float], better: bool | None) -> Path:
        result = shifted_pair(shift=shift)
        outcome = None if better is None else outcome_of(result, corrected(result, better))
        return write_report(result, tmp_path_factory.mktemp("page") / "report", COMMAND, outcome)

    return write


def test_page_needs_no_other_file_and_no_network(page_of: PageOf) -> None:
    path = page_of(shift=(2, -1), better=True)
    reader = Reader(path)
    assert reader.loads and all(address.startswith("data:") for address in reader.loads)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", page)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", page)
    assert '<html lang="en">' in page and "T36UXA 2018-08-20 → T36UXA 2019-06-06: match report" in page
    assert reader.alternatives and all(len(text) > 20 for text in reader.alternatives)


def test_a_correction_that_cannot_be_compared_is_not_called_worse(tmp_path: Path) -> None:
    result = shifted_pair()
    improvement = corrected(result)
    nothing = Agreement(0, *[math.nan] * 4, 0.5, 0.5)
    unknown = outcome_of(result, replace(improvement, before=nothing))
    assert unknown.improvement is not None and unknown.improvement.better is None and unknown.decision.kept
    said = report(result, tmp_path, unknown).said
    assert "Whether the correction helped is unknown" in said and "keep the image as it was" not in said
    line = warning_line(unknown)
    assert line is not None and "unknown" in line and "did not" not in line


def test_page_says_what_the_summary_says(page_of: PageOf) -> None:
    result = shifted_pair()
    said = Reader(page_of(shift=(2, -1), better=None)).said
    for line in summary(result).splitlines()[1:7]:
        assert re.sub(r"\s+", " ", line.split(maxsplit=1)[1]) in said
    assert "20.0 m (2.00 px)" in said and "10.0 m (1.00 px)" in said
    assert "python model_inference.py --report 'my report'" in said
    for word in (
        "torch",
        "kornia",
        "rasterio",
        "GDAL",
        "numpy",
        "OpenCV",
        "Python",
        "sentinel2",
        "ransac threshold (px)",
    ):
        assert word in said
    assert "Before and after" not in said and "Swipe" not in said


@pytest.mark.parametrize(
    ("shift", "better", "first"),
    [
        ((2, -1), None, "Register with this translation: the target shows the ground 20.0 ± 2.0 m further east"),
        ((0, 0), None, "Already registered: the shift is 0"),
        ((2, -1), True, "The corrected image lies better on the reference than before."),
        ((2, -1), False, "The correction did not make it better: keep the image as it was."),
    ],
)
def test_outcome_comes_first(page_of: PageOf, shift: tuple[float, float], better: bool | None, first: str) -> None:
    reader = Reader(page_of(shift=shift, better=better))
    after_title = reader.said.split("match report", 1)[1].strip()
    assert after_title.startswith(first)
    if better is not None:
        change = "RMSE 22.50 m before, 1.10 m after" if better else "RMSE 1.10 m before, 22.50 m after"
        information = "0.400 bits 1.200 bits" if better else "1.200 bits 0.400 bits"
        assert change in after_title and f"mutual info {information}" in after_title
        assert ("No corrected file was written" in after_title) is not better


def test_a_registered_pair_is_said_to_be_registered_and_nothing_else(tmp_path: Path) -> None:
    """With a correction that was not written, and with one that was forced."""
    result = shifted_pair(shift=(0, 0))
    said = report(result, tmp_path, outcome_of(result, None)).said.split("match report", 1)[1].strip()
    assert said.startswith("Already registered: the shift is 0")
    assert 'No corrected file was written: the verdict is "already registered".' in said and "Swipe" not in said
    said = report(result, tmp_path, outcome_of(result, corrected(result), force=True)).said
    said = said.split("match report", 1)[1].strip()
    assert said.startswith("Already registered: the shift is 0") and "Swipe" in said
    assert 'The corrected file was written on --force: the verdict is "already registered".' in said


def test_what_is_not_known_of_a_correction_is_called_unknown(tmp_path: Path) -> None:
    """Without matches after the correction, page and figures print "unknown" instead of nan."""
    result = shifted_pair()
    nothing = Agreement(0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
    improvement = replace(corrected(result, better=False), after=nothing)
    said = report(result, tmp_path, outcome_of(result, improvement, force=True)).said
    assert not re.search(r"\bnan\b", said)
    assert "Whether the correction helped is unknown" in said and "RMSE 1.10 m before, unknown after" in said
    assert "shift east +0.30 m unknown" in said
    words = " ".join(text.get_text() for text in plot_swipe(improvement).findobj(Text))
    assert "after: CE90 unknown, SSIM unknown" in words and "nan" not in words


def test_without_a_registration_it_says_why(tmp_path: Path) -> None:
    said = report(shifted_pair(right=5, wrong=5), tmp_path).said
    assert "Not enough evidence: only the georeference relates the images" in said
    assert "There is no registration: there are only 10 matches" in said
    assert "To try: a lower confidence, such as 0.2" in said
    assert (tmp_path / "report" / "errors.png").exists() and not (tmp_path / "report" / "vectors.png").exists()


def test_without_matches_and_without_georeference(tmp_path: Path) -> None:
    assert "There is nothing to draw" in report(shifted_pair(right=0, wrong=0), tmp_path).said
    said = report(shifted_pair(georeferenced=False), tmp_path).said
    assert "Ground errors are unknown: an image has no georeference" in said


def test_figures_lie_beside_the_page_and_old_ones_go(tmp_path: Path) -> None:
    result = shifted_pair(shift=(0, 0))
    report(result, tmp_path, outcome_of(result, corrected(result)))
    folder = tmp_path / "report"
    assert set(folder.iterdir()) == set(report_files(folder)) and len(FIGURES) == len(list(folder.glob("*.png")))
    for path in folder.glob("*.png"):
        image = cv2.imread(str(path))
        assert image is not None and image.shape[1] >= 1300
    (folder / "mine.txt").write_text("kept")
    report(shifted_pair(), tmp_path)
    assert not (folder / "swipe.png").exists() and (folder / "vectors.png").exists() and (folder / "mine.txt").exists()


def test_equal_results_write_equal_reports(page_of: PageOf, tmp_path: Path) -> None:
    again = write_report(shifted_pair(), tmp_path / "again", COMMAND)
    assert page_of(shift=(2, -1), better=None).read_bytes() == again.read_bytes()


def test_names_are_no_markup(tmp_path: Path) -> None:
    """File names, the command and the name of a reference system are text, in the page and in its data."""
    crs = CRS.from_wkt('LOCAL_CS["<i>map</i>",UNIT["metre",1]]')
    result = shifted_pair(name="<b>x<!--<script>$title{}{{{{7*7}}}}.tif")
    reference, target = (replace(image, grid=replace(image.grid, crs=crs)) for image in result.previews)
    result = replace(result, reference=reference, target=target, previews=(reference, target))
    path = write_report(result, tmp_path / "report", ["</pre><script>alert(1)</script>"])
    page = path.read_text(encoding="utf-8")
    for markup in ("<b>x", "<script>alert", "<i>map"):
        assert markup not in page
    assert page.count("</script>") == 2
    assert "&lt;b&gt;x&lt;!--&lt;script&gt;" in page and "$title20180820{{7*7}}.tif" in page
    said = Reader(path).said
    assert "<b>x<!--<script>" in said and "</pre><script>alert(1)</script>" in said and "<i>map</i>" in said


def test_where_no_report_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "missing" / "report"):
        with pytest.raises(OutputError, match="Cannot write"):
            write_report(shifted_pair(), folder, COMMAND)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_page_of_very_many_points_stays_small(tmp_path: Path) -> None:
    reader_size = write_report(shifted_pair(right=60_000, wrong=0), tmp_path / "report", COMMAND).stat().st_size
    assert reader_size < 6e6
    assert 10_000 < MOST_POINTS <= 30_000


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = find_chromium()
    assert chromium is not None
    with browser(chromium) as opened:
        yield opened


@pytest.fixture(scope="module")
def written(page_of: PageOf) -> Path:
    return page_of(shift=(2, -1), better=True)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_page_in_a_browser(page: Page, written: Path, width: int, height: int) -> None:
    page.open(written, width, height, phone=width < 500)
    assert page.run("document.body.dataset.points") == "420"
    assert page.run("document.documentElement.scrollWidth") <= width == page.run("innerWidth")
    assert page.run("document.querySelector('.count').textContent") == "420 points"
    assert page.run("document.querySelector('.outliers').textContent").strip() == "× 20 outliers"
    assert page.run("[...document.images].every((image) => image.naturalWidth > 500)")
    assert page.complaints == [] and page.requests == [written.resolve().as_uri()]
    # nothing sticks out of the page, but what scrolls by itself
    outside = "[...document.querySelectorAll('main *')].filter((one) => !one.closest('.wide') && "
    assert page.run(f"{outside} one.getBoundingClientRect().right > {width} + 0.5).length") == 0


@pytest.mark.browser
def test_hovering_tells_the_numbers_of_the_point(page: Page, written: Path) -> None:
    result = shifted_pair()
    page.open(written, 1400, 900)
    page.run("document.getElementById('map').scrollIntoView()")
    index = 7
    assert result.errors is not None and result.registration is not None
    column, row = result.matches.xy0[index]
    for _ in range(3):
        page.run(f"report.map.viewer.zoom(4, ...report.map.viewer.toScreen({column}, {row}))")
    page.settle()
    x, y = page.run(f"report.map.viewer.toScreen({column}, {row})")
    left, top = page.run("(({left, top}) => [left, top])(report.map.viewer.canvas.getBoundingClientRect())")
    page.mouse("mouseMoved", left + x + 1, top + y)
    page.settle()
    lines = page.run("[...document.querySelectorAll('.point p')].map((line) => line.textContent)")
    east, north = result.errors.east_m[index], result.errors.north_m[index]
    metres, residual = np.hypot(east, north), result.registration.residual_px[index]
    assert lines[0] == f"inlier, confidence {result.matches.confidence[index]:.4f}"
    assert lines[1] == f"shift {east:.1f} m east, {north:.1f} m north"
    assert lines[2] == f"in all {metres:.1f} m = {metres / 10:.2f} native px"
    assert lines[3] == f"residual {residual:.2f} px = {10 * residual:.1f} m"
    assert lines[4] == f"reference x {column:.1f}, y {row:.1f} px"
    assert lines[6] == f"map {600000 + 10 * column:.1f}, {5600040 - 10 * row:.1f} (EPSG:32636)"
    assert page.run("document.querySelector('#map .tip').hidden") is False


@pytest.mark.browser
def test_map_zooms_pans_and_switches(page: Page, written: Path) -> None:
    page.open(written, 1400, 900)
    page.run("document.getElementById('map').scrollIntoView()")
    left, top = page.run("(({left, top}) => [left, top])(report.map.viewer.canvas.getBoundingClientRect())")
    state = "[report.map.viewer.scale, report.map.viewer.left, report.map.viewer.top]"
    scale, x, _ = page.run(state)
    under = page.run("report.map.viewer.toImage(300, 200)")
    page.mouse("mouseWheel", left + 300, top + 200, deltaX=0, deltaY=-300)
    page.settle()
    assert page.run("report.map.viewer.scale") > 1.3 * scale
    assert page.run("report.map.viewer.toImage(300, 200)") == pytest.approx(under, abs=0.2)
    before = page.run(state)
    page.mouse("mousePressed", left + 300, top + 200, button="left", clickCount=1)
    page.mouse("mouseMoved", left + 340, top + 230, button="left", buttons=1)
    page.mouse("mouseReleased", left + 340, top + 230, button="left", clickCount=1)
    assert page.run(state) == pytest.approx([before[0], before[1] + 40, before[2] + 30])
    page.run("document.querySelector('#map [data-do=all]').focus()")
    page.key("Enter")
    assert page.run(state)[:2] == pytest.approx([scale, x])
    page.run("report.map.viewer.canvas.focus()")
    page.key("+")
    assert page.run("report.map.viewer.scale") == pytest.approx(1.6 * scale)
    page.key("Enter")
    assert page.run("report.map.marked") >= 0
    for kind in ("target", "residual", "shift"):
        pixels = "report.map.viewer.canvas.toDataURL()"
        old = page.run(pixels)
        page.run(f"[...document.querySelectorAll('#map input[value={kind}]')].forEach((input) => input.click())")
        page.settle()
        assert page.run(pixels) != old, kind
    assert re.fullmatch(
        r"[\d.]+ px = [\d.]+ m, exaggerated [\d.]+×", page.run("document.querySelector('.arrowkey').textContent")
    )
    assert page.complaints == []


@pytest.mark.browser
def test_swipe_moves_its_line(page: Page, written: Path) -> None:
    page.open(written, 1400, 900)
    colour = "[...report.swipe.viewer.context.getImageData({x}, 200, 1, 1).data].slice(0, 3)"
    shown = "(() => {{ report.swipe.viewer.paint(); return {0}; }})()"
    width = page.run("report.swipe.viewer.width")
    middle = colour.format(x=int(width / 2))
    assert page.run(shown.format(middle)) in ([255] * 3, [0] * 3)
    page.set(".slider input", 0, "input")
    after = page.run(shown.format(middle))
    page.set(".slider input", 100, "input")
    before = page.run(shown.format(middle))
    assert before != after
    page.set("[data-side=left]", 2, "change")
    assert page.run(shown.format(middle)) == after


@pytest.mark.browser
def test_fifteen_thousand_points_are_smooth(page: Page, tmp_path: Path) -> None:
    """Every point is drawn or an outlier, and the console has no message; no time is asserted."""
    result = shifted_pair(right=15_000, wrong=100)
    page.open(write_report(result, tmp_path / "report", COMMAND), 1400, 900)
    assert page.run("report.map.buckets.flat().length + report.map.outliers.length") == len(result.matches)
    assert result.registration is not None
    assert page.run("report.map.outliers.length") == (~result.registration.inliers).sum()
    assert page.complaints == []


@pytest.mark.browser
@pytest.mark.parametrize(
    "options", [{"right": 5, "wrong": 5}, {"right": 0, "wrong": 0}, {"georeferenced": False}], ids=str
)
def test_every_outcome_in_a_browser(page: Page, tmp_path: Path, options: dict[str, int]) -> None:
    result = shifted_pair(**options)  # type: ignore[arg-type]
    page.open(write_report(result, tmp_path / "report", COMMAND), 390, 844, phone=True)
    assert page.run("document.body.dataset.points") == str(len(result.matches))
    page.run("report.map.pick(100, 100, 'key')")
    text = page.run("document.querySelector('.point').textContent")
    if len(result.matches):
        assert ("residual" in text) == (result.registration is not None)
        assert ("native px" in text) == (result.errors is not None)
    lines = page.run("[...Array(report.map.data.count).keys()].flatMap((index) => report.map.describe(index))")
    assert not [line for line in lines if re.search(r"nan|infinity|undefined|null", line, re.IGNORECASE)]
    disabled = page.run("document.querySelector('[name=colour][value=residual]').disabled")
    assert disabled == (result.registration is None)
    assert page.run("document.documentElement.scrollWidth") <= 390 and page.complaints == []
