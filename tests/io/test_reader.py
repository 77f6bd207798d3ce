"""Reading at any size, from any stored resolution, with a transform that is exact for the pixels."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, REAL, Writer, texture
from numpy.typing import NDArray
from PIL import Image

from s2match.core.blocks import Blocks
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.errors import ImageSizeError, NoValidPixelsError, UnreadableImageError
from s2match.io.pair_grid import on_reference
from s2match.io.radiometry import TCI_SATURATION
from s2match.io.reader import blocks_of, image_size, keep_open, nodata_share, read_grid, read_raster, read_window


def shift_px(image: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift (x, y) of an image against a reference that it nearly equals, by least squares on the gradient."""
    image, reference = (a - a.mean() for a in (image.astype(float), reference.astype(float)))
    gy, gx = np.gradient(reference)
    slopes = np.stack([gx.ravel(), gy.ravel()], axis=1)
    return np.linalg.lstsq(slopes, (reference - image).ravel(), rcond=None)[0]


@pytest.mark.parametrize(("side", "size"), [(2745, 274), (2745, 300), (2196, 549), (1830, 1098), (1000, 998)])
def test_decimated_jp2_is_true_to_the_grid(write_image: Writer, side: int, size: int) -> None:
    """Within 0.03 px of the output grid of a full decode with area resampling, in every corner."""
    full = texture(side, side, detail_px=1.5 * side / size)
    path = write_image("a.jp2", full, BLOCKXSIZE=1024, BLOCKYSIZE=1024)
    raster = read_raster(path, (size, size))
    truth = cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA)
    third = size // 3
    for rows in (slice(0, third), slice(size - third, size)):
        for columns in (slice(0, third), slice(size - third, size)):
            shift = shift_px(raster.image[rows, columns, 0], truth[rows, columns])
            assert np.abs(shift).max() < 0.03, (rows, columns, shift)
    assert raster.transform == GRID @ Affine.scale(side / size)


@pytest.mark.parametrize("irreversible", [False, True])
@pytest.mark.parametrize(("side", "size", "tile"), [(343, 75, 8), (343, 75, 64), (343, 160, 16), (686, 75, 32)])
def test_small_tiles_do_not_bend_a_reduced_jp2(
    tmp_path: Path, side: int, size: int, tile: int, irreversible: bool
) -> None:
    """Tiles of 8 px have one or two samples at a level, and GDAL reports one block."""
    full = texture(side, side, detail_px=1.5 * side / size)
    path = tmp_path / "a.jp2"
    levels = min(5, tile.bit_length() - 1)
    Image.fromarray(full).save(path, tile_size=(tile, tile), num_resolutions=levels + 1, irreversible=irreversible)
    raster = read_raster(path, (size, size))
    truth = cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA)
    assert np.abs(shift_px(raster.image[..., 0], truth)).max() < 0.02
    third = size // 3
    for rows in (slice(0, third), slice(third, 2 * third), slice(size - third, size)):
        for columns in (slice(0, third), slice(third, 2 * third), slice(size - third, size)):
            shift = shift_px(raster.image[rows, columns, 0], truth[rows, columns])
            assert np.abs(shift).max() < 0.03, (rows, columns, shift)


@pytest.mark.parametrize("irreversible", [False, True])
@pytest.mark.parametrize("size", [600, 300])
def test_at_exactly_half_size_the_finest_detail_is_true_to_five_hundredths(
    write_image: Writer, size: int, irreversible: bool
) -> None:
    """Detail of the size of a pixel is the worst case."""
    full = texture(1200, 1200, detail_px=0.3 * 1200 / size)
    path = write_image("a.jp2", full, REVERSIBLE="NO" if irreversible else "YES")
    raster = read_raster(path, (size, size))
    truth = cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA)
    assert np.abs(shift_px(raster.image[..., 0], truth)).max() < 0.045


def test_gdal_s_own_decimated_read_would_not_be(write_image: Writer) -> None:
    """The reason for choosing levels here: if GDAL corrects this, that code can be deleted."""
    full = texture(2745, 2745, detail_px=15)
    path = write_image("a.jp2", full)
    with rasterio.open(path) as file:
        read = file.read(1, out_shape=(274, 274), resampling=rasterio.enums.Resampling.average)
    truth = cv2.resize(full, (274, 274), interpolation=cv2.INTER_AREA)
    assert np.abs(shift_px(read[:90, :90], truth[:90, :90])).max() > 0.2


@pytest.mark.parametrize("method", ["average", "nearest", "cubic"])
@pytest.mark.parametrize("suffix", ["tif", "jp2"])
def test_overviews_added_later_are_true_to_the_grid(write_image: Writer, method: str, suffix: str) -> None:
    """Averaged overviews are used, others not; those beside a JP2 hide its own levels."""
    full = texture(1373, 1373, detail_px=12)
    path = write_image("a.tif", full)
    with rasterio.Env(TIFF_USE_OVR=suffix == "jp2"), rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling[method])
    if suffix == "jp2":
        path = write_image("a.jp2", full)
        (path.parent / "a.tif.ovr").rename(path.parent / "a.jp2.ovr")
    raster = read_raster(path, (300, 300))
    truth = cv2.resize(full, (300, 300), interpolation=cv2.INTER_AREA)
    for corner in (slice(0, 100), slice(200, 300)):
        assert np.abs(shift_px(raster.image[corner, corner, 0], truth[corner, corner])).max() < 0.03


def test_two_sizes_of_one_file_share_the_ground(write_image: Writer) -> None:
    """At half the size, x is x/2 exactly, with the same map coordinates."""
    path = write_image("a.jp2", texture(600, 400))
    small, large = read_raster(path, (300, 200)), read_raster(path, (600, 400))
    assert small.transform is not None and large.transform is not None
    assert small.transform @ (37.25, 11.5) == large.transform @ (74.5, 23.0)
    assert small.native_transform == large.native_transform == GRID
    halved = cv2.resize(large.image[..., 0], (300, 200), interpolation=cv2.INTER_AREA)
    assert np.abs(shift_px(small.image[..., 0], halved)).max() < 0.01


def test_anisotropic_resize(write_image: Writer) -> None:
    raster = read_raster(write_image("a.tif", texture(400, 300)), (200, 75))
    assert raster.image.shape == (75, 200, 3)
    assert raster.transform == GRID @ Affine.scale(2, 4)


def test_three_bands_keep_their_order(write_image: Writer) -> None:
    bands = np.stack([np.full((80, 80), value, np.uint8) for value in (30, 60, 90)])
    raster = read_raster(write_image("a.jp2", bands))
    assert raster.image[40, 40].tolist() == [30, 60, 90]


def test_colour_interpretation_decides(write_image: Writer) -> None:
    bands = np.stack([np.full((80, 80), value, np.uint8) for value in (90, 60, 30, 7)])
    path = write_image("a.tif", bands, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        names = ("blue", "green", "red", "gray")
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in names]
    assert read_raster(path).image[40, 40].tolist() == [30, 60, 90]


def test_uint16_is_scaled_as_a_true_colour_image(write_image: Writer) -> None:
    band = np.full((80, 80), TCI_SATURATION / 2, np.uint16)
    # dark pixels: this is of a baseline that added nothing
    band[:, :4] = 300
    band[:, 40:] = 9000
    band[:, 70:] = 0
    raster = read_raster(write_image("a.jp2", band))
    assert raster.image[40, 10].tolist() == [127, 127, 127]
    assert raster.image[40, 50].tolist() == [255, 255, 255]
    assert not raster.valid[40, 75]


def test_float_is_stretched(write_image: Writer) -> None:
    band = texture(100, 100).astype(np.float32) / 300 - 0.4
    band[:10] = np.nan
    raster = read_raster(write_image("a.tif", band))
    assert not raster.valid[:10].any() and raster.valid[10:].all()
    assert raster.image[raster.valid].min() == 1 and raster.image[raster.valid].max() == 255


@pytest.mark.parametrize("size", [None, (150, 150)])
def test_half_swath(write_image: Writer, size: tuple[int, int] | None) -> None:
    """Nodata is 0 in the image, and does not darken the pixels beside it."""
    image = np.maximum(texture(600, 600, detail_px=20), 100)
    inside = np.arange(600)[None] > 250 + 0.2 * np.arange(600)[:, None]
    raster = read_raster(write_image("a.jp2", np.where(inside, image, 0).astype(np.uint8)), size)
    assert abs(raster.valid.mean() - inside.mean()) < 0.02
    assert (raster.image[~raster.valid] == 0).all()
    assert raster.image[raster.valid].min() >= 90


def test_declared_nodata_counts_and_zero_does_not(write_image: Writer) -> None:
    image = texture(100, 100)
    image[:20] = 7
    image[50:] = 0
    raster = read_raster(write_image("a.tif", image, nodata=7))
    assert not raster.valid[:19].any() and raster.valid[50:].all()


def test_without_georeference(write_image: Writer) -> None:
    raster = read_raster(write_image("a.png", texture(90, 80), transform=None, driver="PNG"), (64, 64))
    assert not raster.georeferenced
    assert raster.transform is None and raster.native_transform is None


def test_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "a_TCI.jp2").write_text("hello")
    with pytest.raises(UnreadableImageError, match="Cannot read"):
        read_raster(tmp_path / "a_TCI.jp2")
    with pytest.raises(UnreadableImageError, match="no file"):
        read_raster(tmp_path / "b_TCI.jp2")


@pytest.mark.parametrize("size", [None, (300, 300), (80, 80)])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_jp2(write_image: Writer, size: tuple[int, int] | None, share: float) -> None:
    """GDAL reads past the end of the file without an error; the reader must not, at any resolution."""
    path = write_image("a.jp2", texture(1100, 1100), BLOCKXSIZE=512, BLOCKYSIZE=512)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UnreadableImageError, match="Cannot read"):
        read_raster(path, size)


def test_all_nodata(write_image: Writer) -> None:
    path = write_image("a.jp2", np.zeros((100, 100), np.uint8))
    with pytest.raises(NoValidPixelsError, match="contains only nodata"):
        read_raster(path)


@pytest.mark.parametrize("size", [(0, 0), (-5, 100), (100, 63), (10**6, 100)])
def test_impossible_sizes(write_image: Writer, size: tuple[int, int]) -> None:
    path = write_image("a.jp2", texture(100, 100))
    with pytest.raises(ImageSizeError, match=f"{size[0]} {size[1]}"):
        read_raster(path, size)


def test_images_without_georeference_are_read_at_once_without_a_warning(write_image: Writer) -> None:
    paths = [write_image(f"{k}.png", texture(80, 80), transform=None, driver="PNG") for k in range(4)]
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(8) as readers:
            rasters = list(readers.map(read_raster, paths * 20))
    assert not met and all(raster.size == (80, 80) for raster in rasters)


def test_size_and_nodata_share(write_image: Writer) -> None:
    image = texture(900, 600)
    image[:, :450] = 0
    scene = scene_of(write_image("a.jp2", image))
    assert image_size(scene) == (900, 600)
    assert nodata_share(scene) == pytest.approx(0.5, abs=0.02)
    assert nodata_share(scene_of(write_image("b.jp2", np.zeros((100, 100), np.uint8)))) == 1.0


def test_declared_nodata_and_not_a_number_together(write_image: Writer) -> None:
    band = texture(100, 100).astype(np.float32)
    band[:20] = -9999
    band[60:80, 60:80] = np.nan
    raster = read_raster(write_image("a.tif", band, nodata=-9999))
    assert not raster.valid[:20].any() and not raster.valid[60:80, 60:80].any()
    assert raster.valid.mean() == pytest.approx(0.76)
    assert np.ptp(raster.image[raster.valid]) > 200


def test_single_zeros_are_dark_pixels(write_image: Writer) -> None:
    """In files without nodata only patches of zeros are nodata."""
    image = texture(200, 200)
    image[np.random.default_rng(0).random(image.shape) < 0.08] = 0
    image[:40, :40] = 0
    raster = read_raster(write_image("a.tif", image))
    assert not raster.valid[:40, :40].any()
    assert raster.valid.mean() > 0.94


def test_palette_becomes_colour(write_image: Writer) -> None:
    indexes = np.tile(np.arange(4, dtype=np.uint8), (80, 20))
    path = write_image("a.tif", indexes, photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (10, 20, 30, 255), 1: (200, 0, 7, 255), 2: (9, 9, 9, 255), 3: (1, 2, 250, 255)})
    raster = read_raster(path)
    assert raster.image[5, :4].tolist() == [[10, 20, 30], [200, 1, 7], [9, 9, 9], [1, 2, 250]]


def test_uint16_that_is_no_reflectance_is_stretched(write_image: Writer) -> None:
    band = 9000 + 80 * texture(100, 100).astype(np.uint16)
    raster = read_raster(write_image("a.tif", band))
    assert raster.image.min() == 1 and raster.image.max() == 255 and raster.image.std() > 40


def test_a_local_grid_is_a_map_without_a_reference_system(write_image: Writer) -> None:
    """Its images can be compared with each other, but have no place on Earth."""
    site = rasterio.crs.CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    raster = read_raster(write_image("a.tif", texture(80, 80), crs=site))
    assert raster.transform == GRID and raster.crs is None
    assert raster.notes == ("its reference system is a local one",)


@pytest.mark.real
def test_a_genuine_esa_container() -> None:
    raster = read_raster(REAL / "jp2" / "T29UNU_20221005T115411_TCI_60m.jp2", (915, 915))
    assert raster.crs == rasterio.crs.CRS.from_epsg(32629)
    assert raster.transform == Affine(120, 0, 499980, 0, -120, 5900040)
    assert 0.3 < raster.valid.mean() < 0.7
    assert raster.scene.title == "T29UNU 2022-10-05"


@pytest.mark.parametrize(("side", "size"), [(900, 900), (900, 450), (900, 413), (1200, 128)])
@pytest.mark.parametrize("suffix", [".jp2", ".tif"])
def test_a_window_holds_the_pixels_of_the_whole(write_image: Writer, side: int, size: int, suffix: str) -> None:
    """At any resolution, at the edges, and about nodata."""
    image = texture(side, side, detail_px=3)
    image[: side // 5, side // 2 :] = 0
    path = write_image(f"a{suffix}", np.stack([image] * 3))
    whole, grid = read_raster(path, (size, size)), read_grid(path, (size, size))
    assert (grid.size, grid.transform, grid.native_size) == (whole.size, whole.transform, whole.native_size)
    for window in (Window(0, 0, 100, 90), Window(30, 20, 97, 101), Window(size - 80, 7, 80, 100)):
        patch = read_window(grid, window)
        rows, columns = slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)
        np.testing.assert_array_equal(patch.valid, whole.valid[rows, columns])
        np.testing.assert_array_equal(patch.image, whole.image[rows, columns])


def test_a_window_without_data_is_empty(write_image: Writer) -> None:
    image = texture(400, 400)
    image[:, 200:] = 0
    grid = read_grid(write_image("a.tif", image))
    patch = read_window(grid, Window(250, 50, 100, 80))
    assert patch.image.shape == (80, 100, 3) and not patch.valid.any() and not patch.image.any()


@pytest.mark.parametrize("size", [(512, 512), (256, 256), (200, 200)])
@pytest.mark.parametrize("on_reference_of_another", [False, True])
def test_blocks_of_several_windows_are_decoded_once_while_files_are_kept_open(
    write_image: Writer, size: tuple[int, int], on_reference_of_another: bool
) -> None:
    """At any resolution, and where pixels are resampled from a grid of another reference system."""
    path = write_image("a.jp2", texture(512, 512), BLOCKXSIZE=256, BLOCKYSIZE=256)
    grid, first, beside = read_grid(path, size), Window(0, 0, 150, 150), Window(40, 30, 150, 150)
    if on_reference_of_another:
        turned = read_grid(write_image("b.tif", texture(512, 512), GRID @ Affine.rotation(1)), size)
        grid = on_reference(read_grid(path), turned)
    before = read_window(grid, beside)
    assert before.valid.mean() > 0.9
    stored = path.read_bytes()
    with keep_open(grid):
        read_window(grid, first)
        # what is stored of the pixels is lost: only what was decoded before can be read
        path.write_bytes(stored[: len(stored) // 8] + bytes(len(stored) - len(stored) // 8))
        assert np.array_equal(read_window(grid, beside).image, before.image)
    with pytest.raises(UnreadableImageError):
        read_window(grid, beside)


@pytest.mark.parametrize(("size", "side"), [((512, 512), 256), ((128, 128), 64), ((200, 200), 100)])
def test_blocks_are_those_of_the_file_in_pixels_of_the_grid(
    write_image: Writer, size: tuple[int, int], side: float
) -> None:
    """Of the stored resolution that is read, and of a part of the file."""
    grid = read_grid(write_image("a.jp2", texture(512, 512), blockxsize=256, blockysize=256), size)
    assert blocks_of(grid) == Blocks((0, 0), (side, side))
    part = read_grid(grid.scene).cropped(Window(40, 30, 300, 300))
    assert blocks_of(part) == Blocks((-40, -30), (256, 256))
    turned = read_grid(write_image("b.tif", texture(512, 512), GRID @ Affine.rotation(1)))
    assert blocks_of(on_reference(grid, turned)) is None


@pytest.mark.parametrize("size", [(300, 400), (97, 81), (450, 620)])
def test_strips_are_cuts_of_the_whole(
    write_image: Writer, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Large files that declare their nodata are read a few rows at a time."""
    image = np.stack([np.maximum(texture(300, 400, seed=k), 1) for k in range(3)])
    image[:, 150:230, 40:200] = 0
    path = write_image("a.tif", image, nodata=0)
    monkeypatch.setattr("s2match.io.level_reader._STORED_ROWS", 10_000)
    whole = read_raster(path, size)
    monkeypatch.setattr("s2match.io.level_reader._STORED_ROWS", 16)
    strips = read_raster(path, size)
    assert (~whole.valid).any() and np.array_equal(strips.valid, whole.valid)
    assert np.array_equal(strips.image, whole.image)
