"""Image files to arrays: only the pixels asked for are decoded, and the transform is true to them."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow

from s2match.catalog import Scene, scene_of
from s2match.errors import ImageSizeError, NoValidPixelsError, UnreadableImageError
from s2match.images import UNMASKED, Grid, Masking, Patch, Raster, Window
from s2match.masks import is_vector, opened_mask, with_margin, without_masked
from s2match.resampling import AxisMap, resample
from s2match.warping import nothing, source_window, warped

MIN_SIDE_PX = 64
MAX_SIDE_PX = 32_768

# Zeros that nobody declared to be nodata are taken for it in patches of at least this many pixels.
_NODATA_PATCH_PX = 64

# Stored rows that are held at once, about, where a large file without reduced versions is read smaller.
_STORED_ROWS = 1024
_LIST_SIDE_PX = 256

# Stored samples around a window that its pixels, and what is nodata among them, are told by.
_NODATA_MARGIN_PX = 16

# What is kept of files that windows are read from, one after another: two rows of the blocks of two full tiles.
_HELD_BYTES = 256 << 20

_OPENING = threading.Lock()

# The digital number that ESA's true-colour images show as 255: reflectance 0.3558 times 10 000.
TCI_SATURATION = 3558.0


@dataclass(frozen=True)
class _Level:
    """One stored resolution of a file.

    Attributes:
        overview: Index for ``overview_level``; None for full resolution.
        columns: Full-resolution position to position at this level, as (scale, offset) of x.
        rows: The same of y.
    """

    overview: int | None
    columns: tuple[float, float]
    rows: tuple[float, float]


def read_raster(source: Path | Scene, size: tuple[int, int] | None = None, masking: Masking = UNMASKED) -> Raster:
    """Read an image, resized, from the coarsest stored resolution that is fine enough.

    JP2 and GeoTIFF, one or three bands (of others the red, green and blue, or the first three), uint8 as it is, uint16
    scaled as ESA scales a true-colour image, other types, and uint16 that this would saturate, stretched between their
    1st and 99th percentile. No data is what the file's nodata value, mask or alpha says; without those, in integer
    images, patches of pixels that are 0 in every band, with their outermost neighbours.

    Resizing W×H to w×h maps x by w/W and y by h/H exactly, and the transform returned is scaled accordingly.

    Args:
        source: The file.
        size: Width and height to resize to; None keeps the file's own.
        masking: What of it has data and is not to be matched.

    Returns:
        The image.

    Raises:
        ImageSizeError: ``size`` is out of range.
        UnreadableImageError: The file is missing, not an image, or damaged.
        NoValidPixelsError: The image holds nothing but nodata and what is masked.
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    return read_whole(replace(read_grid(source, size), masking=masking))


def read_whole(grid: Grid) -> Raster:
    """Read all pixels of a grid, see :func:`read_raster`.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
        NoValidPixelsError: The image holds nothing but nodata and what is masked.
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    patch = read_window(grid, Window(0, 0, *grid.size))
    if not patch.valid.any():
        also = " and what is masked" if patch.masked_share else ""
        raise NoValidPixelsError(f"{grid.scene.path.name} holds nothing but nodata{also}.")
    return Raster(
        patch.image,
        patch.valid,
        grid.transform,
        grid.crs,
        grid.native_size,
        grid.scene,
        grid.masking,
        patch.masked_share,
    )


def read_grid(source: Path | Scene, size: tuple[int, int] | None = None) -> Grid:
    """The grid that :func:`read_raster` would read an image on; only its header is read.

    Raises:
        ImageSizeError: ``size`` is out of range.
        UnreadableImageError: The file is missing or is not an image.
    """
    scene = source if isinstance(source, Scene) else scene_of(source)
    if size is not None:
        check_size(size)
    with opened(scene.path) as file:
        native = (file.width, file.height)
        grid = Grid(native, *_georeference(file), native, scene)
    return grid if size is None else grid.resized(size)


def read_window(grid: Grid, window: Window) -> Patch:
    """Read a part of an image; the pixels that :func:`read_raster` gives it, but for values that it stretches.

    Images of 8 bits are not stretched; of others each window is, by itself. Where the file declares no nodata, patches
    of zeros are what they are within the window.

    Args:
        grid: The image and its size.
        window: The part, inside the grid.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    around = with_margin(window, grid)
    return without_masked(_read_data(grid, around), grid, around, window)


def _read_data(grid: Grid, window: Window) -> Patch:
    """The pixels of a window, masked or not."""
    if grid.source is not None:
        part = source_window(grid, window)
        return nothing(window) if part is None else warped(_read_data(grid.source, part), part, grid, window)
    across, down = (native / side for native, side in zip(grid.native_size, grid.size, strict=True))
    left, top = grid.corner[0] + across * window.x, grid.corner[1] + down * window.y
    with opened(grid.scene.path) as file:
        level = _choose_level(file, min(across, down))
    with opened(grid.scene.path, level.overview) as file:
        columns = _part(left, window.width, across, level.columns, file.width)
        strips = [
            _read_strip(file, _part(top + down * begin, rows, down, level.rows, file.height), columns)
            for begin, rows in _strips(file, window.height, down * level.rows[0])
        ]
        dtype = np.dtype(file.dtypes[0])
    values = np.concatenate([strip[0] for strip in strips], axis=1)
    valid = np.concatenate([strip[1] for strip in strips])
    if not valid.any():
        return Patch(np.zeros((*valid.shape, 3), np.uint8), valid)
    return Patch(_to_tci(values, valid, dtype), valid)


def _strips(file: rasterio.DatasetReader, height: int, scale: float) -> list[tuple[int, int]]:
    """Rows of a window that are read at once, (first, count): few where many stored ones make one.

    What shows no data by its values alone is read in one go, because patches of zeros are to be seen whole.
    """
    if all(MaskFlags.all_valid in flags for flags in file.mask_flag_enums):
        return [(0, height)]
    rows = max(1, int(_STORED_ROWS / max(scale, 1.0)))
    return [(begin, min(rows, height - begin)) for begin in range(0, height, rows)]


def _read_strip(
    file: rasterio.DatasetReader, rows: tuple[AxisMap, tuple[int, int]], columns: tuple[AxisMap, tuple[int, int]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """B×H×W values and H×W validity of a part of a file, resampled; see :func:`_part`."""
    stored = RasterioWindow.from_slices(rows[1], columns[1])
    bands = _read_bands(file, stored)
    return _resample_valid(bands, read_valid(file, bands, stored), rows[0], columns[0])


def _part(
    start: float, size: int, scale: float, level: tuple[float, float], length: int
) -> tuple[AxisMap, tuple[int, int]]:
    """How a window falls on what is read for it along an axis, and what that is, (start, stop) of stored samples.

    Args:
        start: Where the window begins, in pixels of the file.
        size: Pixels of the window.
        scale: Pixels of the file for one of the window.
        level: Position in the file to position at the stored resolution, as (scale, offset).
        length: Samples stored.
    """
    scale, offset = scale * level[0], start * level[0] + level[1]
    margin = scale / 2 + _NODATA_MARGIN_PX
    first = int(np.clip(np.floor(offset - margin), 0, length - 1))
    last = int(np.clip(np.ceil(offset + size * scale + margin), first + 1, length))
    return AxisMap(size, scale, offset - first), (first, last)


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


def fit_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Scale a size to have ``longest`` as its longer side, but no side too short to be read."""
    width, height = (max(MIN_SIDE_PX, round(side * longest / max(size))) for side in size)
    return width, height


def check_size(size: tuple[int, int]) -> None:
    """Refuse sizes that no image can be resized to.

    Raises:
        ImageSizeError: A side is shorter than ``MIN_SIDE_PX`` or longer than ``MAX_SIDE_PX``.
    """
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in size):
        raise ImageSizeError(
            f"Image size {size[0]} {size[1]} is out of range: each side must be {MIN_SIDE_PX} to {MAX_SIDE_PX} px."
        )


@contextmanager
def opened(path: Path, overview: int | None = None) -> Iterator[rasterio.DatasetReader]:
    """Open an image file so that damage met while reading is an error, and a missing georeference no warning.

    Args:
        path: The file.
        overview: Index of a reduced resolution; None for full resolution.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    if not path.is_file():
        raise UnreadableImageError(
            f"{path} is a folder, not an image." if path.is_dir() else f"There is no file {path}."
        )
    options = {} if overview is None else {"overview_level": overview}
    try:
        # one decoding thread: GDAL loses the errors of damaged tiles met in others
        with rasterio.Env(GDAL_NUM_THREADS="1"), _quiet_open(path, options) as file:
            yield file
    except RasterioError as error:
        detail = str(error.__cause__ or error).rstrip(".")
        raise UnreadableImageError(f"Cannot read {path}: {detail}.") from error


@contextmanager
def held(*grids: Grid) -> Iterator[None]:
    """Keep the files of grids open, so that blocks which several windows share are decoded once; for this thread alone.

    Raises:
        UnreadableImageError: A file is missing, not an image, or damaged.
        MaskError: A mask cannot be read.
    """
    with rasterio.Env(GDAL_CACHEMAX=_HELD_BYTES), ExitStack() as files:
        for grid in grids:
            files.enter_context(opened(grid.scene.path))
            for mask in grid.masking.masks:
                if not is_vector(mask.path):
                    files.enter_context(opened_mask(mask.path))
        yield


def _quiet_open(path: Path, options: dict[str, int]) -> rasterio.DatasetReader:
    # the filters of warnings are the process's, and several images may be opened at once
    with _OPENING, warnings.catch_warnings():
        # an image without a georeference is a case this module handles, not one to warn of
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # shared: what is held open is not decoded anew
        return rasterio.open(path, sharing=True, **options)


def _choose_level(file: rasterio.DatasetReader, scale: float) -> _Level:
    """The coarsest resolution whose samples are no further apart than ``scale`` pixels of the file."""
    chosen = _Level(None, (1.0, 0.0), (1.0, 0.0))
    codestream = file.driver.startswith("JP2") and not Path(f"{file.name}.ovr").exists()
    for overview, factor in enumerate(file.overviews(1)):
        if factor > scale:
            break
        if codestream:
            # The low-pass band of JPEG 2000 keeps the even samples (ISO/IEC 15444-1, annex F), so sample k of a level
            # is centred on x = k * factor + 0.5 of the full image, not on the middle of its block.
            line = (1 / factor, 0.5 - 0.5 / factor)
            chosen = _Level(overview, line, line)
        elif (level := _averaged_size(file, overview)) is not None:
            chosen = _Level(overview, (level[0] / file.width, 0.0), (level[1] / file.height, 0.0))
    return chosen


def _averaged_size(file: rasterio.DatasetReader, overview: int) -> tuple[int, int] | None:
    """Size of an overview that says it was averaged; the samples of others lie anywhere in their blocks."""
    with opened(Path(file.name), overview) as level:
        averaged = level.tags(1).get("RESAMPLING", "").startswith("AVERAGE")
        return (level.width, level.height) if averaged else None


def _georeference(file: rasterio.DatasetReader) -> tuple[Affine | None, CRS | None]:
    crs = file.crs
    # the grid of a building site or of a drawing says nothing of where on Earth it lies
    if crs is None or not (crs.is_projected or crs.is_geographic) or file.transform == Affine.identity():
        return None, None
    return file.transform, crs


def _read_bands(file: rasterio.DatasetReader, window: RasterioWindow | None = None) -> NDArray[np.generic]:
    """B×H×W, B = 1 or 3, of the image or of a window of it."""
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in file.colorinterp for colour in colours):
        indexes = [file.colorinterp.index(colour) + 1 for colour in colours]
    else:
        indexes = [1, 2, 3] if file.count >= 3 else [1]
    bands: NDArray[np.generic] = file.read(indexes, window=window)
    if file.colorinterp[0] is ColorInterp.palette:
        palette = np.zeros((256, 3), np.uint8)
        for index, colour in file.colormap(1).items():
            palette[index] = colour[:3]
        coloured: NDArray[np.generic] = palette[bands[0]].transpose(2, 0, 1)
        return coloured
    return bands


def read_valid(
    file: rasterio.DatasetReader, bands: NDArray[np.generic], window: RasterioWindow | None = None
) -> NDArray[np.bool_]:
    """H×W validity of pixels of a file: as the file declares it, or as their values tell, see :func:`read_raster`.

    Args:
        file: The file.
        bands: B×H×W values read from it.
        window: Which; None for all.
    """
    integer = bands.dtype.kind in "iu"
    finite = np.ones(bands.shape[1:], np.bool_) if integer else np.asarray(np.isfinite(bands).all(axis=0))
    if not all(MaskFlags.all_valid in flags for flags in file.mask_flag_enums):
        return np.asarray(finite & (file.dataset_mask(window=window) > 0))
    if not integer or (some := bands.any(axis=0)).all():
        return finite
    _, label, statistics, _ = cv2.connectedComponentsWithStats((~some).astype(np.uint8), connectivity=4)
    large = statistics[:, cv2.CC_STAT_AREA] >= _NODATA_PATCH_PX
    large[0] = False
    # what is stored beside nodata is mixed with it, by the encoder or by a reduced resolution
    return np.asarray(cv2.dilate(large[label].astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)


def _resample_valid(
    bands: NDArray[np.generic], valid: NDArray[np.bool_], rows: AxisMap, columns: AxisMap
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Resample bands (B×H×W) by their valid pixels alone; an output pixel is valid when half of it is."""
    if valid.all():
        values = np.stack([resample(band, rows, columns) for band in bands])
        return values, np.ones((rows.size, columns.size), np.bool_)
    share = resample(valid, rows, columns)
    kept = np.asarray(share >= 0.5)
    values = np.stack([resample(np.where(valid, band, 0), rows, columns) for band in bands])
    return np.divide(values, share, out=np.zeros_like(values), where=kept), kept


def _to_tci(values: NDArray[np.float32], valid: NDArray[np.bool_], dtype: np.dtype[np.generic]) -> NDArray[np.uint8]:
    """B×H×W values of any type to H×W×3 uint8: 1 to 255 where valid, 0 elsewhere."""
    if dtype == np.uint16 and np.percentile(values[:, valid], 1) < TCI_SATURATION:
        values = values * (255 / TCI_SATURATION)
    elif dtype != np.uint8:
        low, high = np.percentile(values[:, valid], [1, 99])
        values = (values - low) * (254 / max(high - low, 1e-12)) + 1
    image = np.clip(np.rint(values), 1, 255).astype(np.uint8) * valid
    return np.ascontiguousarray(np.broadcast_to(image.transpose(1, 2, 0), (*valid.shape, 3)))
