"""Areas of interest: only ground inside them is matched, at the pixels that it has."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import GRID, UTM, Writer, texture, write_geotiff
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from s2match import PairResult, Settings, match
from s2match.cli.main import main
from s2match.core.area import area_of
from s2match.core.projection import reproject
from s2match.core.scene import scene_of
from s2match.errors import ImageSizeError, MaskError, NoOverlapError, OptionError, S2MatchError
from s2match.io.area import area_window
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_grid
from s2match.pipeline import pair_grids

SIZE = 320

# Pixels (left, top, right, bottom) of the area, and its map coordinates.
LEFT, TOP, RIGHT, BOTTOM = 120, 60, 280, 200
BOX = (GRID.c + 10 * LEFT, GRID.f - 10 * BOTTOM, GRID.c + 10 * RIGHT, GRID.f - 10 * TOP)

# A triangle within the box: pixels of the reference.
TRIANGLE = shapely.Polygon([(LEFT, TOP), (RIGHT, TOP), (LEFT, BOTTOM)])

# Where the georeference of the target is wrong within the area: pixels to the right and down.
INSIDE_PX = (3, -2)


def write_polygons(path: Path, pixels: "list[shapely.Geometry]", crs: str = "EPSG:32636") -> Path:
    """Write geometries in pixels of the reference as a vector file."""
    placed = [shapely.transform(one, lambda xy: xy * (10, -10) + (GRID.c, GRID.f)) for one in pixels]
    geopandas.GeoSeries(placed, crs=UTM).to_crs(crs).to_file(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The target shows other ground outside of the triangle: the same texture, moved the other way."""
    folder = tmp_path_factory.mktemp("area")
    scene = texture(SIZE + 40, SIZE + 40, seed=3, detail_px=2.5)
    right, down = INSIDE_PX
    inside = scene[20 + down : 20 + down + SIZE, 20 + right : 20 + right + SIZE]
    outside = scene[20 - 4 * down : 20 - 4 * down + SIZE, 20 - 4 * right : 20 - 4 * right + SIZE]
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    image = np.where(shapely.contains_xy(TRIANGLE.buffer(8), x, y), inside, outside)
    return (
        write_geotiff(folder / "a.tif", scene[20 : 20 + SIZE, 20 : 20 + SIZE]),
        write_geotiff(folder / "b.tif", image),
    )


def assert_inside(result: PairResult, shape: shapely.Geometry) -> None:
    """All matches lie in the shape, in pixels of the reference's file, and have the shift inside."""
    registration = result.registration
    assert registration is not None and registration.model == "translation"
    assert result.matrix is not None and result.matrix[:2, 2] == pytest.approx(-np.array(INSIDE_PX), abs=0.3)
    xy = result.matches.xy0 + (LEFT, TOP)
    assert len(xy) > 100 and shapely.contains_xy(shape.buffer(0.8), *xy.T).all()


def test_only_ground_in_a_polygon_is_matched_by_every_way_in(images: tuple[Path, Path], tmp_path: Path) -> None:
    """At native pixels, though --image_size is half of the image's."""
    polygon = write_polygons(tmp_path / "area.gpkg", [TRIANGLE], "EPSG:3035")
    settings = Settings(aoi=polygon, image_size=(160, 160), confidence=0.3)
    result = match(*images, settings)
    assert result.reference.size == result.target.size == (RIGHT - LEFT, BOTTOM - TOP)
    assert_inside(result, TRIANGLE)
    assert 0.4 < result.previews[0].masked_share < 0.55
    words = ["match", "--images", *map(str, images), "--aoi", str(polygon), "--image_size", "160", "160"]
    words += ["--confidence", "0.3", "--no-show", "--no-figure", "--json", str(tmp_path / "r.json")]
    assert main(words) == 0
    facts = json.loads((tmp_path / "r.json").read_text())
    assert facts["matches"] == len(result.matches) and facts["options"]["aoi"] == str(polygon)
    matrix = facts["registration"]["matrix_reference_file_px_to_target_file_px"]
    assert matrix == pytest.approx(np.array(result.matrix), abs=1e-12)
    # without the area, most of the ground has the other shift
    whole = match(*images, image_size=(160, 160), confidence=0.3)
    assert whole.matrix is not None and np.abs(whole.matrix[:2, 2] + INSIDE_PX).max() > 5


@dataclass(frozen=True)
class Boxed:
    """A box, its CRS, and how exact its window is, in pixels."""

    box: tuple[float, ...]
    crs: str | None
    exact: float


DEGREES = transform_bounds(UTM, "EPSG:4326", *BOX)
BOXES = {
    "the image's own system": Boxed(BOX, "EPSG:32636", 0),
    "pixels that are cut": Boxed((BOX[0] + 4, BOX[1] - 4, BOX[2] - 4, BOX[3] + 4), "EPSG:32636", 0),
    "degrees": Boxed(DEGREES, None, 4),
    "a turn further west": Boxed((DEGREES[0] - 360, DEGREES[1], DEGREES[2] - 360, DEGREES[3]), None, 4),
    "next zone": Boxed(transform_bounds(UTM, "EPSG:32637", *BOX), "EPSG:32637", 20),
}


@pytest.mark.parametrize("case", BOXES)
def test_a_box_crops_both_images(case: str, images: tuple[Path, Path]) -> None:
    """A box of another system is turned on the map, so that its bounding box is larger."""
    boxed = BOXES[case]
    settings = Settings(aoi=boxed.box, aoi_crs=boxed.crs, image_size=None)
    grids = pair_grids(*map(scene_of, images), settings)
    for grid in grids:
        edges = np.array([*grid.corner, grid.corner[0] + grid.size[0], grid.corner[1] + grid.size[1]])
        assert np.abs(edges - (LEFT, TOP, RIGHT, BOTTOM)).max() <= boxed.exact
        assert grid.masking.area is not None
    if boxed.exact == 0:
        assert grids[0].resized((80, 70)).transform == GRID @ Affine.translation(LEFT, TOP) @ Affine.scale(2)


def test_a_box_in_degrees_masks_what_lies_outside_of_it(images: tuple[Path, Path]) -> None:
    result = match(*images, aoi=DEGREES, image_size=None, confidence=0.3)
    grid = result.reference
    y, x = np.mgrid[: grid.size[1], : grid.size[0]] + 0.5
    ground = np.stack([x.ravel(), y.ravel()], axis=1) * (10, -10) + (grid.transform.c, grid.transform.f)  # type: ignore[union-attr]
    longitude, latitude = reproject(ground, UTM, CRS.from_epsg(4326)).T.reshape(2, *x.shape)
    west, south, east, north = DEGREES
    inside = (west <= longitude) & (longitude <= east) & (south <= latitude) & (latitude <= north)
    assert (result.previews[0].valid == inside).mean() > 0.999 and 0.9 < inside.mean() < 1


def test_a_target_of_another_zone(images: tuple[Path, Path], tmp_path: Path) -> None:
    from rasterio.warp import Resampling, calculate_default_transform
    from rasterio.warp import reproject as warp

    with rasterio.open(images[1]) as file:
        transform, width, height = calculate_default_transform(UTM, "EPSG:32637", SIZE, SIZE, *file.bounds)
        image = np.zeros((height, width), np.uint8)
        warp(
            file.read(1),
            image,
            src_transform=file.transform,
            src_crs=UTM,
            dst_transform=transform,
            dst_crs="EPSG:32637",
            resampling=Resampling.cubic,
        )
    target = write_geotiff(tmp_path / "c.tif", image, transform, CRS.from_epsg(32637))
    result = match(
        images[0], target, aoi=write_polygons(tmp_path / "a.geojson", [TRIANGLE], "EPSG:4326"), confidence=0.3
    )
    assert result.inlier_errors is not None
    assert result.inlier_errors.median_m == pytest.approx((-10 * INSIDE_PX[0], 10 * INSIDE_PX[1]), abs=3)
    assert shapely.contains_xy(TRIANGLE.buffer(1.5), *(result.matches.xy0 + (LEFT, TOP)).T).all()


def test_the_correction_of_an_area_is_measured_in_it(images: tuple[Path, Path], tmp_path: Path) -> None:
    import s2match

    polygon = write_polygons(tmp_path / "area.shp", [TRIANGLE])
    done = s2match.coregister(*images, tmp_path / "c.tif", aoi=polygon, confidence=0.3)
    assert done.files == (tmp_path / "c.tif",) and done.improvement is not None and done.improvement.better
    assert done.improvement.after.rmse_m < 5 < 30 < done.improvement.before.rmse_m
    assert read_grid(tmp_path / "c.tif").size == (SIZE, SIZE)


def test_a_mask_beside_the_area_masks_nothing(images: tuple[Path, Path], tmp_path: Path) -> None:
    """It is no error, as that of a mask beside the image is."""
    beside = write_polygons(tmp_path / "lake.gpkg", [shapely.box(5, 5, 20, 20)])
    choices: dict[str, Any] = {"aoi": BOX, "aoi_crs": "EPSG:32636", "confidence": 0.3}
    masked, plain = match(*images, mask=beside, **choices), match(*images, **choices)
    assert len(masked.matches) == len(plain.matches)
    away = write_polygons(tmp_path / "sea.gpkg", [shapely.box(5000, 5, 5020, 20)])
    with pytest.raises(MaskError, match=r"sea\.gpkg lies on no ground"):
        match(*images, mask=away, **choices)


def test_a_box_across_the_180th_meridian() -> None:
    assert area_of((179.9, -20, -179.8, -19), None).box == pytest.approx((179.9, -20, 180.2, -19))


def test_a_rotated_image_is_cropped_to_the_bounding_box_in_its_pixels(tmp_path: Path) -> None:
    turned = GRID @ Affine.rotation(30)
    path = write_geotiff(tmp_path / "t.tif", texture(SIZE, SIZE), turned)
    centre = np.array(turned @ (160, 160))
    box = (*(centre - 400), *(centre + 400))
    window = area_window(area_of(box, "EPSG:32636"), read_grid(path))
    half = 40 * (np.cos(np.pi / 6) + np.sin(np.pi / 6))
    assert window is not None and (window.width, window.height) == pytest.approx((2 * half, 2 * half), abs=1.1)


LINE = shapely.LineString([(LEFT, TOP), (RIGHT, BOTTOM)])

REFUSED: dict[str, tuple[dict[str, Any], type[S2MatchError], str]] = {
    "elsewhere": ({"aoi": (1, 2, 3, 4)}, NoOverlapError, "The area of interest 1 2 3 4 does not touch a.tif."),
    "too small": (
        {"aoi": (BOX[0], BOX[1], BOX[0] + 300, BOX[1] + 300), "aoi_crs": "EPSG:32636"},
        ImageSizeError,
        "30 x 30",
    ),
    "empty": ({"aoi": (3, 4, 1, 2)}, OptionError, "3 4 1 2 is empty"),
    "no degrees": ({"aoi": BOX}, OptionError, "is not in degrees"),
    "three numbers": ({"aoi": (1, 2, 3)}, OptionError, "is neither a box"),
    "unknown system": ({"aoi": BOX, "aoi_crs": "EPSG:1"}, OptionError, "'EPSG:1' of the area of interest is unknown"),
    "system alone": ({"aoi_crs": "EPSG:4326"}, OptionError, "has no effect without --aoi"),
    "system of a file": ({"aoi": "area.gpkg", "aoi_crs": "EPSG:4326"}, OptionError, "area.gpkg, which has its own"),
    "no such file": ({"aoi": "area.gpkg"}, MaskError, "Cannot read the area of interest area.gpkg"),
    "no vector file": ({"aoi": "area.tif"}, MaskError, "suffix must be one of .gpkg, .geojson, .json, .shp"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_area_that_cannot_be_used_is_one_sentence(case: str, images: tuple[Path, Path]) -> None:
    choices, error, words = REFUSED[case]
    with pytest.raises(error) as raised:
        match(*images, **choices)
    assert words in str(raised.value) and str(raised.value).endswith(".")


def test_an_area_needs_polygons_and_a_reference_system(images: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="has lines or points, and no polygons"):
        match(*images, aoi=write_polygons(tmp_path / "line.gpkg", [LINE]))
    plain = write_geotiff(tmp_path / "plain.tif", texture(SIZE, SIZE), None, None)
    with pytest.raises(OptionError, match=r"needs images with a reference system, and plain\.tif has none"):
        match(images[0], plain, aoi=DEGREES)


def test_parts_that_only_one_image_shows(write_image: Writer, tmp_path: Path) -> None:
    scene = texture(400, 200, seed=1)
    files = [
        scene_of(write_image("a.tif", scene[:, :250])),
        scene_of(write_image("b.tif", scene[:, 150:], GRID @ Affine.translation(150, 0))),
    ]
    path = write_polygons(tmp_path / "parts.gpkg", [shapely.box(10, 10, 100, 100), shapely.box(300, 10, 390, 100)])
    with pytest.raises(NoOverlapError, match="touches no ground that both images show"):
        grids_of(*files, None, area=area_of(path, None))


def test_the_command_takes_a_box_or_a_file(
    images: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["match", "--images", *map(str, images), "--no-figure", "--no-show", "--image_size", "native"]
    assert main([*words, "--confidence", "0.3", "--aoi", *map(str, BOX), "--aoi_crs", "EPSG:32636"]) == 0
    assert "a.tif  (160 x 140 px of 10 m)" in capsys.readouterr().out
    polygon = str(write_polygons(tmp_path / "area.gpkg", [TRIANGLE]))
    assert main([*words, "--confidence", "0.3", "--aoi", polygon]) == 0
    assert "a.tif  (160 x 140 px of 10 m, 50% outside the area of interest)" in capsys.readouterr().out
    for wrong in (["1", "2", "3"], ["1", "2", "3", "x"]):
        with pytest.raises(SystemExit):
            main([*words, "--aoi", *wrong])
        assert "give west, south, east and north, or a file of polygons" in capsys.readouterr().err
    assert (
        main(["match", "--images", *map(str, images), "--aoi", "-3.5", "-2", "-1.25", "4"]) == NoOverlapError.exit_code
    )
    assert "The area of interest -3.5 -2 -1.25 4 does not touch a.tif." in capsys.readouterr().err


def test_a_series_is_matched_in_the_area(tmp_path: Path) -> None:
    import s2match

    scene = texture(SIZE + 10, SIZE + 10, seed=3, detail_px=2.5)
    (tmp_path / "dates").mkdir()
    for k in range(3):
        write_geotiff(tmp_path / f"dates/2020010{k + 1}.tif", scene[k : k + SIZE, 2 * k : 2 * k + SIZE])
    result = s2match.series(tmp_path / "dates", aoi=BOX, aoi_crs="EPSG:32636", confidence=0.3)
    shifts = np.array([(row.dx_m, row.dy_m) for row in result.dates], float)
    assert shifts == pytest.approx(np.array([(20, -10), (0, 0), (-20, 10)]), abs=3)
    with pytest.raises(NoOverlapError, match="touches none of the images"):
        s2match.series(tmp_path / "dates", aoi=(1, 2, 3, 4))
