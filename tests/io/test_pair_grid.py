"""Pair grids of images of any CRS, pixel size and footprint."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, UTM, Writer, texture
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

import model_inference
from s2match.core.georeference import predict
from s2match.core.grid import Grid
from s2match.core.ground_axes import pixel_sides_m
from s2match.core.scene import Scene, scene_of
from s2match.core.window import Window
from s2match.errors import ImageSizeError, NoOverlapError, OptionError
from s2match.io.masking import masking_of
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_grid, read_whole, read_window

pytestmark = pytest.mark.usefixtures("coarse_figures")

NEXT_ZONE = CRS.from_epsg(32637)
GEOGRAPHIC = CRS.from_epsg(4326)
SIDE = 400


def projected(image: NDArray[np.uint8], crs: CRS, pixel: float, write_image: Writer, name: str = "b.tif") -> Path:
    """Write an image on GRID in another CRS, exactly."""
    bounds = rasterio.transform.array_bounds(*image.shape, GRID)
    west, south, east, north = rasterio.warp.transform_bounds(UTM, crs, *bounds)
    width, height = int((east - west) / pixel), int((north - south) / pixel)
    transform = Affine(pixel, 0, west, 0, -pixel, north)
    out = np.zeros((height, width), np.uint8)
    reproject(
        image,
        out,
        src_transform=GRID,
        src_crs=UTM,
        dst_transform=transform,
        dst_crs=crs,
        dst_nodata=0,
        resampling=Resampling.cubic,
        tolerance=0.0,
    )
    return write_image(name, np.stack([out] * 3), transform, crs, nodata=0)


def shift_px(image: NDArray[np.uint8], other: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(2,) shift (x, y) of two nearly equal images, by least squares on their gradient."""
    rows, columns = np.gradient(image.astype(float))
    slopes = np.stack([columns[valid], rows[valid]], axis=1)
    return np.linalg.lstsq(slopes, (image.astype(float) - other)[valid], rcond=None)[0]


@pytest.mark.parametrize(("crs", "pixel"), [(NEXT_ZONE, 10.0), (NEXT_ZONE, 5.0), (GEOGRAPHIC, 0.0001)])
def test_a_target_of_another_crs_is_resampled_onto_the_pixels_of_the_reference(
    write_image: Writer, crs: CRS, pixel: float
) -> None:
    image = texture(SIDE, SIDE, seed=3)
    reference, target = grids_of(
        scene_of(write_image("a.tif", image)), scene_of(projected(image, crs, pixel, write_image)), None
    )
    assert target.crs == UTM and reference.size == (SIDE, SIDE)
    offset = predict(np.zeros((1, 2)), reference, target)[0]
    assert np.allclose(offset, np.rint(offset), atol=1e-6)
    left, top = np.rint(offset).astype(int)
    patch = read_window(target, Window(int(left), int(top), SIDE, SIDE))
    inside = np.zeros((SIDE, SIDE), bool)
    inside[20:-20, 20:-20] = True
    assert patch.valid[inside].all()
    assert np.abs(shift_px(image, patch.image[..., 0], inside)).max() < 0.02
    assert np.abs(image.astype(float) - patch.image[..., 0])[inside].mean() < 2


def test_windows_of_a_resampled_grid_are_cuts_of_the_whole(write_image: Writer) -> None:
    image = texture(SIDE, SIDE, seed=4)
    _, target = grids_of(
        scene_of(write_image("a.tif", image)), scene_of(projected(image, NEXT_ZONE, 10, write_image)), (200, 200)
    )
    whole = read_whole(target)
    part = read_window(target, Window(60, 70, 90, 80))
    assert np.abs(whole.image[70:150, 60:150].astype(int) - part.image).max() <= 1
    assert (whole.valid[70:150, 60:150] == part.valid).all()


def test_pixels_beyond_a_resampled_target_are_nodata(write_image: Writer) -> None:
    image = texture(SIDE, SIDE, seed=4)
    _, target = grids_of(
        scene_of(write_image("a.tif", image)), scene_of(projected(image, NEXT_ZONE, 10, write_image)), None
    )
    corner = read_window(target, Window(0, 0, 4, 4))
    assert not corner.valid.any() and not corner.image.any()


def sizes(grids: tuple[Grid, Grid]) -> list[tuple[int, int]]:
    return [grid.size for grid in grids]


def scenes(first: Path, second: Path) -> tuple[Scene, Scene]:
    return scene_of(first), scene_of(second)


def strips(write_image: Writer, moved: float = 250.4) -> tuple[Path, Path]:
    """Two images of one zone that share a strip."""
    scene = texture(SIDE + 300, SIDE, seed=6)
    there = GRID @ Affine.translation(moved, 0)
    return write_image("a.tif", scene[:, :SIDE]), write_image("b.tif", scene[:, 250 : 250 + SIDE], there)


def test_the_overlap_alone_at_every_pixel(write_image: Writer) -> None:
    first, second = strips(write_image)
    reference, target = grids_of(*scenes(first, second), None, overlap_only=True)
    assert reference.size == target.size == (150, SIDE)
    assert reference.corner == (250, 0) and target.corner == (0, 0)
    assert (read_whole(reference).image == read_whole(reference.resized((150, SIDE))).image).all()
    with rasterio.open(first) as file:
        assert (read_whole(reference).image[..., 0] == file.read(1)[:, 250:]).all()
    corner = predict(np.zeros((1, 2)), reference, target)[0]
    assert np.allclose(corner, [-0.4, 0])


def test_the_overlap_gets_all_the_pixels_asked_for(write_image: Writer) -> None:
    reference, target = grids_of(*scenes(*strips(write_image)), (160, 160), overlap_only=True)
    assert reference.size == target.size == (98, 261)
    assert abs(reference.size[0] * reference.size[1] / 160**2 - 1) < 0.01
    whole = read_whole(reference)
    assert whole.transform is not None
    assert np.allclose(whole.transform @ (0, 0), GRID @ (250, 0))
    assert np.allclose(whole.transform @ whole.size, GRID @ (SIDE, SIDE))


def test_the_overlap_of_two_zones(write_image: Writer) -> None:
    image = texture(SIDE, SIDE, seed=7)
    files = write_image("a.tif", image), projected(image[:, :200], NEXT_ZONE, 10, write_image)
    reference, target = grids_of(*scenes(*files), None, overlap_only=True)
    assert 200 <= reference.size[0] < 240 and reference.size[1] == SIDE
    assert target.crs == UTM and target.source is not None


def test_overlaps_that_are_too_small(write_image: Writer) -> None:
    with pytest.raises(ImageSizeError, match="common ground is 20 x 400 px"):
        grids_of(*scenes(*strips(write_image, moved=380)), None, overlap_only=True)
    with pytest.raises(NoOverlapError):
        grids_of(*scenes(*strips(write_image, moved=4000)), None, overlap_only=True)
    plain = write_image("c.tif", texture(100, 100), None)
    with pytest.raises(OptionError, match="both are georeferenced"):
        grids_of(scene_of(plain), scene_of(plain), None, overlap_only=True)


def test_images_of_other_pixel_sizes_are_brought_to_one(write_image: Writer) -> None:
    coarse = Affine(30, 0, GRID.c, 0, -30, GRID.f)
    paths = write_image("a.tif", texture(600, 600)), write_image("b.tif", texture(200, 150), coarse)
    files = scenes(*paths)
    for size in (None, (1098, 1098), (300, 200)):
        assert sizes(grids_of(*files, size)) == [(200, 200), (200, 150)]
        assert sizes(grids_of(*files[::-1], size)) == [(200, 150), (200, 200)]
    assert sizes(grids_of(*files, (150, 150))) == [(150, 150), (150, 112)]
    assert sizes(grids_of(*files, None, enlarge=True)) == [(600, 600), (600, 450)]
    assert sizes(grids_of(*files, (300, 300), enlarge=True)) == [(300, 300), (300, 225)]


def test_pixel_sizes_that_do_not_divide_each_other(write_image: Writer) -> None:
    """Neither image gets a pixel more than its file has."""
    for side in (67, 101, 333):
        coarse = Affine(13.7, 0, GRID.c, 0, -13.7, GRID.f)
        files = scenes(write_image("a.tif", texture(400, 400)), write_image("b.tif", texture(side, side), coarse))
        for pair in (files, files[::-1]):
            for grid in grids_of(*pair, None):
                assert max(grid.size) <= max(grid.native_size)
                assert pixel_sides_m(grid, grid.transform) == pytest.approx((13.7, 13.7), rel=0.01)


@pytest.mark.parametrize(("crs", "pixel"), [(NEXT_ZONE, 30.0), (GEOGRAPHIC, 0.0003)])
def test_a_coarser_target_of_another_crs_limits_the_reference(write_image: Writer, crs: CRS, pixel: float) -> None:
    files = scenes(write_image("a.tif", texture(900, 900)), projected(texture(900, 900), crs, pixel, write_image))
    reference, target = grids_of(*files, None)
    assert target.source is not None
    assert math.prod(pixel_sides_m(reference, reference.transform)) == pytest.approx(
        math.prod(pixel_sides_m(target.source, target.source.native_transform)), rel=0.02
    )
    assert grids_of(*files, None, enlarge=True)[0].size == (900, 900)


def test_an_image_of_another_zone_with_equal_pixels_keeps_the_reference_s(write_image: Writer) -> None:
    """A map projection scales by less than a thousandth, which is no reason to resample the reference."""
    image = texture(SIDE, SIDE)
    files = scenes(write_image("a.tif", image), projected(image, NEXT_ZONE, 10, write_image))
    assert grids_of(*files, None)[0].size == grids_of(*files[::-1], None)[1].native_size == (SIDE, SIDE)


def test_an_image_is_never_enlarged_unless_asked(write_image: Writer) -> None:
    files = scenes(*(write_image(name, texture(120, 90)) for name in ("a.tif", "b.tif")))
    for size in (None, (1098, 1098), (120, 90)):
        for overlap_only in (False, True):
            assert sizes(grids_of(*files, size, overlap_only)) == [(120, 90)] * 2
    assert sizes(grids_of(*files, (480, 480), enlarge=True)) == [(480, 360)] * 2
    assert sizes(grids_of(*files, (480, 360), overlap_only=True, enlarge=True)) == [(480, 360)] * 2


@pytest.mark.parametrize("place", [GRID, None])
def test_an_image_that_is_too_small_is_named(write_image: Writer, place: Affine | None) -> None:
    large = write_image("large.tif", texture(200, 200), place)
    small = write_image("small.tif", texture(200, 40), place)
    for files in (scenes(large, small), scenes(small, large)):
        with pytest.raises(ImageSizeError, match=r"small.tif has 200 x 40 px .* 64 px .* --enlarge"):
            grids_of(*files, (1098, 1098))
        assert min(min(grid.size) for grid in grids_of(*files, (128, 128), enlarge=True)) == 64


def ground_pixels_m(grids: tuple[Grid, Grid]) -> NDArray[np.float64]:
    """(2, 2) width and height of a pixel of the reference and of the target."""
    return np.array([pixel_sides_m(grid, grid.transform) for grid in grids])


@pytest.mark.parametrize(
    ("size", "enlarge"),
    [((1098, 1098), True), ((500, 400), True), ((250, 200), False), ((1098, 1098), False), (None, False)],
)
@pytest.mark.parametrize("chip_first", [True, False])
def test_a_chip_and_a_large_image_have_one_pixel_size(
    write_image: Writer, size: tuple[int, int] | None, enlarge: bool, chip_first: bool
) -> None:
    """The large image is cropped around the chip, wherever the chip lies."""
    large = write_image("large.tif", np.zeros((1024, 768), np.uint8))
    for corner in ((344, 237), (0, 0), (500, 1000)):
        chip = write_image("chip.tif", np.zeros((300, 300), np.uint8), GRID @ Affine.translation(*corner))
        files = scenes(chip, large) if chip_first else scenes(large, chip)
        grids = grids_of(*files, size, enlarge=enlarge)
        sides = ground_pixels_m(grids)
        # the sides of the grids are rounded to whole pixels
        assert np.allclose(sides, sides[0, 0], rtol=4e-3)
        if size in (None, (1098, 1098)) and not enlarge:
            assert np.allclose(sides, 10)
        else:
            assert (
                size is not None
                and grids[0].size[0] <= size[0]
                and grids[0].size[1] <= size[1]
                and size[1] in grids[0].size
            )
        chip_grid, rest = grids if chip_first else grids[::-1]
        assert chip_grid.native_size == (300, 300) and rest.native_size == (450, 450)
        low, high = predict(np.array([[0.0, 0.0], chip_grid.size]), chip_grid, rest)
        shown = np.maximum(low, 0), np.minimum(high, rest.size)
        least = np.minimum(np.array(corner) + 300, (768, 1024)) - corner
        assert ((shown[1] - shown[0]) * sides[1] > 10 * least - 20).all()


def test_a_large_target_of_another_zone_is_matched_near_the_reference_alone(write_image: Writer) -> None:
    chip = write_image("a.tif", np.zeros((300, 300), np.uint8), GRID @ Affine.translation(500, 500))
    large = projected(np.zeros((1200, 1200), np.uint8), NEXT_ZONE, 10, write_image)
    reference, target = grids_of(*scenes(chip, large), (600, 600))
    assert reference.size == (300, 300) and max(target.size) < 550
    assert np.allclose(ground_pixels_m((reference, target)), 10, rtol=2e-3)
    reference, target = grids_of(*scenes(chip, large), (600, 600), enlarge=True)
    assert reference.size == (600, 600) and max(target.size) < 1100
    assert np.allclose(ground_pixels_m((reference, target)), 5, rtol=2e-3)


def test_an_image_that_is_much_larger_along_one_side_is_cropped_along_it(write_image: Writer) -> None:
    wide = write_image("a.tif", np.zeros((300, 1500), np.uint8))
    square = write_image("b.tif", np.zeros((300, 300), np.uint8), GRID @ Affine.translation(600, 10))
    reference, target = grids_of(*scenes(wide, square), (225, 225))
    assert reference.native_size == (450, 300) and reference.size == (225, 150) and target.size == (150, 150)


def test_neighbours_of_one_size_are_matched_whole(write_image: Writer) -> None:
    """Tiles that share a strip are not cropped."""
    files = scenes(*strips(write_image, moved=350))
    for size in ((100, 100), (400, 400), (1098, 1098)):
        for grid, file in zip(grids_of(*files, size), files, strict=True):
            whole = read_grid(file, min(size, (SIDE, SIDE)))
            assert replace(grid, radiometry=None, file_transform=None) == replace(whole, file_transform=None)
    native = tuple(replace(grid, radiometry=None, file_transform=None) for grid in grids_of(*files, None))
    assert native == (read_grid(files[0]), read_grid(files[1]))


def test_the_overlap_of_two_pixel_sizes_has_one(write_image: Writer) -> None:
    coarse = Affine(30, 0, GRID.c + 2015, 0, -30, GRID.f)
    files = write_image("a.tif", texture(400, 400)), write_image("b.tif", texture(200, 150), coarse)
    for size in (None, (150, 150)):
        sides = ground_pixels_m(grids_of(*scenes(*files), size, overlap_only=True))
        assert np.allclose(sides, sides[0, 0], rtol=0.01)


def test_long_and_thin_images_keep_their_proportions(write_image: Writer) -> None:
    """The shorter side keeps its minimum, and the longer one then exceeds the box."""
    files = scenes(*(write_image(name, np.zeros((120, 2400), np.uint8)) for name in ("a.tif", "b.tif")))
    assert [grid.size for grid in grids_of(*files, (500, 500))] == [(1280, 64)] * 2


def test_without_a_georeference_each_image_keeps_its_proportions(write_image: Writer) -> None:
    files = scenes(
        write_image("a.tif", np.zeros((200, 300), np.uint8), None),
        write_image("b.tif", np.zeros((400, 100), np.uint8), None),
    )
    assert sizes(grids_of(*files, (600, 600))) == [(300, 200), (100, 400)]
    assert sizes(grids_of(*files, (600, 600), enlarge=True)) == [(600, 400), (150, 600)]


def test_the_command_registers_a_chip_of_a_large_image(write_image: Writer, tmp_path: Path) -> None:
    """Its georeference is 40 m too far east and 30 m too far north."""
    scene = texture(640, 640, seed=11, detail_px=2.5)
    moved = Affine.translation(40, 30) @ GRID @ Affine.translation(230, 340)
    files = [str(write_image("a.tif", scene)), str(write_image("b.tif", scene[340:540, 230:430], moved))]
    for pair in (files, files[::-1]):
        written = ["--output", str(tmp_path / "r.png"), "--json", str(tmp_path / "r.json"), "--overwrite"]
        assert model_inference.main(["--images", *pair, "--image_size", "400", "400", *written]) == 0
        found = json.loads((tmp_path / "r.json").read_text())["displacement"]
        sign = 1 if pair is files else -1
        assert found["mean_east_m"] == pytest.approx(40 * sign, abs=1)
        assert found["mean_north_m"] == pytest.approx(30 * sign, abs=1)


@pytest.mark.parametrize("options", [[], ["--overlap_only"], ["--image_size", "native"]])
def test_the_command_matches_two_zones(write_image: Writer, tmp_path: Path, options: list[str]) -> None:
    image = texture(SIDE, SIDE, seed=8, detail_px=2.5)
    files = [str(write_image("a.tif", image)), str(projected(image, NEXT_ZONE, 10, write_image))]
    size = [] if "native" in options else ["--image_size", "400", "400"]
    written = ["--output", str(tmp_path / "r.png"), "--json", str(tmp_path / "r.json")]
    assert model_inference.main(["--images", *files, *size, *options, *written]) == 0
    facts = json.loads((tmp_path / "r.json").read_text())
    assert facts["matches"] > 1000
    assert facts["ground_errors"]["inliers"]["rmse_m"] < 2


@pytest.mark.parametrize("zone", [UTM, NEXT_ZONE])
def test_a_mask_of_the_files_pixels_follows_them(write_image: Writer, zone: CRS) -> None:
    """A mask without a georeference lies on the pixels of the file, also of a crop or a resampled image."""
    image = texture(SIDE, SIDE, seed=9)
    there = GRID @ Affine.translation(100, 40)
    reference = write_image("a.tif", image, there)
    target = projected(image, zone, 10, write_image)
    with rasterio.open(target) as file:
        masked = np.zeros((file.height, file.width), np.uint8)
    masked[:, masked.shape[1] // 2 :] = 1
    mask = write_image("mask.tif", masked, None)
    grids = grids_of(*scenes(reference, target), None, overlap_only=True)
    grid = replace(grids[1], masking=masking_of([mask]))
    whole = read_grid(target)
    valid = read_whole(grid).valid
    rows, columns = np.nonzero(valid)
    at = predict(np.stack([columns, rows], 1) + 0.5, grid, whole)
    assert valid.sum() > 10_000
    assert masked.shape[1] // 2 - 3 < at[:, 0].max() < masked.shape[1] // 2
