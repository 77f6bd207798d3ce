"""The report: its page needs no other file, begins with the outcome, and works in a browser."""

import functools
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import Page, browser, find_chromium
from conftest import GRID, draw_coarsely, make_raster
from html_page import Reader
from matplotlib.text import Text
from pairs import corrected, shifted_pair
from rasterio.crs import CRS

from s2match.correction.decision import CorrectionOutcome, decide
from s2match.correction.evaluation import Agreement, Improvement
from s2match.errors import OutputError
from s2match.outputs.correction_text import warning_line
from s2match.outputs.coverage import covered_share
from s2match.outputs.figures.before_after import plot_swipe
from s2match.outputs.figures.style import inliers_of
from s2match.outputs.report.colouring import colourings, colours
from s2match.outputs.report.layers import map_images
from s2match.outputs.report.names import FIGURES, report_files
from s2match.outputs.report.points import MOST_POINTS
from s2match.outputs.report.run import Run
from s2match.outputs.report.writing import write_report
from s2match.outputs.summary import summary
from s2match.result import PairResult

COMMAND = ["python", "model_inference.py", "--report", "my report"]
RUN = Run(COMMAND, time=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))


def outcome_of(result: PairResult, improvement: Improvement | None, force: bool = False) -> CorrectionOutcome:
    return CorrectionOutcome(decide(result.verdict, improvement, force), improvement)


def report(result: PairResult, folder: Path, outcome: CorrectionOutcome | None = None) -> Reader:
    return Reader(write_report(result, folder / "report", RUN, outcome))


PageOf = Callable[..., Path]


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> PageOf:
    """Write the page of a pair shifted by (right, down) px with a good, a bad or no correction, once for each."""

    @functools.cache
    def write(shift: tuple[float, float], better: bool | None) -> Path:
        result = shifted_pair(shift=shift)
        outcome = None if better is None else outcome_of(result, corrected(result, better))
        with pytest.MonkeyPatch.context() as patched:
            # the page with a good correction is looked at in a browser
            if not better:
                draw_coarsely(patched)
            return write_report(result, tmp_path_factory.mktemp("page") / "report", RUN, outcome)

    return write


def test_page_needs_no_other_file_and_no_network(page_of: PageOf) -> None:
    path = page_of(shift=(2, -1), better=True)
    reader = Reader(path)
    links = [address for address in reader.loads if not address.startswith("data:")]
    assert all(address.startswith("#") or re.fullmatch(r"\w+\.png", address) for address in links)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r":\s*url\(|@import|XMLHttpRequest|sourceMappingURL", page)
    assert path.stat().st_size < 3e6
    assert '<html lang="en">' in page and "T36UXA 2018-08-20 → T36UXA 2019-06-06: match report" in page
    assert reader.alternatives and all(len(text) > 20 for text in reader.alternatives)


@pytest.mark.usefixtures("coarse_figures")
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
    assert "Before and after" not in said and "after the correction" not in said


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


@pytest.mark.usefixtures("coarse_figures")
def test_a_registered_pair_is_said_to_be_registered_and_nothing_else(tmp_path: Path) -> None:
    """With a correction that was not written, and with one that was forced."""
    result = shifted_pair(shift=(0, 0))
    said = report(result, tmp_path, outcome_of(result, None)).said.split("match report", 1)[1].strip()
    assert said.startswith("Already registered: the shift is 0")
    assert (
        'No corrected file was written: the verdict is "already registered".' in said and "Before and after" not in said
    )
    said = report(result, tmp_path, outcome_of(result, corrected(result), force=True)).said
    said = said.split("match report", 1)[1].strip()
    assert said.startswith("Already registered: the shift is 0") and "Before and after: swipe" in said
    assert 'The corrected file was written on --force: the verdict is "already registered".' in said


@pytest.mark.usefixtures("coarse_figures")
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


@pytest.mark.usefixtures("coarse_figures")
def test_without_a_registration_it_says_why(tmp_path: Path) -> None:
    said = report(shifted_pair(right=5, wrong=5), tmp_path).said
    assert "Not enough evidence: only the georeference relates the images" in said
    assert "There is no registration: there are only 10 matches" in said
    assert "To try: a lower confidence, such as 0.2" in said
    assert (tmp_path / "report" / "errors.png").exists() and not (tmp_path / "report" / "vectors.png").exists()


@pytest.mark.usefixtures("coarse_figures")
def test_without_matches_and_without_georeference(tmp_path: Path) -> None:
    said = report(shifted_pair(right=0, wrong=0), tmp_path).said
    assert "Inliers none of 0 matches" in said and "Shift east unknown" in said
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


@pytest.mark.usefixtures("coarse_figures")
def test_equal_results_write_equal_reports(page_of: PageOf, tmp_path: Path) -> None:
    again = write_report(shifted_pair(), tmp_path / "again", RUN)
    assert page_of(shift=(2, -1), better=None).read_bytes() == again.read_bytes()


@pytest.mark.usefixtures("coarse_figures")
def test_names_are_no_markup(tmp_path: Path) -> None:
    """File names, the command and the name of a reference system are text, in the page and in its data."""
    crs = CRS.from_wkt('LOCAL_CS["<i>map</i>",UNIT["metre",1]]')
    result = shifted_pair(name="<b>x<!--<script>$title{}{{{{7*7}}}}.tif")
    reference, target = (replace(image, grid=replace(image.grid, crs=crs)) for image in result.previews)
    result = replace(result, reference=reference, target=target, previews=(reference, target))
    path = write_report(result, tmp_path / "report", Run(["</pre><script>alert(1)</script>"]))
    page = path.read_text(encoding="utf-8")
    for markup in ("<b>x", "<script>alert", "<i>map"):
        assert markup not in page
    assert page.count("</script>") == 2
    assert "&lt;b&gt;x&lt;!--&lt;script&gt;" in page and "$title20180820{{7*7}}.tif" in page
    said = Reader(path).said
    assert "<b>x<!--<script>" in said and "</pre><script>alert(1)</script>" in said and "<i>map</i>" in said


def test_cards_come_first_and_say_what_counts(page_of: PageOf) -> None:
    said = Reader(page_of(shift=(2, -1), better=None)).said
    assert "Shift east +20.0 ± 2.0 m of the model, 95 % interval; +2.00 native px Shift north +10.0 ± 2.0 m" in said
    assert re.search(r"CE90 2\d\.\d m of the inliers; 2\.\d\d native px Inliers 400 95\.2% of the matches", said)
    assert "Ground covered 72% of the common ground, in squares of 880 m" in said
    assert "Verdict correct the target model: translation" in said
    assert said.index("Verdict") < said.index("Common ground of the two images") < said.index("Summary reference")
    corrected_said = Reader(page_of(shift=(2, -1), better=True)).said
    assert "CE90 23.20 m after the correction 1.90 m" in corrected_said
    assert "after the correction +0.30 m" in corrected_said and "Verdict correction helped" in corrected_said


def test_ground_covered_is_that_with_inliers() -> None:
    """The common ground has 238 × 179 px, and points lie in the first two of the columns and rows of 88 px."""
    result = shifted_pair()
    rows = (176 - 1) / 179
    assert covered_share(result) == pytest.approx(176 / 238 * rows, abs=0.01)
    registration, matches = result.registration, result.matches
    assert registration is not None
    left = registration.inliers & (matches.xy0[:, 0] < 80)
    share = covered_share(replace(result, registration=replace(registration, inliers=left)))
    assert share == pytest.approx(88 / 238 * rows, abs=0.01)
    assert covered_share(shifted_pair(right=5, wrong=5)) is None


def test_map_images_lie_on_the_pixels_of_the_reference() -> None:
    """The target by its georeference is displaced, the target by the model is not."""
    result = shifted_pair()
    images = map_images(result, None)
    assert [layer.name for layer in images.layers] == ["reference", "target", "corrected"]
    reference, target, moved = (layer.image[20:160, 20:220, :3].astype(float) for layer in images.layers)
    assert np.abs(moved - reference).mean() < 2 < np.abs(target - reference).mean()
    assert [layer.name for layer in map_images(shifted_pair(shift=(0, 0)), None).layers] == ["reference", "target"]


def test_large_images_are_averaged_for_the_map() -> None:
    """A chessboard of single pixels becomes grey; every other pixel of it would be black or white."""
    result = shifted_pair()
    board = (np.indices((2400, 2400)).sum(axis=0) % 2 * 200 + 20).astype(np.uint8)
    large = make_raster(board, transform=GRID)
    whole = replace(result, reference=large, target=large, previews=(large, large))
    (layer, *_) = map_images(whole, None).layers
    assert max(layer.image.shape) <= 1100
    middle = layer.image[100:-100, 100:-100, 0].astype(float)
    assert middle.std() < 35 and 90 < middle.mean() < 190


def test_colours_of_points_span_their_values() -> None:
    """Residuals begin at 0, shifts at the smallest but for 2 %; outliers have a colour of their own."""
    result = shifted_pair()
    inliers = inliers_of(result)
    shift = np.where(inliers, np.linspace(40, 42, len(inliers)), 500)
    ways = {way.name: way for way in colourings(result, np.linspace(0, 1, len(inliers)), shift, "m")}
    assert list(ways) == ["residual", "confidence", "shift"]
    for way in ways.values():
        assert (way.steps[~inliers] == len(colours()) - 1).all() and (way.steps[inliers] < len(colours()) - 1).all()
    steps = ways["residual"].steps[inliers].astype(int)
    assert steps.min() == 0 and (np.diff(steps) >= 0).all() and steps.max() >= len(colours()) * 0.9
    assert ways["shift"].labels == ("≤ 40", "41", "≥ 41.9 m")
    # without a model nothing has a residual, and nothing is an outlier
    lone = shifted_pair(right=5, wrong=5)
    nothing = np.full(10, np.nan)
    (way,) = colourings(lone, nothing, nothing, "m")
    assert way.name == "confidence" and (way.steps < len(colours()) - 1).all()


@pytest.mark.usefixtures("coarse_figures")
def test_page_names_its_time_and_links_every_file(tmp_path: Path) -> None:
    files = (tmp_path / "tie points.gpkg", tmp_path / "report" / "model#1.json")
    path = write_report(shifted_pair(), tmp_path / "report", replace(RUN, files=files))
    reader = Reader(path)
    assert "2026-03-01 12:30 UTC" in reader.said
    assert "../tie%20points.gpkg" in reader.loads and "model%231.json" in reader.loads
    pictures = {address for address in reader.loads if address.endswith(".png")}
    assert pictures == {figure.name for figure in path.parent.glob("*.png")}
    targets = {address for address in reader.loads if address.startswith("#")}
    assert {"#summary", "#points", "#figures", "#model", "#files", "#made"} <= targets
    page = path.read_text(encoding="utf-8")
    assert all(f'id="{target[1:]}"' in page for target in targets)


def test_where_no_report_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "missing" / "report"):
        with pytest.raises(OutputError, match="Cannot write"):
            write_report(shifted_pair(), folder, RUN)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_page_of_very_many_points_stays_small(tmp_path: Path) -> None:
    reader_size = write_report(shifted_pair(right=60_000, wrong=0), tmp_path / "report", RUN).stat().st_size
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


WIDTHS = [(1280, 900), (800, 1000), (390, 844)]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_page_in_a_browser(page: Page, written: Path, width: int, height: int) -> None:
    page.open(written, width, height, phone=width < 500)
    assert page.run("document.documentElement.scrollWidth") <= width == page.run("innerWidth")
    assert page.wider_than(width) == []
    assert page.run("report.map.markers.length") == 420
    assert page.run("document.querySelector('.count').textContent") == "420 points"
    assert page.run("document.querySelector('.outliers').textContent").strip() == "20 outliers"
    assert page.run("[...document.images].every((image) => image.naturalWidth >= 200)")
    tops = page.run("['.cards', '#picture', '#summary', '#points'].map((one) => document.querySelector(one).offsetTop)")
    assert tops == sorted(tops) and page.run("document.querySelectorAll('.card').length") == 6
    assert page.complaints == [] and page.requests == [written.resolve().as_uri()]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_and_dark_where_the_system_is(page: Page, written: Path, scheme: str) -> None:
    page.media(scheme=scheme)
    page.open(written, 390, 844, phone=True)
    red = page.run("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red < 60) == (scheme == "dark")
    assert page.faults() == []
    page.media()


@pytest.mark.browser
def test_page_is_printed_on_paper_without_clipping(page: Page, written: Path) -> None:
    page.media(scheme="dark")
    page.open(written, 1280, 900)
    pdf = page.pdf()
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 12
    # A4 in points
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert boxes and all((round(float(x)), round(float(y))) in ((595, 842), (596, 842)) for x, y in boxes)
    # the width of the paper without its margins, in CSS pixels
    width = (210 - 2 * 12) / 25.4 * 96
    page.open(written, round(width), 1000)
    page.media("print", "dark")
    page.settle()
    assert page.wider_than(width) == [] and page.run("document.documentElement.scrollWidth") <= width
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "getComputedStyle(document.querySelector({!r})).display === 'none'"
    assert page.run(hidden.format("#map")) and not page.run(hidden.format("#picture"))
    page.media()


def middle_of(page: Page, selector: str) -> tuple[float, float]:
    """Scroll to an element, and return its middle in the window."""
    page.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
    box = page.run(
        f"(({{left, top, width, height}}) => [left + width / 2, top + height / 2])"
        f"(document.querySelector({selector!r}).getBoundingClientRect())"
    )
    return box[0], box[1]


@pytest.mark.browser
def test_a_point_tells_its_numbers(page: Page, written: Path) -> None:
    result = shifted_pair()
    page.open(written, 1280, 900)
    index = 7
    assert result.errors is not None and result.registration is not None
    column, row = result.matches.xy0[index]
    page.run(f"void report.map.map.setView([{row}, {column}], 4, {{animate: false}})")
    x, y = middle_of(page, ".stage")
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseReleased", x, y, button="left", clickCount=1)
    page.settle()
    lines = page.run(
        "[...document.querySelectorAll('.leaflet-popup-content > div > div')].map((one) => one.textContent)"
    )
    east_m, north_m = result.errors.east_m[index], result.errors.north_m[index]
    metres, residual = np.hypot(east_m, north_m), result.registration.residual_px[index]
    (target_x, target_y) = result.matches.xy1[index]
    assert lines == [
        f"inlier, confidence {result.matches.confidence[index]:.4f}",
        f"shift {east_m:.1f} m east, {north_m:.1f} m north",
        f"in all {metres:.1f} m = {metres / 10:.2f} native px",
        f"residual {residual:.2f} px = {10 * residual:.1f} m",
        f"reference pixel {column:.1f}, {row:.1f}",
        f"{600000 + 10 * column:.1f}, {5600040 - 10 * row:.1f} (EPSG:32636)",
        f"target pixel {target_x:.1f}, {target_y:.1f}",
    ]
    # under the cursor
    page.mouse("mouseMoved", x + 64, y)
    page.settle()
    readout = page.run("document.querySelector('.readout').textContent")
    assert readout.startswith("reference pixel ") and readout.endswith(" (EPSG:32636)")
    right, down, east, north = map(float, re.findall(r"\d+\.\d", readout))
    assert (right, down) == pytest.approx((column + 4, row), abs=0.2)
    assert (east, north) == pytest.approx((600000 + 10 * right, 5600040 - 10 * down), abs=0.6)
    assert re.fullmatch(r"\d+ m", page.run("document.querySelector('.leaflet-control-scale-line').textContent"))


@pytest.mark.browser
def test_wheel_scrolls_the_page_until_the_map_was_clicked(page: Page, written: Path) -> None:
    page.open(written, 1280, 900)
    x, y = middle_of(page, ".stage")
    zoom, scrolled = page.run("[report.map.map.getZoom(), scrollY]")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    time.sleep(0.3)
    assert page.run("report.map.map.getZoom()") == zoom and page.run("scrollY") < scrolled
    x, y = middle_of(page, ".stage")
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseReleased", x, y, button="left", clickCount=1)
    scrolled = page.run("scrollY")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    time.sleep(0.5)
    assert page.run("report.map.map.getZoom()") > zoom and page.run("scrollY") == scrolled
    page.run("document.activeElement.blur()")
    assert not page.run("report.map.map.scrollWheelZoom.enabled()")


@pytest.mark.browser
def test_one_finger_scrolls_the_page_on_a_phone(page: Page, written: Path) -> None:
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    page.open(written, 390, 844, phone=True)
    assert page.run("matchMedia('(hover: none)').matches")
    assert not page.run("report.map.map.dragging.enabled()") and page.run("report.map.map.touchZoom.enabled()")
    assert page.run("getComputedStyle(document.querySelector('.stage')).touchAction") == "pan-x pan-y"
    page.call("Emulation.setTouchEmulationEnabled", enabled=False)


@pytest.mark.browser
def test_map_blinks_and_colours(page: Page, written: Path) -> None:
    page.open(written, 1280, 900)
    visible = "Object.entries(report.map.layers).filter(([, layer]) => layer.options.opacity > 0).map(([name]) => name)"
    assert page.run("Object.keys(report.map.layers)") == ["reference", "target", "corrected"]
    assert page.run(visible) == ["reference"]
    page.run("document.querySelector('input[value=target]').click()")
    assert page.run(visible) == ["target"]
    page.run("document.querySelector('.blinker').click()")
    assert not page.run("report.map.map.hasLayer(report.map.points)")
    seen = set()
    end = time.monotonic() + 5
    while len(seen) < 2 and time.monotonic() < end:
        seen.update(page.run(visible))
        time.sleep(0.1)
    assert seen == {"reference", "target"}
    page.run("document.querySelector('.blinker').click()")
    assert page.run(visible) == ["target"] and page.run("report.map.map.hasLayer(report.map.points)")
    fills = "JSON.stringify(report.map.markers.map((marker) => marker.options.fillColor))"
    looks = set()
    for name in ("residual", "confidence", "shift"):
        page.run(f"document.querySelector('input[name=colour][value={name}]').click()")
        looks.add(page.run(fills))
    assert len(looks) == 3
    assert page.run("report.map.markers.filter((marker) => marker.options.fillColor === '#D55E00').length") == 20
    assert page.run("document.querySelector('.ends').lastElementChild.textContent").endswith(" m")
    page.run("document.querySelector('input[name=colour][value=none]').click()")
    assert not page.run("report.map.map.hasLayer(report.map.points)")
    assert page.complaints == []


@pytest.mark.browser
def test_map_and_swipe_obey_the_keyboard(page: Page, written: Path) -> None:
    page.open(written, 1280, 900)
    zoom = page.run("report.map.map.getZoom()")
    page.run("document.querySelector('.stage').focus()")
    page.key("Enter")
    page.settle()
    assert "confidence" in page.run("document.querySelector('.leaflet-popup-content').textContent")
    page.run("document.querySelector('.leaflet-control-zoom-in').click()")
    time.sleep(0.5)
    assert page.run("report.map.map.getZoom()") > zoom
    page.run("document.querySelector('img-comparison-slider').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
    time.sleep(0.3)
    page.call("Input.dispatchKeyEvent", type="keyUp", key="ArrowRight")
    assert float(page.run("document.querySelector('img-comparison-slider').getAttribute('aria-valuenow')")) > 50


@pytest.mark.browser
def test_swipe_is_dragged_by_its_line(page: Page, written: Path) -> None:
    page.open(written, 1280, 900)
    x, y = middle_of(page, "img-comparison-slider")
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseMoved", x - 150, y, button="left", buttons=1)
    page.mouse("mouseReleased", x - 150, y, button="left", clickCount=1)
    width = page.run("document.querySelector('img-comparison-slider').offsetWidth")
    share = page.run("document.querySelector('img-comparison-slider').value")
    assert share == pytest.approx(50 - 100 * 150 / width, abs=0.5)
    label = "document.querySelector('.sides').lastElementChild.textContent"
    assert page.run(label) == page.run("document.querySelector('input[name=side]:checked').value")
    sources = set()
    for side in ("target", "corrected target"):
        page.run(f"document.querySelector('input[name=side][value=\"{side}\"]').click()")
        sources.add(page.run("document.querySelector('[slot=second]').src"))
        assert page.run(label) == side
    assert len(sources) == 2


@pytest.mark.usefixtures("coarse_figures")
@pytest.mark.browser
def test_thirty_thousand_points_are_on_the_map(page: Page, tmp_path: Path) -> None:
    """All are drawn, and the console has no message; no time is asserted."""
    result = shifted_pair(right=MOST_POINTS - 100, wrong=100)
    page.open(write_report(result, tmp_path / "report"), 1280, 900)
    assert page.run("report.map.markers.length") == page.run("report.map.points.getLayers().length") == MOST_POINTS
    assert page.complaints == []


@pytest.mark.browser
@pytest.mark.parametrize(
    "options", [{"right": 5, "wrong": 5}, {"right": 0, "wrong": 0}, {"georeferenced": False}], ids=str
)
def test_every_outcome_in_a_browser(page: Page, tmp_path: Path, options: dict[str, int]) -> None:
    result = shifted_pair(**options)  # type: ignore[arg-type]
    page.open(write_report(result, tmp_path / "report", Run(COMMAND)), 390, 844, phone=True)
    assert page.run("report.map.markers.length") == len(result.matches)
    text = page.run("[...Array(report.map.data.count).keys()].flatMap((index) => report.map.describe(index)).join()")
    if len(result.matches):
        assert ("residual" in text) == (result.registration is not None)
        assert ("native px" in text) == (result.errors is not None)
    assert not re.search(r"nan|infinity|undefined|null", text, re.IGNORECASE)
    assert page.run("document.querySelector('[value=residual]') !== null") == (result.registration is not None)
    assert page.wider_than(390) == [] and page.complaints == [] and page.faults() == []
