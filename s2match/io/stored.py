"""Read windows of one stored resolution of a file and resample them."""

from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from s2match.core.radiometry import Radiometry
from s2match.io.nodata import NODATA_MARGIN_PX, band_validity, is_mixed, large_patches, used_bands, zeros_are_nodata
from s2match.io.overviews import StoredLevel
from s2match.io.radiometry import colour_table, read_numbers
from s2match.resampling.area import AxisMap, resample

# Stored rows that are held at once, about, where a large file without reduced versions is read smaller.
_STORED_ROWS = 1024

# Differences of numbers beyond this are told coarsely in float32.
_FLOAT32_WHOLE = 1 << 16

# Stored samples that are read at once where patches of zeros are to be seen whole: somewhat more than a full tile.
_SAMPLES_AT_ONCE = 1 << 27


@dataclass(frozen=True)
class Stored:
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
    level: StoredLevel
    moved: int


def stored_at(file: rasterio.DatasetReader, radiometry: Radiometry, level: StoredLevel) -> Stored:
    """What to read of a file that is open at a stored resolution."""
    bands, colours = used_bands(file), colour_table(file)
    # float32, in which numbers are resampled, holds those of 16 bits exactly
    wide = colours is None and any(np.dtype(file.dtypes[band - 1]).itemsize > 2 for band in bands)
    moved = round(radiometry.origin) if wide and abs(radiometry.origin) > _FLOAT32_WHOLE else 0
    return Stored(file, bands, colours, radiometry, level, moved)


def row_strips(stored: Stored, height: int, scale: float, columns: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows of a window that are read at once, (first, count): few where many stored ones make one.

    What shows no data by patches of zeros is read in one go, as far as it fits, so that they are seen whole.
    """
    rows = max(1, int(_STORED_ROWS / max(scale, 1.0)))
    if zeros_are_nodata(stored.radiometry) and height * scale * (columns[1] - columns[0]) <= _SAMPLES_AT_ONCE:
        rows = height
    return [(begin, min(rows, height - begin)) for begin in range(0, height, rows)]


def read_strip(
    stored: Stored, rows: tuple[AxisMap, tuple[int, int]], columns: tuple[AxisMap, tuple[int, int]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """B×H×W values and H×W validity of a part of a file, resampled; see :func:`window_map`."""
    window = RasterioWindow.from_slices(rows[1], columns[1])
    bands, valid = _read_stored(stored, window)
    return _resample_valid(bands, valid, rows[0], columns[0])


def _read_stored(stored: Stored, window: RasterioWindow) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
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


def window_map(
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
