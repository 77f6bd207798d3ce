"""Image files to arrays: only the pixels asked for are decoded, and the transform is true to them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from s2match.core.file_pixels import stored_grid
from s2match.core.grid import Grid
from s2match.core.image_size import MAX_SIDE_PX, check_size, fit_size
from s2match.core.mask import UNMASKED, Masking
from s2match.core.radiometry import AS_FILES_SAY, Radiometry, ReadOptions
from s2match.core.raster import Patch, Raster
from s2match.core.scene import Scene, scene_of
from s2match.core.window import Window
from s2match.errors import ImageSizeError, NoValidPixelsError, UnreadableImageError
from s2match.io.masks import is_vector, opened_mask, with_margin, without_masked
from s2match.io.open_file import opened
from s2match.io.overviews import file_pixels_per_pixel, level_of
from s2match.io.placement import placement_of
from s2match.io.radiometry import radiometry_of
from s2match.io.stored import read_strip, row_strips, stored_at, window_map
from s2match.resampling.reproject import empty_patch, source_window, warp

_LIST_SIDE_PX = 256

# What is kept of files that windows are read from, one after another: two rows of the blocks of two full tiles.
_HELD_BYTES = 256 << 20


def read_raster(
    source: str | Path | Scene,
    size: tuple[int, int] | None = None,
    masking: Masking = UNMASKED,
    options: ReadOptions = AS_FILES_SAY,
) -> Raster:
    """Read an image, resized, from the coarsest stored resolution that is fine enough.

    JP2 and GeoTIFF, one or three bands (of others the red, green and blue, or the first three but for alpha), uint8 as
    it is, uint16 scaled as ESA scales a true-colour image, other types, and uint16 that this would saturate, stretched
    between their 1st and 99th percentile (:func:`s2match.io.radiometry.radiometry_of`). A pixel has data where each of
    these bands has: by the file's nodata value, mask or alpha; without those, by a value that fills a part of it
    (:func:`s2match.io.nodata.detected_nodata`), or else, in integer images without negative values, in patches of
    pixels that are 0 in every band, with their outermost neighbours.

    Resizing W×H to w×h maps x by w/W and y by h/H exactly, and the transform returned is scaled accordingly.

    Args:
        source: The file.
        size: Width and height to resize to; None keeps the file's own.
        masking: What of it has data and is not to be matched.
        options: What is known of its numbers beside what it says itself.

    Returns:
        The image.

    Raises:
        ImageSizeError: ``size`` is out of range, or the file is too large to be read as it is.
        UnreadableImageError: The file is missing, not an image, damaged, or of complex numbers.
        NoValidPixelsError: The image holds nothing but nodata and what is masked.
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    return read_whole(replace(with_radiometry(read_grid(source, size), options), masking=masking))


def read_whole(grid: Grid) -> Raster:
    """Read all pixels of a grid, see :func:`read_raster`.

    Raises:
        ImageSizeError: It has too many pixels to be read at once.
        UnreadableImageError: The file is missing, not an image, or damaged.
        NoValidPixelsError: The image holds nothing but nodata and what is masked.
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    name, (width, height) = grid.scene.path.name, grid.size
    too_large = ImageSizeError(
        f"{name} is too large to be read at once at {width} x {height} px: choose a smaller size to match at."
    )
    if max(width, height) > MAX_SIDE_PX:
        raise too_large
    grid = with_radiometry(grid)
    try:
        patch = read_window(grid, Window(0, 0, width, height))
    except MemoryError as error:
        raise too_large from error
    if not patch.valid.any():
        also = " and what is masked" if patch.masked_share else ""
        raise NoValidPixelsError(f"{name} holds nothing but nodata{also}.")
    return Raster(grid, patch.image, patch.valid, patch.masked_share, patch.cloud_share)


def with_radiometry(grid: Grid, options: ReadOptions = AS_FILES_SAY) -> Grid:
    """A grid whose radiometry is known; it stays as it is where it is known already.

    Of images of 8 bits the header alone tells it, of others a small version of the whole file, so that it does not
    depend on the grid.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    radiometry = grid.radiometry
    if radiometry is None:
        with opened(grid.scene.path) as file:
            radiometry = radiometry_of(file, options)
    return _with_radiometry(grid, radiometry)


def _with_radiometry(grid: Grid, radiometry: Radiometry) -> Grid:
    source = None if grid.source is None else _with_radiometry(grid.source, radiometry)
    return replace(grid, radiometry=radiometry, source=source)


def read_grid(source: str | Path | Scene, size: tuple[int, int] | None = None) -> Grid:
    """The grid that :func:`read_raster` would read an image on; only its header is read.

    Raises:
        ImageSizeError: ``size`` is out of range.
        UnreadableImageError: The file is missing, is not an image, or holds complex numbers.
    """
    scene = source if isinstance(source, Scene) else scene_of(source)
    if size is not None:
        check_size(size)
    with opened(scene.path) as file:
        if any(dtype.startswith("complex") for dtype in file.dtypes):
            raise UnreadableImageError(
                f"{scene.path} holds complex numbers: write their magnitude to a file, and give that one."
            )
        native = (file.width, file.height)
        place = placement_of(file)
        grid = Grid(native, place.transform, place.crs, native, scene, notes=place.notes)
    return grid if size is None else grid.resized(size)


def read_window(grid: Grid, window: Window) -> Patch:
    """Read a part of an image: the pixels that :func:`read_raster` gives it.

    Where the file declares no nodata, patches of zeros are what they are within the window.

    Args:
        grid: The image and its size. Without radiometry a small version of the file is read for every window, see
            :func:`with_radiometry`.
        window: The part, inside the grid.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    grid = with_radiometry(grid)
    around = with_margin(window, grid)
    return without_masked(_read_data(grid, around), grid, around, window)


def _read_data(grid: Grid, window: Window) -> Patch:
    """The pixels of a window, masked or not."""
    if grid.source is not None:
        part = source_window(grid, window)
        return empty_patch(window) if part is None else warp(_read_data(grid.source, part), part, grid, window)
    radiometry = grid.radiometry
    assert radiometry is not None, "windows are read of measured grids"
    across, down = file_pixels_per_pixel(grid)
    left, top = grid.corner[0] + across * window.x, grid.corner[1] + down * window.y
    level = level_of(grid)
    with opened(grid.scene.path, level.overview) as file:
        stored = stored_at(file, radiometry, level)
        columns = window_map(left, window.width, across, level.columns, file.width)
        strips = [
            read_strip(stored, window_map(top + down * begin, rows, down, level.rows, file.height), columns)
            for begin, rows in row_strips(stored, window.height, down * level.rows[0], columns[1])
        ]
    values = np.concatenate([strip[0] for strip in strips], axis=1)
    valid = np.concatenate([strip[1] for strip in strips])
    if not valid.any():
        return empty_patch(window)
    return Patch(_to_grey(values, valid, radiometry.gain, radiometry.origin - stored.moved), valid)


def nodata_share(image: Scene | Grid) -> float:
    """Share of an image file without data, 0 to 1, measured on a small version of it.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    grid = image if isinstance(image, Grid) else read_grid(image)
    try:
        raster = read_whole(grid.resized(fit_size(grid.size, min(_LIST_SIDE_PX, max(grid.size)))))
    except NoValidPixelsError:
        return 1.0
    return float(1 - raster.valid.mean())


def image_size(scene: Scene) -> tuple[int, int]:
    """Width and height of an image file in pixels, from its header alone.

    Raises:
        UnreadableImageError: The file is missing or is not an image.
    """
    with opened(scene.path) as file:
        return file.width, file.height


@contextmanager
def keep_open(*grids: Grid) -> Iterator[None]:
    """Keep the files of grids open, so that blocks which several windows share are decoded once; for this thread alone.

    Raises:
        UnreadableImageError: A file is missing, not an image, or damaged.
        MaskError: A mask cannot be read.
    """
    with rasterio.Env(GDAL_CACHEMAX=_HELD_BYTES), ExitStack() as files:
        for grid in grids:
            stored = stored_grid(grid)
            files.enter_context(opened(stored.scene.path))
            files.enter_context(opened(stored.scene.path, level_of(stored).overview))
            for mask in grid.masking.masks:
                if not is_vector(mask.path):
                    files.enter_context(opened_mask(mask.path))
        yield


def _to_grey(values: NDArray[np.float32], valid: NDArray[np.bool_], gain: float, origin: float) -> NDArray[np.uint8]:
    """B×H×W numbers as H×W×3 uint8 grey levels: 1 to 255 where valid, 0 elsewhere."""
    if (gain, origin) != (1.0, 0.0):
        values = values * np.float32(gain) - np.float32(gain * origin)
    image = np.clip(np.rint(values), 1, 255).astype(np.uint8) * valid
    return np.ascontiguousarray(np.broadcast_to(image.transpose(1, 2, 0), (*valid.shape, 3)))
