"""Image files to arrays: only the pixels asked for are decoded, and the transform is true to them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from s2match.catalog import Scene, scene_of
from s2match.codestream import tile_size
from s2match.errors import ImageSizeError, NoValidPixelsError, UnreadableImageError
from s2match.gdal import GDAL_ERRORS, what_gdal_says
from s2match.images import AS_FILES_SAY, UNMASKED, Grid, Masking, Patch, Radiometry, Raster, ReadOptions, Window
from s2match.masks import is_vector, opened_mask, with_margin, without_masked
from s2match.missing import why_no_image
from s2match.nodata import NODATA_MARGIN_PX, band_validity, is_mixed, large_patches, used_bands, zeros_are_nodata
from s2match.placement import placement_of
from s2match.quiet import open_image
from s2match.radiometry import colour_table, radiometry_of, read_numbers
from s2match.resampling import AxisMap, resample
from s2match.warping import nothing, source_window, warped

MIN_SIDE_PX = 64
MAX_SIDE_PX = 32_768

# Stored rows that are held at once, about, where a large file without reduced versions is read smaller.
_STORED_ROWS = 1024
_LIST_SIDE_PX = 256

# What is kept of files that windows are read from, one after another: two rows of the blocks of two full tiles.
_HELD_BYTES = 256 << 20

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z")

# Differences of numbers beyond this are told coarsely in float32.
_FLOAT32_WHOLE = 1 << 16

# Samples along a tile of JPEG 2000, below which the edges of tiles, where filters end, bend a level: with half so many
# details lie up to 0.05 px off.
_TILE_SAMPLES = 32

# Images of a container that are named.
_NAMED_PARTS = 8

# Stored samples that are read at once where patches of zeros are to be seen whole: somewhat more than a full tile.
_SAMPLES_AT_ONCE = 1 << 27


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


@dataclass(frozen=True)
class _Stored:
    """What is read of a file at one stored resolution.

    Attributes:
        file: The file, open at the resolution.
        bands: Indexes of the bands that make the image, from 1.
        colours: (N, 4) the colour table; None where the numbers are not those of one.
        radiometry: How its numbers become grey levels.
        level: The resolution.
        moved: What is taken off its numbers, so that the differences of large ones are not rounded away.
    """

    file: rasterio.DatasetReader
    bands: list[int]
    colours: NDArray[np.uint8] | None
    radiometry: Radiometry
    level: _Level
    moved: int


def read_raster(
    source: str | Path | Scene,
    size: tuple[int, int] | None = None,
    masking: Masking = UNMASKED,
    options: ReadOptions = AS_FILES_SAY,
) -> Raster:
    """Read an image, resized, from the coarsest stored resolution that is fine enough.

    JP2 and GeoTIFF, one or three bands (of others the red, green and blue, or the first three but for alpha), uint8 as
    it is, uint16 scaled as ESA scales a true-colour image, other types, and uint16 that this would saturate, stretched
    between their 1st and 99th percentile (:func:`s2match.radiometry.radiometry_of`). A pixel has data where each of
    these bands has: by the file's nodata value, mask or alpha; without those, by a value that fills a part of it
    (:func:`s2match.nodata.detected_nodata`), or else, in integer images, in patches of pixels that are 0 in every band,
    with their outermost neighbours.

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
    return read_whole(replace(measured(read_grid(source, size), options), masking=masking))


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
    grid = measured(grid)
    try:
        patch = read_window(grid, Window(0, 0, width, height))
    except MemoryError as error:
        raise too_large from error
    if not patch.valid.any():
        also = " and what is masked" if patch.masked_share else ""
        raise NoValidPixelsError(f"{name} holds nothing but nodata{also}.")
    return Raster(
        patch.image,
        patch.valid,
        grid.transform,
        grid.crs,
        grid.native_size,
        grid.scene,
        grid.masking,
        patch.masked_share,
        grid.radiometry,
        patch.cloud_share,
        grid.notes,
    )


def measured(grid: Grid, options: ReadOptions = AS_FILES_SAY) -> Grid:
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
        grid: The image and its size; :func:`measured`, or else a small version of the file is read for every window.
        window: The part, inside the grid.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
        MaskError: A mask cannot be read, or nobody knows where it lies on this image.
    """
    grid = measured(grid)
    around = with_margin(window, grid)
    return without_masked(_read_data(grid, around), grid, around, window)


def _read_data(grid: Grid, window: Window) -> Patch:
    """The pixels of a window, masked or not."""
    if grid.source is not None:
        part = source_window(grid, window)
        return nothing(window) if part is None else warped(_read_data(grid.source, part), part, grid, window)
    radiometry = grid.radiometry
    assert radiometry is not None, "windows are read of measured grids"
    across, down = _file_pixels_per_pixel(grid)
    left, top = grid.corner[0] + across * window.x, grid.corner[1] + down * window.y
    level = _level_of(grid)
    with opened(grid.scene.path, level.overview) as file:
        stored = _stored(file, radiometry, level)
        columns = _part(left, window.width, across, level.columns, file.width)
        strips = [
            _read_strip(stored, _part(top + down * begin, rows, down, level.rows, file.height), columns)
            for begin, rows in _strips(stored, window.height, down * level.rows[0], columns[1])
        ]
    values = np.concatenate([strip[0] for strip in strips], axis=1)
    valid = np.concatenate([strip[1] for strip in strips])
    if not valid.any():
        return nothing(window)
    return Patch(_to_grey(values, valid, radiometry.gain, radiometry.origin - stored.moved), valid)


def _stored(file: rasterio.DatasetReader, radiometry: Radiometry, level: _Level) -> _Stored:
    bands, colours = used_bands(file), colour_table(file)
    # float32, in which numbers are resampled, holds those of 16 bits exactly
    wide = colours is None and any(np.dtype(file.dtypes[band - 1]).itemsize > 2 for band in bands)
    moved = round(radiometry.origin) if wide and abs(radiometry.origin) > _FLOAT32_WHOLE else 0
    return _Stored(file, bands, colours, radiometry, level, moved)


def _file_pixels_per_pixel(grid: Grid) -> tuple[float, float]:
    across, down = (native / side for native, side in zip(grid.native_size, grid.size, strict=True))
    return across, down


def _level_of(grid: Grid) -> _Level:
    """The stored resolution that windows of a grid along the file's own axes are read from."""
    with opened(grid.scene.path) as file:
        return _choose_level(file, min(_file_pixels_per_pixel(grid)))


def _strips(stored: _Stored, height: int, scale: float, columns: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows of a window that are read at once, (first, count): few where many stored ones make one.

    What shows no data by patches of zeros is read in one go, as far as it fits, so that they are seen whole.
    """
    rows = max(1, int(_STORED_ROWS / max(scale, 1.0)))
    if zeros_are_nodata(stored.radiometry) and height * scale * (columns[1] - columns[0]) <= _SAMPLES_AT_ONCE:
        rows = height
    return [(begin, min(rows, height - begin)) for begin in range(0, height, rows)]


def _read_strip(
    stored: _Stored, rows: tuple[AxisMap, tuple[int, int]], columns: tuple[AxisMap, tuple[int, int]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """B×H×W values and H×W validity of a part of a file, resampled; see :func:`_part`."""
    window = RasterioWindow.from_slices(rows[1], columns[1])
    bands, valid = _read_stored(stored, window)
    return _resample_valid(bands, valid, rows[0], columns[0])


def _read_stored(stored: _Stored, window: RasterioWindow) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """B×H×W numbers or colours of a window as they are stored, B = 1 or 3, and where all bands have data."""
    file, table, radiometry = stored.file, stored.colours, stored.radiometry
    bands = read_numbers(file, stored.bands, window)
    valid = np.asarray(band_validity(file, stored.bands, bands, radiometry, window).all(axis=0))
    if table is not None:
        bands, opaque = _coloured(bands[0], table)
        valid &= opaque
    if zeros_are_nodata(radiometry) and not (some := bands.any(axis=0)).all():
        valid &= ~large_patches(np.asarray(~some))
    elif not valid.all() and is_mixed(file, radiometry, stored.level.overview is not None):
        valid &= ~large_patches(np.asarray(~valid))
    return _moved(bands, stored.moved) if stored.moved else bands, valid


def _moved(numbers: NDArray[np.generic], by: int) -> NDArray[np.generic]:
    """Numbers less a whole one, without rounding."""
    if numbers.dtype.kind == "f":
        return np.asarray(numbers.astype(float) - by)
    # integers of 64 bits wrap around, and their differences come out right
    return np.asarray((numbers.astype(np.uint64) - np.uint64(by % (1 << 64))).view(np.int64))


def _coloured(numbers: NDArray[np.generic], table: NDArray[np.uint8]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """3×H×W colours of H×W numbers, and where these are opaque; numbers beyond the table are neither."""
    rgba = np.concatenate([table, np.zeros((1, 4), np.uint8)])[np.clip(numbers, 0, len(table)).astype(np.intp)]
    return rgba[..., :3].transpose(2, 0, 1), rgba[..., 3] > 0


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
    margin = scale / 2 + NODATA_MARGIN_PX
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
        ImageSizeError: It is not two whole numbers, or a side is shorter than ``MIN_SIDE_PX`` or longer than
            ``MAX_SIDE_PX``.
    """
    if len(size) != 2 or not all(isinstance(side, int | np.integer) for side in size):
        raise ImageSizeError(f"Image size {size} is no width and height: give two whole numbers.")
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
        raise UnreadableImageError(why_no_image(path))
    if path.suffix.lower() in _ARCHIVES:
        raise UnreadableImageError(f"{path} is an archive: unpack it, and give the image file in it.")
    options = {} if overview is None else {"overview_level": overview}
    try:
        # one decoding thread: GDAL loses the errors of damaged tiles met in others
        with rasterio.Env(GDAL_NUM_THREADS="1"), open_image(path, **options) as file:
            if file.count == 0:
                raise UnreadableImageError(_bands_missing(path, file.subdatasets))
            yield file
    except GDAL_ERRORS as error:
        raise UnreadableImageError(f"Cannot read {path}: {what_gdal_says(error)}.") from error


def _bands_missing(path: Path, parts: list[str]) -> str:
    """What to say of a container."""
    if not parts:
        return f"{path} holds no image."
    more = ", …" if len(parts) > _NAMED_PARTS else ""
    return (
        f"{path} is a container of {len(parts)} images: write one of them to a file of its own, with gdal_translate "
        f"(there are {', '.join(parts[:_NAMED_PARTS])}{more})."
    )


@contextmanager
def held(*grids: Grid) -> Iterator[None]:
    """Keep the files of grids open, so that blocks which several windows share are decoded once; for this thread alone.

    Raises:
        UnreadableImageError: A file is missing, not an image, or damaged.
        MaskError: A mask cannot be read.
    """
    with rasterio.Env(GDAL_CACHEMAX=_HELD_BYTES), ExitStack() as files:
        for grid in grids:
            stored = _stored_grid(grid)
            files.enter_context(opened(stored.scene.path))
            files.enter_context(opened(stored.scene.path, _level_of(stored).overview))
            for mask in grid.masking.masks:
                if not is_vector(mask.path):
                    files.enter_context(opened_mask(mask.path))
        yield


def _stored_grid(grid: Grid) -> Grid:
    """The grid along the file's own axes that the pixels of a grid come from."""
    return grid if grid.source is None else _stored_grid(grid.source)


def _choose_level(file: rasterio.DatasetReader, scale: float) -> _Level:
    """The coarsest resolution whose samples are no further apart than ``scale`` pixels of the file."""
    chosen = _Level(None, (1.0, 0.0), (1.0, 0.0))
    codestream = file.driver.startswith("JP2") and not Path(f"{file.name}.ovr").exists()
    tiles = tile_size(Path(file.name)) if codestream else None
    for overview, factor in enumerate(file.overviews(1)):
        if factor > scale or not _tiles_are_large(file, tiles, factor):
            break
        if codestream:
            # The low-pass band of JPEG 2000 keeps the even samples (ISO/IEC 15444-1, annex F), so sample k of a level
            # is centred on x = k * factor + 0.5 of the full image, not on the middle of its block.
            line = (1 / factor, 0.5 - 0.5 / factor)
            chosen = _Level(overview, line, line)
        elif (level := _averaged_size(file, overview)) is not None:
            chosen = _Level(overview, (level[0] / file.width, 0.0), (level[1] / file.height, 0.0))
    return chosen


def _tiles_are_large(file: rasterio.DatasetReader, tiles: tuple[int, int] | None, factor: int) -> bool:
    """Whether tiles that are encoded each by itself hold so many samples of a level that their edges do not show."""
    sides = zip(tiles or (file.width, file.height), (file.width, file.height), strict=True)
    return all(tile >= whole or tile / factor >= _TILE_SAMPLES for tile, whole in sides)


def _averaged_size(file: rasterio.DatasetReader, overview: int) -> tuple[int, int] | None:
    """Size of an overview that says it was averaged; the samples of others lie anywhere in their blocks."""
    with opened(Path(file.name), overview) as level:
        averaged = level.tags(1).get("RESAMPLING", "").startswith("AVERAGE")
        return (level.width, level.height) if averaged else None


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


def _to_grey(values: NDArray[np.float32], valid: NDArray[np.bool_], gain: float, origin: float) -> NDArray[np.uint8]:
    """B×H×W numbers to H×W×3 uint8: 1 to 255 where valid, 0 elsewhere; see :class:`s2match.images.Radiometry`."""
    if (gain, origin) != (1.0, 0.0):
        values = values * np.float32(gain) - np.float32(gain * origin)
    image = np.clip(np.rint(values), 1, 255).astype(np.uint8) * valid
    return np.ascontiguousarray(np.broadcast_to(image.transpose(1, 2, 0), (*valid.shape, 3)))
