"""Georeferences: maps without a CRS, ground control points, other planets, points off Earth, axes of ground errors."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, UTM, Writer, make_raster, texture
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform

from s2match.core.file_pixels import from_file, whole_file
from s2match.core.footprint import footprint, require_overlap
from s2match.core.georeference import predict
from s2match.core.grid import Grid
from s2match.core.ground_axes import ground_axes
from s2match.core.ground_errors import ground_errors
from s2match.core.mask import Mask
from s2match.core.matches import Matches, Provenance
from s2match.core.raster import Raster
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.correction.decision import CorrectionOutcome, decide
from s2match.correction.evaluation import measure_improvement
from s2match.correction.request import CorrectionRequest, correct
from s2match.errors import NoOverlapError
from s2match.io.masks import read_mask
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_grid, read_whole
from s2match.outputs.correction_text import correction_lines
from s2match.outputs.facts import correction_facts, facts
from s2match.outputs.report.run import Run
from s2match.outputs.report.writing import write_report
from s2match.outputs.summary import summary
from s2match.pipeline import register
from s2match.result import PairResult
from s2match.settings import Settings
from s2match.tiepoints.formats import read_tie_points, write_tie_points
from s2match.tiepoints.points import tie_points_of

pytestmark = pytest.mark.usefixtures("coarse_figures")

SIDE = 240
SCENE = texture(SIDE + 60, SIDE + 60, seed=3, detail_px=3)
# The target begins 27 and 34 px further right and down; its geotransform says 4 px less and 3 px less.
BEGINS, SAYS = (27, 34), (31, 31)


def matched(reference: Path, target: Path, size: tuple[int, int] | None = None) -> PairResult:
    """Register the pair with true matches."""
    first, second = grids_of(scene_of(reference), scene_of(target), size)
    xy = np.random.default_rng(0).uniform(40, SIDE - 10, (300, 2))
    scale = np.array(first.size) / SIDE
    matches = Matches(xy * scale, from_file(second, xy - BEGINS), np.ones(300), Provenance("test", "cpu", 0.8))
    settings = Settings(device="cpu", geometry="translation", image_size=size)
    return register(first, second, matches, settings, (read_whole(first), read_whole(second)))


def files(
    write_image: Writer, first: CRS | None, second: CRS | None, says: tuple[int, int] = SAYS
) -> tuple[Path, Path]:
    images = SCENE[:SIDE, :SIDE], SCENE[BEGINS[1] : BEGINS[1] + SIDE, BEGINS[0] : BEGINS[0] + SIDE]
    return (
        write_image("a.tif", images[0], GRID, first),
        write_image("b.tif", images[1], GRID @ Affine.translation(*says), second),
    )


def test_maps_without_a_reference_system_are_compared_in_their_units(write_image: Writer, tmp_path: Path) -> None:
    result = matched(*files(write_image, None, None))
    told, known = summary(result), facts(result)
    assert "+40.0 ± 2.0 map units off in x and +30.0 ± 2.0 map units off in y" in told
    inliers = known["ground_errors"]["inliers"]
    assert inliers["median_x_map_units"] == pytest.approx(40) and inliers["median_y_map_units"] == pytest.approx(30)
    assert known["displacement"]["mean_x_map_units"] == pytest.approx(40, abs=0.1)
    assert known["native_pixel_m"] is None and known["native_pixel_map_units"] == 10
    assert known["reference"]["transform"] == list(GRID)[:6] and known["reference"]["crs"] is None
    assert known["reference"]["notes"] == ["its geotransform names no reference system"]
    for text in (told, json.dumps(known["ground_errors"]), json.dumps(known["displacement"])):
        assert " m " not in text and '_m"' not in text and "east" not in text
    page = write_report(result, tmp_path / "report", Run(("python",))).read_text(encoding="utf-8")
    assert "40.0 map units (4.00 px)" in page and re.search(r"\d m\b", page.split("<script")[0]) is None


def test_outputs_of_a_map_without_a_crs_lie_on_the_map(write_image: Writer, tmp_path: Path) -> None:
    result = matched(*files(write_image, None, None))
    order = CorrectionRequest(tmp_path / "c.tif")
    correct(result, order)
    with rasterio.open(order.out) as file:
        assert file.transform == GRID and file.crs is None
        right = file.read(1)[40:-40, 40:-40].astype(int) - SCENE[40 : SIDE - 40, 40 : SIDE - 40]
        assert np.abs(right).max() <= 1
    improvement = measure_improvement(result, order.out, None)
    assert improvement is not None and improvement.before.east_m == pytest.approx(40)
    outcome = CorrectionOutcome(decide(result.verdict, improvement), improvement)
    lines = "\n".join(correction_lines(order, outcome))
    assert "40.00 map units" in lines and " m " not in lines and "shift x" in lines
    before = correction_facts(order, outcome)["correction"]["before"]
    assert before["x_map_units"] == pytest.approx(40) and "east_m" not in before
    points = tie_points_of(result)
    for suffix in (".csv", ".geojson", ".gpkg", ".points"):
        write_tie_points(points, tmp_path / f"t{suffix}")
        again = read_tie_points(tmp_path / f"t{suffix}", whole_file(result.reference), whole_file(result.target))
        np.testing.assert_allclose(again.xy1_px, points.xy1_px, atol=1e-3)
    with (tmp_path / "t.csv").open(newline="") as table:
        row = next(csv.DictReader(table))
    assert float(row["X_MAP"]) - float(row["X_MAP_REF"]) == pytest.approx(40, abs=0.01) and row["X_SHIFT_M"] == ""
    assert json.loads((tmp_path / "t.geojson").read_text())["features"][0]["geometry"] is None


@pytest.mark.parametrize("lacking", [0, 1])
def test_one_image_without_a_reference_system_is_taken_to_be_in_the_others(
    write_image: Writer, tmp_path: Path, lacking: int
) -> None:
    systems: list[CRS | None] = [UTM, UTM]
    systems[lacking] = None
    result = matched(*files(write_image, systems[0], systems[1]))
    inliers = facts(result)["ground_errors"]["inliers"]
    assert inliers["median_east_m"] == pytest.approx(40) and inliers["median_north_m"] == pytest.approx(30)
    assert "taken to be in EPSG:32636, as the other image is" in summary(result)
    correct(result, CorrectionRequest(tmp_path / "c.tif"))
    with rasterio.open(tmp_path / "c.tif") as file:
        assert file.crs == UTM and file.transform == GRID


@pytest.mark.parametrize("second", [None, UTM])
def test_geotransforms_that_put_images_apart_are_not_used_and_this_is_said(
    write_image: Writer, second: CRS | None
) -> None:
    result = matched(*files(write_image, None, second, says=(900, 0)))
    assert result.errors is None and result.registration is not None
    assert "the pair is matched without georeference" in summary(result)


def with_control_points(write_image: Writer, off_px: float, count: int = 9, name: str = "a.tif") -> Path:
    """The reference, with control points instead of a geotransform, every other one off to the right."""
    path = write_image(name, SCENE[:SIDE, :SIDE], None)
    places = [(c, r) for r in (0, 110, 240) for c in (0, 120, 240)][:count]
    points = []
    for k, (column, row) in enumerate(places):
        x, y = GRID @ (column + (off_px if k % 2 else 0), row)
        points.append(GroundControlPoint(row=row, col=column, x=x, y=y, z=0.0))
    with rasterio.open(path, "r+") as file:
        file.gcps = (points, UTM)
    return path


def test_ground_control_points_are_a_georeference(write_image: Writer) -> None:
    _, target = files(write_image, UTM, UTM)
    result = matched(with_control_points(write_image, 0.1), target)
    inliers = facts(result)["ground_errors"]["inliers"]
    assert inliers["median_east_m"] == pytest.approx(40, abs=1) and inliers["median_north_m"] == pytest.approx(
        30, abs=1
    )
    assert "georeference from 9 ground control points: affine fit, 0.05 px off (RMS)" in summary(result)


@pytest.mark.parametrize(("off_px", "count", "why"), [(8, 9, "px off them, more than 1 px"), (0, 3, "lie on one line")])
def test_control_points_that_no_affine_map_fits_are_named(
    write_image: Writer, off_px: float, count: int, why: str
) -> None:
    _, target = files(write_image, UTM, UTM)
    result = matched(with_control_points(write_image, off_px, count), target)
    assert result.errors is None
    assert f"its {count} ground control points are not used: " in summary(result) and why in summary(result)


def test_a_mask_with_control_points_lies_where_they_say(write_image: Writer) -> None:
    _, target = files(write_image, UTM, UTM)
    grid = read_grid(target)
    mask = Mask(with_control_points(write_image, 0, name="mask.tif"))
    masked = read_mask(mask, grid, Window(0, 0, SIDE, SIDE))
    assert masked[: SIDE - SAYS[1] - 1, : SIDE - SAYS[0] - 1].all()
    assert not masked[SIDE - SAYS[1] + 1 :].any() and not masked[:, SIDE - SAYS[0] + 1 :].any()


# East and north


def metric(crs: CRS, longitude: float, latitude: float) -> Raster:
    (x,), (y,) = transform(CRS.from_epsg(4326), crs, [longitude], [latitude])
    return make_raster(texture(128, 128), Affine(10, 0, round(x, -1) - 640, 0, -10, round(y, -1) + 640), crs)


@pytest.mark.parametrize(
    ("code", "longitude", "latitude"),
    [(3067, 29.5, 65.0), (2154, 3.0, 46.5), (3413, -45.0, 70.5), (3035, 22.0, 52.0), (32633, 15.0, 41.0)],
)
def test_shifts_are_measured_along_the_metric_axes_of_the_file(code: int, longitude: float, latitude: float) -> None:
    raster = metric(CRS.from_epsg(code), longitude, latitude)
    errors = ground_errors(raster, raster, np.array([[60.0, 60.0]]), np.array([[60.17, 60.134]]))
    assert errors is not None
    assert errors.median_m == pytest.approx((1.7, -1.34), abs=1e-6) and errors.native_pixel_m == pytest.approx(10)
    assert errors.axes.title == f"EPSG:{code}"


@pytest.mark.parametrize(
    ("code", "longitude", "latitude", "axes"),
    [
        (3857, 33.0, 50.0, "EPSG:32636"),
        (4326, 33.0, 50.0, "EPSG:32636"),
        # universal polar stereographic is no UTM zone: 0.6 % too short at the pole, true near 81 degrees
        (32661, 10.0, 89.0, "EPSG:32632"),
        (32761, 10.0, -89.0, "EPSG:32732"),
        # counts to the west and to the south
        (2048, 20.0, -33.0, "EPSG:32734"),
        # feet
        (2263, -74.0, 40.7, "EPSG:32618"),
        # true to scale, and turned by 23, 90 and 180 degrees
        (3413, -22.0, 70.0, "EPSG:32627"),
        (3031, 90.0, -71.0, "EPSG:32746"),
        (3031, 179.0, -71.0, "EPSG:32760"),
        # a zone far from its middle
        (32633, 30.0, 10.0, "EPSG:32636"),
    ],
)
def test_other_axes_are_those_of_the_utm_zone(code: int, longitude: float, latitude: float, axes: str) -> None:
    assert ground_axes(metric(CRS.from_epsg(code), longitude, latitude)).title == axes


def test_head_and_foot_of_the_summary_name_one_pixel_and_the_axes(write_image: Writer) -> None:
    """Pixels of MODIS: sinusoidal, sheared and not square."""
    sinusoidal = CRS.from_proj4("+proj=sinu +R=6371007.181 +units=m")
    (x,), (y,) = transform(CRS.from_epsg(4326), sinusoidal, [10.0], [20.0])
    place = Affine(231.656, 0, x, 0, -231.656, y)
    image = write_image("a.tif", SCENE[:SIDE, :SIDE], place, sinusoidal)
    other = write_image("b.tif", SCENE[:SIDE, :SIDE], place, sinusoidal)
    result = matched(image, other)
    told = summary(result)
    head = told.split("240 x 240 px of ")[1].split(" m")[0]
    assert f"(px: native pixels of {head} m; shifts are medians, east and north along the axes of EPSG:32632)" in told
    assert facts(result)["ground_axes"] == "east and north along the axes of EPSG:32632"


# Points that a reference system cannot express

DISK = CRS.from_proj4("+proj=geos +h=35785831 +lon_0=0 +sweep=y +datum=WGS84 +units=m")


def disk(name: str) -> Grid:
    """An image of the whole disk, space around it."""
    side, reach = 400, 5_600_000
    place = Affine(2 * reach / side, 0, -reach, 0, -2 * reach / side, reach)
    return Grid((side, side), place, DISK, (side, side), scene_of(Path(name)))


def test_points_off_earth_have_no_error_and_do_not_count(tmp_path: Path) -> None:
    grid = disk("a.tif")
    xy = np.random.default_rng(1).uniform(120, 280, (200, 2))
    corner = np.random.default_rng(2).uniform(0, 25, (20, 2))
    places: NDArray[np.float64] = np.concatenate([xy, corner])
    matches = Matches(places, places + (2, 0), np.ones(220), Provenance("test", "cpu", 0.8))
    shown = make_raster(texture(200, 200), name="a.tif"), make_raster(texture(200, 200), name="b.tif")
    result = register(grid, disk("b.tif"), matches, Settings(device="cpu", geometry="translation"), shown)
    errors, known = result.errors, facts(result)
    assert errors is not None and np.isnan(errors.east_m[200:]).all() and np.isfinite(errors.east_m[:200]).all()
    told = known["ground_errors"]["all_matches"]
    assert told["matches"] == 200 and 50_000 < told["median_east_m"] < 75_000 and math.isfinite(told["rmse_m"])
    text = summary(result)
    assert "20 of 220 matches lie outside the area of a reference system" in text and "nan" not in text
    assert "NaN" not in json.dumps(known)
    write_tie_points(tie_points_of(result), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert rows[210]["X_SHIFT_M"] == "" and float(rows[10]["X_SHIFT_M"]) < -20_000
    page = write_report(result, tmp_path / "report", Run(("python",))).read_text(encoding="utf-8")
    assert re.search(r"\bnan\b", re.sub(r'base64,[^"]*', "", page.split("<script")[0])) is None


def test_a_map_of_another_planet_is_measured_in_its_units() -> None:
    moon = CRS.from_wkt(
        'GEOGCS["Moon",DATUM["Moon",SPHEROID["Moon",1737400,0]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
    )
    raster = make_raster(texture(128, 128), Affine(1e-3, 0, 10, 0, -1e-3, 10), moon)
    errors = ground_errors(raster, raster, np.array([[60.0, 60.0]]), np.array([[61.0, 58.0]]))
    assert errors is not None and errors.axes.unit == "map units"
    assert errors.median_m == pytest.approx((0.001, 0.002)) and errors.native_pixel_m == pytest.approx(0.001)
    with pytest.raises(NoOverlapError):
        require_overlap(raster, make_raster(texture(128, 128)))


def test_absurd_coordinates_share_no_ground() -> None:
    absurd = make_raster(texture(128, 128), Affine(10, 0, 1e20, 0, -10, 1e9), CRS.from_epsg(3857))
    with pytest.raises(NoOverlapError):
        require_overlap(make_raster(texture(128, 128)), absurd)


def test_a_pole_lies_in_the_footprint_of_the_image_around_it() -> None:
    pole = make_raster(texture(128, 128), Affine(1000, 0, -64_000, 0, -1000, 64_000), CRS.from_epsg(3413))
    world = make_raster(texture(360, 180), Affine(1, 0, -180, 0, -1, 90), CRS.from_epsg(4326))
    box = footprint(pole, world)
    assert box is not None and box[0, 1] == pytest.approx(0, abs=0.01) and box[1, 1] == pytest.approx(0.83, abs=0.02)


def test_a_part_of_the_disk_is_matched_with_an_image_of_a_zone(write_image: Writer) -> None:
    """The zone cannot express the whole disk; the disk can express the zone."""
    near = write_image("a.tif", texture(330, 330), Affine(3000, 0, 0, 0, -3000, 900_000), CRS.from_epsg(32632))
    side = 800
    place = Affine(14_000, 0, -5_600_000, 0, -14_000, 5_600_000)
    far = write_image("b.tif", texture(side, side, seed=4), place, DISK)
    for pair in ((near, far), (far, near)):
        reference, target = grids_of(scene_of(pair[0]), scene_of(pair[1]), (300, 300))
        assert read_whole(reference).valid.any() and read_whole(target).valid.mean() > 0.3
        middle = np.array([reference.size]) / 2
        assert np.isfinite(predict(middle, reference, target)).all()
