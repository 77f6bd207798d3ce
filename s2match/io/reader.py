"""Read image files as rasters: only the requested pixels are decoded, and the transform is exact for them."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.blocks import Blocks
from s2match.core.file_pixels import stored_grid
from s2match.core.grid import Grid
from s2match.core.image_path import ImagePath
from s2match.core.image_size import MAX_SIDE_PX, check_size, fit_size
from s2match.core.mask import UNMASKED, Masking
from s2match.core.radiometry import AS_FILES_SAY, Radiometry, ReadOptions
from s2match.core.raster import Patch, Raster
from s2match.core.scene import Scene
from s2match.core.window import Window
from s2match.errors import ImageSizeError, NoValidPixelsError, UnreadableImageError
from s2match.io.band_footprints import check_band_footprints
from s2match.io.level_reader import AxisWindow, LevelReader, axis_window
from s2match.io.mask_raster import opened_mask
from s2match.io.masks import is_vector, with_margin, without_masked
from s2match.io.open_file import block_cache, opened
from s2match.io.overviews import level_of
from s2match.io.placement import placement_of
from s2match.io.radiometry import radiometry_of, stacked
from s2match.io.sources import open_source
from s2match.resampling.reproject import empty_patch, source_window, warp

_LOG = logging.getLogger(__name__)

# A part of a window: its place in the window, and the stored rows and columns that it is resampled from.
_Part = tuple[tuple[slice, slice], AxisWindow, AxisWindow]

# Longest side of the small version whose nodata is counted.
_LIST_SIDE_PX = 256

# Cache of GDAL while windows are read one after another: two rows of the blocks of two full tiles.
_CACHE_BYTES = 256 << 20


def read_raster(
    source: str | ImagePath | Scene,
    size: tuple[int, int] | None = None,
    masking: Masking = UNMASKED,
    options: ReadOptions = AS_FILES_SAY,
) -> Raster:
    """Read and resize an image file, from the coarsest stored resolution that is fine enough.

    Formats: JP2 and GeoTIFF with one or three bands. Of more bands red, green and blue are used, or the first three
        except alpha.

    Grey levels (:func:`s2match.io.radiometry.radiometry_of`): uint8 unchanged; uint16 as in ESA's true-colour images;
    other types, and uint16 that would be saturated, stretched between the 1st and the 99th percentile.

    Validity: a pixel has data where every used band has data, by the file's nodata value, mask or alpha. Where the
    file declares none of these, nodata is a value that fills a part of it (:func:`s2match.io.nodata.detected_nodata`)
    or, in integer images without negative values, patches of pixels that are 0 in every band, dilated by one pixel.

    Resizing W×H to w×h maps x by w/W and y by h/H exactly, and the transform is scaled accordingly.

    Args:
        source: The file.
        size: (width, height) to resize to; None keeps that of the file.
        masking: Masks of pixels that have data and are not matched.
        options: Options that override what the file declares about its numbers.

    Returns:
        The image.

    Raises:
        ImageSizeError: ``size`` is out of range, or the file is too large to be read at its own size.
        UnreadableImageError: The file is missing, not an image, damaged, or of complex numbers.
        NoValidPixelsError: All pixels are nodata or masked.
        MaskError: A mask cannot be read, or has no place on this image.
    """
    return read_whole(replace(with_radiometry(read_grid(source, size), options), masking=masking))


def read_whole(grid: Grid) -> Raster:
    """Read all pixels of a grid, see :func:`read_raster`.

    Raises:
        ImageSizeError: The grid has too many pixels to be read at once.
        UnreadableImageError: The file is missing, not an image, or damaged.
        NoValidPixelsError: All pixels are nodata or masked.
        MaskError: A mask cannot be read, or has no place on this image.
    """
    if max(grid.size) > MAX_SIDE_PX:
        raise _too_large(grid)
    grid = with_radiometry(grid)
    try:
        patch = read_window(grid, Window(0, 0, *grid.size))
    except MemoryError as error:
        raise _too_large(grid) from error
    if not patch.valid.any():
        or_masked = " and masked pixels" if patch.masked_share else ""
        raise NoValidPixelsError(f"{grid.scene.path.name} contains only nodata{or_masked}.")
    return Raster(grid, patch.image, patch.valid, patch.masked_share, patch.cloud_share)


def _too_large(grid: Grid) -> ImageSizeError:
    """The error of a grid that cannot be read at once."""
    width, height = grid.size
    return ImageSizeError(
        f"{grid.scene.path.name} is too large to be read at once at {width} x {height} px: choose a smaller size to "
        "match at."
    )


def with_radiometry(grid: Grid, options: ReadOptions = AS_FILES_SAY) -> Grid:
    """The grid with a radiometry: its own, or else that chosen for its file.

    For 8-bit images it is chosen by the header, for others by a small version of the whole file. So it does not depend
    on the grid.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    return _set_radiometry(grid, grid.radiometry or _radiometry_of(grid.scene, options))


def _radiometry_of(scene: Scene, options: ReadOptions) -> Radiometry:
    """Radiometry of an image; each band has its own where bands are files."""
    if not scene.is_stack:
        with opened(scene.path) as file:
            return radiometry_of(file, options, () if scene.band_files else scene.bands, scene.stated_scale)
    bands = []
    for path in scene.band_files:
        with opened(path) as file:
            bands.append(radiometry_of(file, options))
    return stacked(bands)


def _set_radiometry(grid: Grid, radiometry: Radiometry) -> Grid:
    source = None if grid.source is None else _set_radiometry(grid.source, radiometry)
    return replace(grid, radiometry=radiometry, source=source)


def read_grid(source: str | ImagePath | Scene, size: tuple[int, int] | None = None) -> Grid:
    """The grid on which :func:`read_raster` reads an image; only the header of the file is read.

    Raises:
        ImageSizeError: ``size`` is out of range.
        UnreadableImageError: The file is missing, is not an image, or contains complex numbers; or a band that is a
            file does not have the footprint of the image.
    """
    scene = open_source(source)
    if size is not None:
        check_size(size)
    with opened(scene.path) as file:
        if any(dtype.startswith("complex") for dtype in file.dtypes):
            raise UnreadableImageError(
                f"{scene.path} contains complex numbers: write their magnitude to a file, and give that one."
            )
        native = (file.width, file.height)
        placement = placement_of(file)
        notes = (*scene.notes, *placement.notes)
        grid = Grid(native, placement.transform, placement.crs, native, scene, notes=notes)
    check_band_footprints(grid)
    return grid if size is None else grid.resized(size)


def band_grids(grid: Grid) -> tuple[Grid, ...]:
    """Grids of all pixels of the files of an image's bands, each with its radiometry; the grid itself of one file.

    Args:
        grid: Every pixel of the image.
    """
    if not grid.scene.is_stack:
        return (grid,)
    radiometry = with_radiometry(grid).radiometry
    assert radiometry is not None
    return tuple(
        replace(read_grid(path), radiometry=band)
        for path, band in zip(grid.scene.band_files, radiometry.stack, strict=True)
    )


def blocks_of(grid: Grid) -> Blocks | None:
    """The blocks in which the pixels of a grid are stored, of the first file; None where they are not along its axes.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    if grid.source is not None:
        return None
    path, radiometry = grid.scene.files[0], with_radiometry(grid).radiometry
    assert radiometry is not None
    level, axes = level_of(path, grid, radiometry.of_files[0].overviews)
    with opened(path, level.overview) as file:
        height, width = file.block_shapes[0]
    across, down = axes.pixels[0] * level.columns[0], axes.pixels[1] * level.rows[0]
    corner = -axes.corner[0] / axes.pixels[0], -axes.corner[1] / axes.pixels[1]
    return Blocks(corner, (width / across, height / down))


def read_window(grid: Grid, window: Window) -> Patch:
    """Read a window of an image, with the pixels of :func:`read_raster`.

    Patches of 0 that are nodata are detected within the window and a margin.

    Args:
        grid: The image and its size. Without radiometry a small version of the file is read for every window, see
            :func:`with_radiometry`.
        window: The window, inside the grid.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
        MaskError: A mask cannot be read, or has no place on this image.
    """
    grid = with_radiometry(grid)
    outer = with_margin(window, grid)
    return without_masked(_read_unmasked(grid, outer), grid, outer, window)


def _read_unmasked(grid: Grid, window: Window) -> Patch:
    """Read a window of an image that has a radiometry, without its masks."""
    if grid.source is not None:
        source = source_window(grid, window)
        if source is None:
            return empty_patch(window)
        return warp(_read_unmasked(grid.source, source), source, grid, window)
    assert grid.radiometry is not None, "windows are read of grids with radiometry"
    if not grid.radiometry.stack:
        return _read_file(grid.scene.path, grid, grid.radiometry, window)
    bands = [
        _read_file(path, grid, radiometry, window)
        for path, radiometry in zip(grid.scene.band_files, grid.radiometry.stack, strict=True)
    ]
    valid = np.logical_and.reduce([band.valid for band in bands])
    return Patch(np.stack([band.image[..., 0] for band in bands], axis=2) * valid[..., None], valid)


def _read_file(path: ImagePath, grid: Grid, radiometry: Radiometry, window: Window) -> Patch:
    """Read a window of a grid along the axes of a file, which is the image or one of its bands."""
    with _opened_level(path, grid, radiometry, window) as (reader, parts):
        values, valid = reader.empty(window)
        for inside, rows, columns in parts:
            values[:, *inside], valid[inside] = reader.read(rows, columns)
    if not valid.any():
        return empty_patch(window)
    return Patch(_to_grey(values, valid, radiometry.gain, radiometry.origin - reader.offset), valid)


def _read_validity(path: ImagePath, grid: Grid, radiometry: Radiometry, window: Window) -> NDArray[np.bool_]:
    """The H×W validity of :func:`_read_file`; no value is resampled."""
    valid = np.empty((window.height, window.width), np.bool_)
    with _opened_level(path, grid, radiometry, window) as (reader, parts):
        for inside, rows, columns in parts:
            valid[inside] = reader.read_validity(rows, columns)
    return valid


@contextmanager
def _opened_level(
    path: ImagePath, grid: Grid, radiometry: Radiometry, window: Window
) -> Iterator[tuple[LevelReader, list[_Part]]]:
    """Reader of the stored resolution of a file for a window of a grid along its axes, and the parts to read."""
    _LOG.debug("%s: %s of %d x %d px", path.name, window, *grid.size)
    level, axes = level_of(path, grid, radiometry.overviews)
    (across, down), (left, top) = axes.pixels, axes.corner
    left, top = left + across * window.x, top + down * window.y
    with opened(path, level.overview) as file:
        reader = LevelReader.of(file, radiometry, level)
        columns = axis_window(left, window.width, across, level.columns, file.width)
        rows = axis_window(top, window.height, down, level.rows, file.height)
        file.check(len(reader.bands), columns.length, rows.length)
        parts = reader.parts(window, (across * level.columns[0], down * level.rows[0]), columns.length)
        yield (
            reader,
            [
                (
                    (slice(part.y, part.y + part.height), slice(part.x, part.x + part.width)),
                    axis_window(top + down * part.y, part.height, down, level.rows, file.height),
                    axis_window(left + across * part.x, part.width, across, level.columns, file.width),
                )
                for part in parts
            ],
        )


def check_decodable(grid: Grid) -> None:
    """Check that all pixels of an image could be read in parts: its files may claim any size.

    Raises:
        UnreadableImageError: They cannot hold their pixels.
    """
    for path in grid.scene.files:
        with opened(path) as file:
            file.check(file.count, file.width, file.height)


def nodata_share(image: Scene | Grid) -> float:
    """Fraction of an image file that is nodata, by a small version of it.

    Args:
        image: The image, or a grid of :func:`read_grid`.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    grid = image if isinstance(image, Grid) else read_grid(image)
    grid = with_radiometry(grid.resized(fit_size(grid.size, min(_LIST_SIDE_PX, max(grid.size)))))
    assert grid.radiometry is not None
    window = Window(0, 0, *grid.size)
    try:
        valid = [
            _read_validity(path, grid, radiometry, window)
            for path, radiometry in zip(grid.scene.files, grid.radiometry.of_files, strict=True)
        ]
    except MemoryError as error:
        raise _too_large(grid) from error
    return float(1 - np.logical_and.reduce(valid).mean())


def image_size(scene: Scene) -> tuple[int, int]:
    """(width, height) of an image file in pixels, by its header.

    Raises:
        UnreadableImageError: The file is missing or is not an image.
    """
    with opened(scene.path) as file:
        return file.width, file.height


@contextmanager
def keep_open(*grids: Grid) -> Iterator[None]:
    """Keep the files of grids open in this thread, so that blocks of several windows are decoded once.

    Raises:
        UnreadableImageError: A file is missing, not an image, or damaged.
        MaskError: A mask cannot be read.
    """
    with block_cache(_CACHE_BYTES), ExitStack() as files:
        for grid in grids:
            source = with_radiometry(stored_grid(grid))
            assert source.radiometry is not None
            for path, radiometry in zip(source.scene.files, source.radiometry.of_files, strict=True):
                files.enter_context(opened(path))
                files.enter_context(opened(path, level_of(path, source, radiometry.overviews)[0].overview))
            for mask in grid.masking.masks:
                if not is_vector(mask.path):
                    files.enter_context(opened_mask(mask.path))
        yield


def _to_grey(values: NDArray[np.float32], valid: NDArray[np.bool_], gain: float, origin: float) -> NDArray[np.uint8]:
    """H×W×3 uint8 grey levels of B×H×W numbers: 1 to 255 where valid, 0 elsewhere."""
    if (gain, origin) != (1.0, 0.0):
        values = values * np.float32(gain) - np.float32(gain * origin)
    image = np.clip(np.rint(values), 1, 255).astype(np.uint8) * valid
    return np.ascontiguousarray(np.broadcast_to(image.transpose(1, 2, 0), (*valid.shape, 3)))
