"""Masks of any file type, CRS and pixel size; a masked point never becomes a match."""

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, ROOT, UTM, Writer, texture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points
from rasterio.warp import transform_geom

import model_inference
from s2match import pipeline
from s2match.core.grid import Grid
from s2match.core.mask import Mask, Masking
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.errors import MaskError, NoValidPixelsError, OptionError
from s2match.io import mask_raster
from s2match.io.masking import masked_grids, masking_of
from s2match.io.masks import read_mask
from s2match.io.reader import read_grid, read_raster, read_window
from s2match.io.saturated_cloud import radius_px, saturated_cloud

pytestmark = pytest.mark.usefixtures("coarse_figures")

WGS84 = CRS.from_epsg(4326)
SAMPLE = [
    ROOT / "dataset" / "sample" / f"SYNTHETIC-B_{date}_TCI.jp2" for date in ("20240510T103621", "20220829T103641")
]


def grid_of(width: int, height: int, transform: Affine | None = GRID, native: tuple[int, int] | None = None) -> Grid:
    crs = None if transform is None else UTM
    return Grid((width, height), transform, crs, native or (width, height), scene_of(Path("a_TCI.jp2")))


def whole(grid: Grid) -> Window:
    return Window(0, 0, *grid.size)


def rectangle(transform: Affine, left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return {"type": "Polygon", "coordinates": [[tuple(transform @ corner) for corner in corners]]}


def write_drawing(path: Path, geometries: list[dict[str, Any]], source: CRS = UTM, crs: CRS = WGS84) -> Path:
    """Write geometries of one CRS to a vector file in another."""
    import pyogrio
    import shapely

    carried = [shapely.geometry.shape(transform_geom(source, crs, geometry)) for geometry in geometries]
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(carried)),
        [np.arange(len(carried))],
        ["id"],
        geometry_type=carried[0].geom_type,
        crs=crs.to_wkt(),
    )
    return path


# Rasters: which pixels are masked


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pixel_m=st.floats(4, 300),
    offset_m=st.tuples(st.floats(-600, 600), st.floats(-600, 600)),
    turn=st.sampled_from([0.0, 3.0, 30.0]),
    zone=st.sampled_from([32636, 32635, 4326]),
    seed=st.integers(0, 1000),
)
def test_no_masked_sample_is_lost(
    write_image: Writer, pixel_m: float, offset_m: tuple[float, float], turn: float, zone: int, seed: int
) -> None:
    """The pixel under the centre of a masked sample is masked, for any pixel size, CRS and position."""
    crs = CRS.from_epsg(zone)
    middle = tuple(v[0] for v in warp_points(UTM, crs, [603000.0], [5597000.0]))
    unit = 1e-5 if zone == 4326 else 1.0
    place = (
        Affine.translation(middle[0] + offset_m[0] * unit, middle[1] + offset_m[1] * unit)
        @ Affine.rotation(turn)
        @ Affine.scale(20 * unit, -20 * unit)
        @ Affine.translation(-100, -80)
    )
    samples = (np.random.default_rng(seed).random((160, 200)) < 0.002).astype(np.uint8)
    mask = Mask(write_image("mask.tif", samples, place, crs))
    grid = grid_of(90, 70, Affine(pixel_m, 0, 603000 - 45 * pixel_m, 0, -pixel_m, 5597000 + 35 * pixel_m))
    window = Window(20, 10, 60, 50)
    masked = read_mask(mask, grid, window)
    row, column = np.nonzero(samples)
    x, y = (np.array(v) for v in place @ (column + 0.5, row + 0.5))
    ground = [np.array(v) for v in warp_points(crs, UTM, x, y)]
    assert grid.transform is not None
    at = [np.floor(v).astype(int) for v in (~grid.transform @ (ground[0], ground[1]))]
    inside = (at[0] >= 20) & (at[0] < 80) & (at[1] >= 10) & (at[1] < 60)
    assert masked[at[1][inside] - 10, at[0][inside] - 20].all()
    # and no more than the box about a turned pixel, half a pixel and a sample radius
    reach_m = 1.5 * pixel_m + 20 * math.sqrt(2) * 1.6
    rows, columns = np.nonzero(masked)
    px, py = grid.transform @ (columns + 20.5, rows + 10.5)
    nearest = [np.hypot(ground[0] - a, ground[1] - b).min() for a, b in zip(px, py, strict=True)]
    assert not nearest or max(nearest) < reach_m


@pytest.mark.parametrize("georeferenced", [True, False])
def test_a_mask_of_the_image_s_own_pixels_is_exact(write_image: Writer, georeferenced: bool) -> None:
    samples = (np.random.default_rng(0).random((300, 400)) < 0.1).astype(np.uint8)
    mask = Mask(write_image("mask.png", samples, None, driver="PNG"))
    grid = grid_of(400, 300, GRID if georeferenced else None)
    np.testing.assert_array_equal(read_mask(mask, grid, whole(grid)), samples > 0)
    np.testing.assert_array_equal(read_mask(mask, grid, Window(100, 50, 80, 90)), samples[50:140, 100:180] > 0)
    here = Mask(write_image("mask.tif", samples))
    if georeferenced:
        np.testing.assert_array_equal(read_mask(here, grid, Window(100, 50, 80, 90)), samples[50:140, 100:180] > 0)
    reduced = grid_of(100, 75, GRID @ Affine.scale(4) if georeferenced else None, (400, 300))
    any_of = samples.reshape(75, 4, 100, 4).any(axis=(1, 3))
    np.testing.assert_array_equal(read_mask(mask, reduced, whole(reduced)), any_of)


def test_a_single_sample_of_a_tile_survives_its_reduction(write_image: Writer) -> None:
    samples = np.zeros((1500, 1500), np.uint8)
    samples[777, 333] = 1
    mask = Mask(write_image("mask.tif", samples))
    grid = grid_of(50, 50, GRID @ Affine.scale(30), (1500, 1500))
    masked = read_mask(mask, grid, whole(grid))
    assert masked.sum() == 1 and masked[25, 11]


def test_pieces_join_without_a_seam(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = (np.random.default_rng(0).random((1000, 900)) < 0.001).astype(np.uint8)
    mask = Mask(write_image("mask.tif", samples))
    grid = grid_of(64, 64, GRID @ Affine.scale(900 / 64, 1000 / 64), (900, 1000))
    at_once = read_mask(mask, grid, whole(grid))
    monkeypatch.setattr(mask_raster, "_SAMPLES_AT_ONCE", 5000)
    np.testing.assert_array_equal(read_mask(mask, grid, whole(grid)), at_once)
    assert 0 < at_once.sum() < at_once.size


def test_only_the_part_under_the_window_is_read(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = Mask(write_image("mask.tif", np.ones((2000, 2000), np.uint8), GRID))
    read: list[tuple[int, int]] = []
    kept = mask_raster._read_masked
    monkeypatch.setattr(
        mask_raster, "_read_masked", lambda *given: read.append((given[2].height, given[2].width)) or kept(*given)
    )
    grid = grid_of(2000, 2000)
    assert read_mask(mask, grid, Window(900, 700, 100, 80)).all()
    assert read == [(82, 102)]


def test_where_a_mask_ends_nothing_is_masked(write_image: Writer) -> None:
    mask = Mask(write_image("mask.tif", np.ones((100, 100), np.uint8), GRID @ Affine.translation(-50, -50)))
    grid = grid_of(100, 100)
    masked = read_mask(mask, grid, whole(grid))
    assert masked[:50, :50].all() and masked.sum() == 2500
    assert not read_mask(mask, grid, Window(60, 60, 40, 40)).any()


def test_across_the_180th_meridian(write_image: Writer) -> None:
    """A world mask in degrees, and an image across the meridian."""
    zone = CRS.from_epsg(32760)
    east, north = (v[0] for v in warp_points(WGS84, zone, [180.0], [-17.0]))
    place = Affine(100, 0, east - 20000, 0, -100, north + 20000)
    samples = np.zeros((1800, 3600), np.uint8)
    samples[:, :5] = samples[:, -5:] = 1
    mask = Mask(write_image("mask.tif", samples, Affine(0.1, 0, -180, 0, -0.1, 90), WGS84))
    grid = Grid((400, 400), place, zone, (400, 400), scene_of(Path("a_TCI.jp2")))
    assert read_mask(mask, grid, whole(grid)).all()


# Rasters: which values mask


@pytest.mark.parametrize(
    ("name", "options", "values", "expected"),
    [
        ("mask.tif", {}, None, range(1, 13)),
        ("mask.tif", {"nodata": 5}, None, [1, 2, 3, 4, *range(6, 13)]),
        ("T36UXA_20180820T083601_SCL_20m.tif", {"nodata": 0}, None, [0, 1, 3, 8, 9, 10]),
        ("SCL.tif", {}, None, [0, 1, 3, 8, 9, 10]),
        ("MUSCLE_SCLERA.tif", {}, None, range(1, 13)),
        ("SCL.tif", {}, (6, 11), [6, 11]),
        ("mask.tif", {"nodata": 0}, (0, 2), [0, 2]),
    ],
)
def test_values_that_mask(
    write_image: Writer, name: str, options: dict[str, int], values: tuple[int, ...] | None, expected: list[int]
) -> None:
    samples = np.repeat(np.repeat(np.arange(13, dtype=np.uint8)[None], 10, axis=1), 80, axis=0)
    grid = grid_of(130, 80)
    masked = read_mask(Mask(write_image(name, samples, **options), values), grid, whole(grid))
    assert np.unique(samples[masked]).tolist() == list(expected)
    assert not np.isin(samples[~masked], list(expected)).any()


def test_not_a_number_masks_nothing(write_image: Writer) -> None:
    samples = np.full((80, 80), np.nan, np.float32)
    samples[10, 20] = 0.5
    grid = grid_of(80, 80)
    masked = read_mask(Mask(write_image("mask.tif", samples)), grid, whole(grid))
    assert masked.sum() == 1 and masked[10, 20]


# Polygons


# GeoJSON is in degrees
@pytest.mark.parametrize(
    ("suffix", "epsg"),
    [(".geojson", 4326), *((suffix, epsg) for suffix in (".gpkg", ".shp") for epsg in (4326, 32635, 32636))],
)
def test_polygons_mask_every_pixel_they_touch(tmp_path: Path, suffix: str, epsg: int) -> None:
    drawn = rectangle(GRID, 20.5, 30.5, 60.2, 50.2)
    path = write_drawing(
        tmp_path / f"mask{suffix}", [drawn, rectangle(GRID, 90.4, 3.4, 90.6, 3.6)], crs=CRS.from_epsg(epsg)
    )
    grid = grid_of(100, 80)
    masked = read_mask(Mask(path), grid, whole(grid))
    assert masked[30:51, 20:61].all() and masked[3, 90]
    assert masked.sum() <= 1 + 23 * 43
    window = read_mask(Mask(path), grid, Window(15, 25, 30, 20))
    np.testing.assert_array_equal(window, masked[25:45, 15:45])


def test_long_sides_bend_as_the_ground_does(tmp_path: Path) -> None:
    """A side between two points on a parallel, a tile apart, follows the parallel."""
    box = {"type": "Polygon", "coordinates": [[(34.4, 50.0), (36.0, 50.0), (36.0, 50.6), (34.4, 50.6), (34.4, 50.0)]]}
    path = write_drawing(tmp_path / "mask.gpkg", [box], source=WGS84)
    grid = grid_of(10980, 10980)
    latitude = 50.0
    x, y = (np.array(v) for v in warp_points(WGS84, UTM, np.linspace(34.5, 35.8, 14), [latitude] * 14))
    column, row = ((v.astype(int)) for v in ~GRID @ (x, y))
    for c, r in zip(column, row, strict=True):
        masked = read_mask(Mask(path), grid, Window(int(c), int(r) - 5, 1, 10))[:, 0]
        assert masked[:4].all() and not masked[7:].any()


def test_the_whole_world_masks_all(tmp_path: Path) -> None:
    world = {"type": "Polygon", "coordinates": [[(-180, -90), (180, -90), (180, 90), (-180, 90), (-180, -90)]]}
    path = write_drawing(tmp_path / "world.geojson", [world], source=WGS84)
    assert read_mask(Mask(path), grid_of(10980, 10980), Window(5000, 5000, 300, 200)).all()


def test_all_layers_and_rings_that_cross_themselves(tmp_path: Path) -> None:
    import pyogrio
    import shapely

    bow_tie = [tuple(GRID @ xy) for xy in ((10, 10), (30, 30), (30, 10), (10, 30), (10, 10))]
    twice = [tuple(GRID @ xy) for xy in [(50, 10), (70, 10), (70, 30), (50, 30)] * 2 + [(50, 10)]]
    path = tmp_path / "mask.gpkg"
    for layer, ring in (("first", bow_tie), ("second", twice)):
        stored = shapely.to_wkb(np.array([shapely.Polygon(ring)]))
        pyogrio.raw.write(
            path, stored, [], [], layer=layer, geometry_type="Polygon", crs=UTM.to_wkt(), append=layer == "second"
        )
    grid = grid_of(100, 80)
    masked = read_mask(Mask(path), grid, whole(grid))
    assert masked[20, 12] and masked[20, 28] and not masked[12, 20]
    assert masked[10:30, 50:70].all()


# What cannot be a mask


def test_files_that_are_no_masks(tmp_path: Path, write_image: Writer) -> None:
    grid = grid_of(100, 80)
    (tmp_path / "broken.gpkg").write_text("hello")
    (tmp_path / "broken.tif").write_text("hello")
    three = write_image("three.tif", np.ones((3, 80, 100), np.uint8))
    for path, words in (
        (tmp_path / "broken.gpkg", "Cannot read the mask"),
        (tmp_path / "broken.tif", "Cannot read the mask"),
        (tmp_path / "missing.tif", "Cannot read the mask"),
        (tmp_path / "missing.geojson", "Cannot read the mask"),
        (three, "3 bands"),
    ):
        with pytest.raises(MaskError, match=words) as raised:
            read_mask(Mask(path), grid, whole(grid))
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)


DAMAGED_POLYGONS = {
    "no coordinates": {"type": "Polygon"},
    "a misspelt name": {"type": "Polygon", "coordiinates": [[[6e5, 56e5], [7e5, 56e5], [7e5, 55e5], [6e5, 56e5]]]},
    "a ring that is not closed": {
        "type": "Polygon",
        "coordinates": [[[6e5, 56e5], [7e5, 56e5], [7e5, 55e5], [6e5, 55e5]]],
    },
    "a ring of two points": {"type": "Polygon", "coordinates": [[[6e5, 56e5], [7e5, 55e5]]]},
    "a word": {"type": "Polygon", "coordinates": [[[6e5, "56e5"], [7e5, 56e5], [7e5, 55e5], [6e5, 56e5]]]},
}


@pytest.mark.parametrize("case", DAMAGED_POLYGONS)
def test_damaged_polygons_end_in_one_sentence(case: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.geojson"
    feature = {"type": "Feature", "properties": {"a": 1}, "geometry": DAMAGED_POLYGONS[case]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32636"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    grid = grid_of(64, 64)
    with warnings.catch_warnings(), pytest.raises(MaskError) as met:
        warnings.simplefilter("error")
        read_mask(Mask(path), grid, whole(grid))
    assert str(met.value).startswith(f"Cannot read the mask {path}: ") and "\n" not in str(met.value)


def test_a_raster_without_a_place_on_the_image(write_image: Writer, tmp_path: Path) -> None:
    other = Mask(write_image("mask.png", np.ones((80, 101), np.uint8), None, driver="PNG"))
    placed = Mask(write_image("mask.tif", np.ones((80, 101), np.uint8)))
    drawn = Mask(write_drawing(tmp_path / "mask.geojson", [rectangle(GRID, 0, 0, 9, 9)]))
    here, nowhere = grid_of(100, 80), grid_of(100, 80, None)
    for mask, grid in ((other, here), (other, nowhere), (placed, nowhere), (drawn, nowhere)):
        with pytest.raises(MaskError, match=r"lies on no ground of a_TCI\.jp2"):
            read_mask(mask, grid, whole(grid))


def test_each_image_gets_the_masks_that_lie_on_it(write_image: Writer, tmp_path: Path) -> None:
    east = Affine.translation(2000, 0) @ GRID
    grids = grid_of(100, 80), grid_of(100, 80, east)
    on_both = Mask(write_image("both.tif", np.ones((80, 400), np.uint8)))
    on_second = Mask(write_drawing(tmp_path / "second.geojson", [rectangle(east, 5, 5, 9, 9)]))
    reference, target = masked_grids(*grids, Masking((on_both, on_second)))
    assert reference.masking.masks == (on_both,) and target.masking.masks == (on_both, on_second)
    far = Affine.translation(0, 500_000) @ GRID
    for path in (
        write_image("far.tif", np.ones((80, 100), np.uint8), far),
        write_drawing(tmp_path / "far.gpkg", [rectangle(far, 0, 0, 9, 9)]),
        write_image("beside.tif", np.ones((80, 100), np.uint8), GRID @ Affine.translation(-100, 0)),
    ):
        with pytest.raises(MaskError, match=path.name):
            masked_grids(*grids, Masking((on_both, Mask(path))))


def test_values_are_for_rasters() -> None:
    with pytest.raises(OptionError, match="raster"):
        masking_of([Path("a.gpkg")], [3])
    with pytest.raises(OptionError, match="raster"):
        masking_of([], [3])
    assert masking_of([Path("a.tif")], [3]).masks == (Mask(Path("a.tif"), (3,)),)
    assert not masking_of([]) and masking_of([], clouds=True)


# Saturated cloud


def test_cloud_is_large_and_saturated_and_has_a_fringe() -> None:
    image = np.repeat(texture(300, 200)[..., None], 3, axis=2)
    image[60:100, 60:100] = 250
    image[20:30, 200:212] = 255
    image[120:170, 200:260] = (255, 255, 200)
    cloud = saturated_cloud(image, 10)
    assert cloud[60:100, 60:100].all() and cloud[80, 32] and cloud[80, 127]
    assert not cloud[80, 25] and not cloud[80, 135] and not cloud[:, 180:].any()
    assert not saturated_cloud(texture(300, 200)[..., None].repeat(3, axis=2), 10).any()
    assert saturated_cloud(np.full((50, 60, 3), 255, np.uint8), 10).all()


@pytest.mark.parametrize("pixel_m", [10.0, 60.0, 107.2])
def test_single_bright_pixels_are_no_cloud(pixel_m: float) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[np.random.default_rng(0).random((100, 100)) < 0.05] = 255
    assert not saturated_cloud(image, pixel_m).any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), pixel_m=st.sampled_from([20.0, 60.0, 110.0]))
def test_pixels_inside_the_radius_are_classified_as_in_the_whole_image(seed: int, pixel_m: float) -> None:
    bright = texture(160, 160, seed, detail_px=4) > 160
    image = (bright[..., None] * np.full(3, 255)).astype(np.uint8)
    radius = radius_px(pixel_m)
    inner = slice(20 + radius, 140 - radius)
    cut = saturated_cloud(image[20:140, 20:140], pixel_m)[radius : 120 - radius, radius : 120 - radius]
    np.testing.assert_array_equal(saturated_cloud(image, pixel_m)[inner, inner], cut)


def test_a_window_sees_the_cloud_beside_it(write_image: Writer) -> None:
    image = texture(400, 300)
    image[100:160, 80:140] = 255
    grid = replace(read_grid(write_image("a.tif", image)), masking=Masking(clouds=True))
    all_of_it = read_window(grid, whole(grid))
    beside = read_window(grid, Window(145, 60, 100, 120))
    np.testing.assert_array_equal(beside.valid, all_of_it.valid[60:180, 145:245])
    np.testing.assert_array_equal(beside.image, all_of_it.image[60:180, 145:245])
    assert 0 < beside.masked_share < 0.5


def test_cloud_needs_a_saturated_level_and_a_georeference(write_image: Writer) -> None:
    stretched = read_grid(write_image("a.tif", texture(100, 100).astype(np.float32)))
    nowhere = read_grid(write_image("b.png", texture(100, 100), None, driver="PNG"))
    usual = read_grid(write_image("c.tif", texture(100, 100)))
    for grid in (stretched, nowhere):
        with pytest.raises(MaskError, match=f"Cloud cannot be masked in {grid.scene.path.name}"):
            masked_grids(usual, grid, Masking(clouds=True))
    assert masked_grids(usual, usual, Masking(clouds=True))[0].masking.clouds


# What a user gets


def test_masked_pixels_are_invalid_and_counted_apart_from_nodata(write_image: Writer) -> None:
    image = texture(200, 100)
    image[:, :50] = 0
    cover = np.zeros((100, 200), np.uint8)
    cover[:, 40:80] = 1
    masking = Masking((Mask(write_image("mask.tif", cover)),))
    raster = read_raster(write_image("a.tif", image, nodata=0), masking=masking)
    assert not raster.valid[:, :80].any() and raster.valid[:, 80:].all()
    assert raster.nodata_share == 0.25 and raster.masked_share == pytest.approx(0.15)
    assert not raster.image[:, :80].any()


def test_nothing_left(write_image: Writer) -> None:
    masking = Masking((Mask(write_image("mask.tif", np.ones((100, 200), np.uint8))),))
    with pytest.raises(NoValidPixelsError, match=r"a\.tif contains only nodata and masked pixels"):
        read_raster(write_image("a.tif", texture(200, 100)), masking=masking)


def run(tmp_path: Path, *options: object) -> tuple[int, dict[str, Any]]:
    """Run the command on the sample at a small size: its exit code and facts."""
    arguments = [
        "--images",
        *SAMPLE,
        "--no-show",
        "--output",
        tmp_path / "r.png",
        "--json",
        tmp_path / "r.json",
        "--overwrite",
    ]
    arguments = ["--image_size", 480, 480, *arguments, *options]
    code = model_inference.main([str(argument) for argument in arguments])
    return code, json.loads((tmp_path / "r.json").read_text()) if (tmp_path / "r.json").exists() else {}


def half_of_the_sample(tmp_path: Path, kind: str) -> Path:
    """A mask of the western half of the sample's reference."""
    with rasterio.open(SAMPLE[0]) as file:
        transform, crs, (width, height) = file.transform, file.crs, (file.width, file.height)
    half = rectangle(transform, -200, -200, width / 2, height + 200)
    path = tmp_path / f"mask{kind}"
    if kind != ".tif":
        return write_drawing(path, [half], crs, WGS84 if kind == ".geojson" else CRS.from_epsg(3035))
    drawn = transform_geom(crs, WGS84, half)
    x, y = np.array(drawn["coordinates"][0]).T
    place = Affine(1e-4, 0, x.min(), 0, -1e-4, y.max())
    shape = (math.ceil(np.ptp(y) * 1e4), math.ceil(np.ptp(x) * 1e4))
    samples = rasterio.features.rasterize([drawn], shape, transform=place)
    options = {"driver": "GTiff", "dtype": "uint8", "count": 1, "transform": place, "crs": WGS84}
    with rasterio.open(path, "w", width=shape[1], height=shape[0], **options) as file:
        file.write(samples, 1)
    return path


@pytest.fixture
def matched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Results of the command."""
    results: list[Any] = []
    kept = pipeline.match_pair
    monkeypatch.setattr(pipeline, "match_pair", lambda *given: results.append(kept(*given)) or results[0])
    return results


def share_west(xy: NDArray[np.float64], grid: Any, middle: float) -> float:
    return float(np.mean((grid.transform @ (xy[:, 0], xy[:, 1]))[0] < middle))


@pytest.mark.parametrize("kind", [".geojson", ".gpkg", ".tif"])
def test_no_match_lies_on_masked_ground(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], matched: list[Any], kind: str
) -> None:
    path = half_of_the_sample(tmp_path, kind)
    code, facts = run(tmp_path, "--mask", path)
    assert code == 0
    with rasterio.open(SAMPLE[0]) as file:
        middle = (file.bounds.left + file.bounds.right) / 2
    result = matched[0]
    assert len(result.matches) > 500
    # half a native pixel, by which a mask in degrees may be off
    assert share_west(result.matches.xy0, result.reference, middle - 5) == 0
    assert share_west(result.matches.xy1, result.target, middle - 5) == 0
    assert facts["reference"]["masks"] == [path.name] and not facts["reference"]["mask_clouds"]
    assert facts["reference"]["masked_share"] == pytest.approx(0.5, abs=0.01)
    assert facts["target"]["masked_share"] == pytest.approx(0.5, abs=0.2)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("reference"))
    assert "50% masked)" in line


def test_masks_apply_in_windows(tmp_path: Path, matched: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from s2match.matching import tiled

    monkeypatch.setattr(tiled, "ONE_PASS_PX", 400)
    path = half_of_the_sample(tmp_path, ".geojson")
    assert run(tmp_path, "--mask", path)[0] == 0
    result = matched[0]
    with rasterio.open(SAMPLE[0]) as file:
        middle = (file.bounds.left + file.bounds.right) / 2
    assert len(result.matches) > 500 and result.reference.size == (480, 480) != result.previews[0].size
    for xy, grid in ((result.matches.xy0, result.reference), (result.matches.xy1, result.target)):
        assert share_west(xy, grid, middle - 5) == 0


def test_without_masks_the_json_has_no_facts_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, facts = run(tmp_path)
    assert code == 0 and facts["reference"]["masked_share"] == 0 and facts["reference"]["masks"] == []
    assert "masked" not in capsys.readouterr().out


def test_cloud_is_masked_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, facts = run(tmp_path, "--mask_clouds")
    assert code == 0 and facts["target"]["mask_clouds"]
    assert capsys.readouterr().out.count("% masked as thick cloud)") == 2
    assert facts["target"]["cloud_share"] == facts["target"]["masked_share"]


def test_cloud_and_other_masks_are_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, facts = run(tmp_path, "--mask_clouds", "--mask", half_of_the_sample(tmp_path, ".tif"))
    target = facts["target"]
    assert code == 0 and 0 <= target["cloud_share"] < target["masked_share"]
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("target"))
    assert f"{target['masked_share']:.0%} masked ({target['cloud_share']:.0%} as thick cloud))" in line


def test_bad_masks_get_one_line_and_their_code(
    tmp_path: Path, write_image: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    far = write_image("far.tif", np.ones((80, 100), np.uint8), Affine.translation(0, -2_000_000) @ GRID)
    all_of_it = half_of_the_sample(tmp_path, ".tif")
    with rasterio.open(all_of_it, "r+") as file:
        file.transform = Affine(1, 0, -10, 0, -1, 80)
        file.write(np.ones(file.shape, np.uint8), 1)
    for options, error, words in (
        (["--mask", far], MaskError, "far.tif"),
        (["--mask", tmp_path / "none.gpkg"], MaskError, "none.gpkg"),
        (["--mask_values", 3], OptionError, "Mask values"),
        (["--mask", all_of_it], NoValidPixelsError, "masked pixels"),
    ):
        assert run(tmp_path, *options)[0] == error.exit_code
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1 and words in err
        assert not (tmp_path / "r.json").exists()


def test_a_mask_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = half_of_the_sample(tmp_path, ".tif")
    kept = path.read_bytes()
    assert run(tmp_path, "--mask", path, "--output", path)[0] == 22
    assert "it is an input" in capsys.readouterr().err and path.read_bytes() == kept


def test_polygons_are_read_once_for_a_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not read again for windows, crops and other sizes of the grid, and mask the same pixels there."""
    import pyogrio

    shapes = [rectangle(GRID, 5.3, 8.3, 30.3, 20.3), rectangle(GRID, 60.3, 40.3, 90.3, 77.3)]
    mask = Mask(write_drawing(tmp_path / "mask.gpkg", shapes))
    grids = masked_grids(grid_of(100, 80), grid_of(100, 80), Masking((mask,)))
    reads: list[object] = []
    kept = pyogrio.raw.read
    monkeypatch.setattr(pyogrio.raw, "read", lambda *given, **named: reads.append(given) or kept(*given, **named))
    windows = [Window(x, y, 25, 20) for y in range(0, 80, 20) for x in range(0, 100, 25)]
    for grid in (grids[0], grids[0].resized((50, 40)), grids[0].cropped(Window(20, 10, 70, 60))):
        (drawn,) = grid.masking.masks
        parts = [window for window in windows if window.x + 25 <= grid.size[0] and window.y + 20 <= grid.size[1]]
        found = [read_mask(drawn, grid, window) for window in parts]
        assert reads == [] and any(each.any() for each in found)
        assert all((read_mask(mask, grid, window) == each).all() for window, each in zip(parts, found, strict=True))
        reads.clear()
    # an image in another reference system is another box of ground
    other = replace(grid_of(100, 80), crs=CRS.from_epsg(32637))
    assert not read_mask(grids[0].masking.masks[0], other, whole(other)).any() and reads
