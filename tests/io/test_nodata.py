"""Nodata: declared by the file or an option, detected fill values, and patches of 0; a pixel needs all used bands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, Writer, texture
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

import model_inference
from s2match.core.radiometry import ReadOptions
from s2match.core.raster import Raster
from s2match.core.window import Window
from s2match.io.reader import read_grid, read_raster, read_whole, read_window, with_radiometry

pytestmark = pytest.mark.usefixtures("coarse_figures")

SIDE = 240
# The target's georeference says that its ground lies so many metres further east and north than it does.
EAST_M, NORTH_M = 40.0, 30.0


def filled() -> NDArray[np.bool_]:
    """Mask of a wedge along the left edge, about a third of the image."""
    return np.arange(SIDE)[None] < 50 + 0.25 * np.arange(SIDE)[:, None]


def scene(dx: int = 0, dy: int = 0) -> NDArray[np.float32]:
    """3×H×W reflectance."""
    whole = texture(SIDE + 40, SIDE + 40, seed=3, detail_px=2.5)[dy : dy + SIDE, dx : dx + SIDE] / 700
    return np.stack([whole, 0.8 * whole + 0.01, 0.6 * whole + 0.02]).astype(np.float32)


def matched(first: Path, second: Path, *options: object) -> tuple[int, dict[str, Any]]:
    """Run the command: its exit code and facts."""
    out = first.parent
    arguments = ["--images", first, second, "--image_size", "native", "--no-show", "--output", out / "r.png"]
    code = model_inference.main([str(each) for each in (*arguments, "--overwrite", "--json", out / "r.json", *options)])
    return code, json.loads((out / "r.json").read_text()) if (out / "r.json").exists() else {}


def assert_shift(facts: dict[str, Any]) -> None:
    errors = facts["ground_errors"]["inliers"]
    assert errors["median_east_m"] == pytest.approx(EAST_M, abs=3)
    assert errors["median_north_m"] == pytest.approx(NORTH_M, abs=3)


# Fill in the same pixels of both images: counted as data, it alone would be matched.
def pair(write_image: Writer, fill: Any, dtype: str, scale: float = 1.0, **profile: Any) -> tuple[Path, Path]:
    paths = []
    moved = Affine.translation(EAST_M, NORTH_M) @ GRID
    for name, dx, dy, transform in (("a.tif", 0, 0, GRID), ("b.tif", 7, 12, moved @ Affine.translation(7, 12))):
        bands = (scene(dx, dy) * scale).astype(dtype)
        bands[:, filled()] = fill
        paths.append(write_image(name, bands, transform, **profile))
    return paths[0], paths[1]


@pytest.mark.parametrize("spare", [np.full((SIDE, SIDE), 0.5), texture(SIDE, SIDE, seed=9) / 500])
def test_a_complete_fourth_band_does_not_make_fill_data(write_image: Writer, spare: NDArray[Any]) -> None:
    paths = pair(write_image, -9999, "float32", nodata=-9999)
    stacks = []
    for path in paths:
        with rasterio.open(path) as file:
            bands, transform = file.read(), file.transform
        stacks.append(
            write_image(f"stack_{path.name}", np.stack([*bands, spare.astype(np.float32)]), transform, nodata=-9999)
        )
    code, facts = matched(*stacks)
    assert code == 0
    assert_shift(facts)
    for image in ("reference", "target"):
        assert facts[image]["nodata_share"] == pytest.approx(filled().mean(), abs=0.01)
        assert (facts[image]["nodata_value"], facts[image]["nodata_from"]) == (-9999, "declared")


@pytest.mark.parametrize(("dtype", "nodata"), [("float32", -9999), ("int16", -9999), ("uint16", 0), ("uint8", 0)])
def test_a_pixel_without_one_of_the_bands_has_no_data(write_image: Writer, dtype: str, nodata: float) -> None:
    bands = np.stack([texture(100, 100, seed=k).astype(dtype) for k in range(3)])
    bands[1, :40] = nodata
    raster = read_raster(write_image("a.tif", bands, nodata=nodata))
    assert not raster.valid[:40].any() and raster.valid[40:].all()


def test_declared_zeros_read_as_well_as_undeclared(write_image: Writer) -> None:
    """A stack of 16 bits whose fourth band is complete."""
    bands = np.stack([texture(100, 100, seed=k).astype(np.uint16) * 10 for k in range(4)])
    bands[:3, :40] = 0
    for nodata in (0, None):
        raster = read_raster(write_image("a.tif", bands, nodata=nodata))
        assert not raster.valid[:40].any() and raster.valid[41:].all()


@pytest.mark.parametrize("count", [4, 5, 6])
def test_alpha_counts_wherever_it_stands(write_image: Writer, count: int) -> None:
    """Pixels beside transparent ones are not mixed with their white."""
    bands = np.stack([np.minimum(texture(120, 120, seed=k), 120) for k in range(count)])
    bands[:, :50] = 255
    bands[-1] = 255
    bands[-1, :50] = 0
    path = write_image("a.tif", bands, photometric="RGB")
    with rasterio.open(path, "r+") as file:
        spare = [ColorInterp.undefined] * (count - 4)
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, *spare, ColorInterp.alpha]
    for size in (None, (90, 90)):
        raster = read_raster(path, size)
        assert raster.valid.mean() == pytest.approx(70 / 120, abs=0.01)
        assert raster.image[raster.valid].max() <= 120


def test_alpha_is_no_colour(write_image: Writer) -> None:
    """Of two bands and alpha the first one is used."""
    bands = np.stack([texture(100, 100), texture(100, 100, seed=1), np.full((100, 100), 255, np.uint8)])
    path = write_image("a.tif", bands, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha]
    np.testing.assert_array_equal(read_raster(path).image, np.repeat(bands[0][..., None], 3, axis=2))


# Fill that nobody declared

FILLS = [
    (-9999, "float32", 1.0),
    (np.finfo(np.float32).min, "float32", 1.0),
    (-9999, "int16", 10_000),
    (-32768, "int16", 10_000),
    (65535, "uint16", 10_000),
]


@pytest.mark.parametrize(("fill", "dtype", "scale"), FILLS)
def test_undeclared_fill_is_detected_and_reported(
    write_image: Writer, capsys: pytest.CaptureFixture[str], fill: float, dtype: str, scale: float
) -> None:
    code, facts = matched(*pair(write_image, fill, dtype, scale))
    assert code == 0
    assert_shift(facts)
    out = capsys.readouterr().out
    for name, image in (("a.tif", "reference"), ("b.tif", "target")):
        assert facts[image]["nodata_share"] == pytest.approx(filled().mean(), abs=0.03)
        assert (facts[image]["nodata_value"], facts[image]["nodata_from"]) == (fill, "detected")
        (line,) = (line for line in out.splitlines() if line.startswith("nodata") and name in line)
        assert f"{fill:.9g}" in line and "--nodata" in line


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("uint16", 9000), ("float32", 1.0), ("float32", 0.0), ("int16", 0)],
)
def test_cloud_and_water_are_no_fill(write_image: Writer, dtype: str, value: float) -> None:
    bands = (scene() * (1 if dtype == "float32" else 10_000)).astype(dtype)
    bands[:, :, :60] = value
    raster = read_raster(write_image("a.tif", bands))
    assert raster.radiometry is not None and raster.radiometry.nodata_from in (None, "zeros")
    assert raster.valid.all() or value == 0


@pytest.mark.parametrize(("lowest", "fills"), [(1, True), (-40, False)])
def test_zeros_are_data_among_negative_numbers(write_image: Writer, lowest: int, fills: bool) -> None:
    bands = (scene() * 10_000).astype(np.int16)
    bands[:, 60:] -= bands[:, 60:].min() - lowest
    bands[:, :60] = 0
    raster = read_raster(write_image("a.tif", bands))
    assert raster.valid[61:].all() and raster.valid[:60].all() != fills


def test_a_few_outliers_are_no_fill(write_image: Writer) -> None:
    bands = scene()
    bands[:, 100, :40] = -9999
    assert read_raster(write_image("a.tif", bands)).valid.all()


def test_windows_and_the_whole_image_have_the_same_fill(write_image: Writer) -> None:
    """Also in a window with hardly any fill, and in one with nothing else."""
    bands = scene()
    bands[:, filled()] = -9999
    grid = with_radiometry(read_grid(write_image("a.tif", bands)))
    whole = read_raster(grid.scene)
    for window in (Window(0, 0, 40, 240), Window(45, 0, 150, 40), Window(150, 100, 80, 80)):
        rows, columns = slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)
        patch = read_window(grid, window)
        np.testing.assert_array_equal(patch.valid, whole.valid[rows, columns])
        np.testing.assert_array_equal(patch.image, whole.image[rows, columns])


def test_reduced_versions_that_mix_fill_do_not_show_it(write_image: Writer) -> None:
    bands = np.repeat(np.repeat(scene(), 4, axis=1), 4, axis=2)
    bands[:, :, :331] = -9999
    path = write_image("a.tif", bands)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    raster = read_raster(path, (240, 240))
    assert raster.valid.mean() == pytest.approx(1 - 331 / 960, abs=0.02)
    assert raster.image[raster.valid].min() > 0 and raster.image[..., 0][raster.valid].std() > 30


# The option


def test_nodata_of_the_user_overrules_the_file(write_image: Writer) -> None:
    image = texture(100, 100)
    image[:20], image[50:80] = 7, 9
    path = write_image("a.tif", image, nodata=7)
    raster = read_raster(path, options=ReadOptions(nodata=9))
    assert raster.valid[:50].all() and not raster.valid[50:80].any()
    assert read_raster(path, options=ReadOptions(nodata=float("nan"))).valid.all()
    bands = scene()
    bands[:, filled()] = -9999
    undeclared = write_image("b.tif", bands)
    assert read_raster(undeclared, options=ReadOptions(nodata=float("nan"))).valid.all()


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_a_value_that_no_whole_number_has_masks_none(write_image: Writer, dtype: str) -> None:
    image = texture(SIDE, SIDE).astype(dtype)
    image[:100] = 40
    path = write_image("a.tif", image)
    for value in (40.5, -9999.5):
        assert measured_raster(path, value).valid.all()
    assert measured_raster(path, 40.0).valid.mean() < 0.6


def measured_raster(path: Path, nodata: float) -> Raster:
    return read_whole(with_radiometry(read_grid(path), ReadOptions(nodata=nodata)))


def test_nodata_of_the_command(write_image: Writer) -> None:
    """A fill value that is not detected: 0.05, in the middle of the values."""
    paths = pair(write_image, 0.05, "float32")
    code, facts = matched(*paths, "--nodata", np.float32(0.05))
    assert code == 0
    assert_shift(facts)
    assert facts["target"]["nodata_from"] == "option"
    assert facts["target"]["nodata_share"] == pytest.approx(filled().mean(), abs=0.01)


@pytest.mark.parametrize(
    ("fill", "dtype", "scale", "options"),
    [
        (-9999, "float32", 1.0, ()),
        (65535, "uint16", 10_000, ()),
        (777, "uint16", 10_000, ("--nodata", 777)),
    ],
)
def test_the_corrected_file_keeps_the_decision(
    write_image: Writer, fill: float, dtype: str, scale: float, options: tuple[object, ...]
) -> None:
    """Fill is not mixed with data, and corrected files and siblings declare it."""
    first, second = pair(write_image, fill, dtype, scale)
    with rasterio.open(second) as file:
        sibling = write_image("near_infrared.tif", file.read(1), file.transform)
    out = first.parent / "out.tif"
    code, facts = matched(first, second, "--coregister", out, "--apply_to", sibling, *options)
    assert code == 0
    assert_shift(facts)
    for path in (out, first.parent / "near_infrared_coregistered.tif"):
        with rasterio.open(path) as file:
            assert file.nodata == fill
            values, valid = file.read(), file.read_masks() > 0
        known = (scene() * scale).astype(dtype)
        low, high = known.min(), known.max()
        assert (values[valid] > low - 0.2 * (high - low)).all() and (values[valid] < high + 0.2 * (high - low)).all()
        assert 0.5 < valid[0].mean() < 0.75
    assert facts["correction"]["after"]["similarity"] > 0.9


def test_nodata_of_the_images_is_a_class_of_a_mask(write_image: Writer) -> None:
    """0 is the fill of the images, and clear ground in a sibling that is a cloud mask."""
    first, second = pair(write_image, 0, "float32")
    clouds = np.zeros((SIDE, SIDE), np.uint8)
    clouds[100:140, 100:140] = 1
    with rasterio.open(second) as file:
        mask = write_image("cloud_mask.tif", clouds, file.transform)
    out = first.parent / "out.tif"
    assert matched(first, second, "--coregister", out, "--apply_to", mask, "--nodata", 0)[0] == 0
    with rasterio.open(first.parent / "cloud_mask_coregistered.tif") as file:
        assert file.nodata is None and file.dataset_mask().mean() > 0.8 * 255 and file.read(1).sum() == 1600


def test_a_moved_file_declares_the_fill(write_image: Writer) -> None:
    first, second = pair(write_image, -9999, "float32")
    out = first.parent / "out.tif"
    assert matched(first, second, "--geometry", "translation", "--coregister", out, "--no_resample")[0] == 0
    with rasterio.open(out) as file, rasterio.open(second) as original:
        assert file.nodata == -9999 and (file.read() == original.read()).all()


def test_a_corrected_stack_with_alpha_is_not_mixed_with_fill(write_image: Writer) -> None:
    paths = []
    for path in pair(write_image, 255, "uint8", 700):
        with rasterio.open(path) as file:
            bands, transform = file.read(), file.transform
        alpha = np.where(filled(), 0, 255).astype(np.uint8)
        stack = write_image(f"stack_{path.name}", np.stack([*bands, bands[0], alpha]), transform, photometric="RGB")
        with rasterio.open(stack, "r+") as file:
            names = ("red", "green", "blue", "undefined", "alpha")
            file.colorinterp = [ColorInterp[name] for name in names]
        paths.append(stack)
    out = paths[0].parent / "out.tif"
    code, facts = matched(*paths, "--coregister", out)
    assert code == 0
    assert_shift(facts)
    with rasterio.open(out) as file:
        values = file.read()
    assert values[:3, values[4] > 0].max() < 240
