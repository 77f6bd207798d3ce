"""Read windows of one stored resolution of a file and resample them."""

from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from s2match.core.radiometry import Radiometry
from s2match.core.window import Window
from s2match.io.bands import read_numbers, used_bands
from s2match.io.nodata import NODATA_MARGIN_PX, band_validity, is_mixed, large_patches, zeros_are_nodata
from s2match.io.overviews import StoredLevel
from s2match.io.radiometry import colour_table
from s2match.resampling.area import AxisMap, resample

# Stored rows in memory at once, about, where a large file without overviews is read at a smaller size.
_STORED_ROWS = 1024

# float32 rounds differences of larger numbers.
_FLOAT32_WHOLE = 1 << 16

# Stored samples that are read at once to see whole patches of zeros: somewhat more than a full tile.
_SAMPLES_AT_ONCE = 1 << 27

# Most stored samples of a strip: about those of 1024 rows of three full tiles side by side.
_STRIP_SAMPLES = 1 << 25


@dataclass(frozen=True)
class AxisWindow:
    """A window along one axis, and the stored samples that it is resampled from.

    Attributes:
        axis: Map from the pixels of the window to the samples.
        samples: (start, stop) of the samples.
    """

    axis: AxisMap
    samples: tuple[int, int]

    @property
    def length(self) -> int:
        """Number of the samples."""
        return self.samples[1] - self.samples[0]


@dataclass(frozen=True)
class LevelReader:
    """Reader of one stored resolution of a file.

    Attributes:
        file: The file, open at the resolution.
        bands: Indexes of the bands that are used, from 1.
        colours: (N, 4) colour table; None if pixel values are not colour indexes.
        radiometry: Radiometry of the file.
        level: The resolution.
        offset: Whole number that is subtracted from the numbers, because float32 would round large ones.
    """

    file: rasterio.DatasetReader
    bands: list[int]
    colours: NDArray[np.uint8] | None
    radiometry: Radiometry
    level: StoredLevel
    offset: int

    @classmethod
    def of(cls, file: rasterio.DatasetReader, radiometry: Radiometry, level: StoredLevel) -> "LevelReader":
        """The reader of a file that is open at a stored resolution."""
        bands, colours = list(radiometry.bands) or used_bands(file), colour_table(file)
        # numbers are resampled as float32, which holds those of 16 bits exactly
        wide = colours is None and any(np.dtype(file.dtypes[band - 1]).itemsize > 2 for band in bands)
        offset = round(radiometry.origin) if wide and abs(radiometry.origin) > _FLOAT32_WHOLE else 0
        return cls(file, bands, colours, radiometry, level, offset)

    def empty(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Arrays for the values and the validity of a window, as :meth:`read` returns them."""
        count = len(self.bands) if self.colours is None else 3
        shape = (window.height, window.width)
        return np.empty((count, *shape), np.float32), np.empty(shape, np.bool_)

    def parts(self, window: Window, scale: tuple[float, float], columns: int) -> list[Window]:
        """Parts of a window that are read one after another, to bound the memory: strips of rows, cut where too wide.

        If patches of zeros are nodata, the window is a single part if it fits, so that no patch is cut.

        Args:
            window: The window.
            scale: Stored (columns, rows) per column and row of the window.
            columns: Number of stored columns.

        Returns:
            The parts, relative to the window.
        """
        width, height = window.width, max(1, int(_STORED_ROWS / max(scale[1], 1.0)))
        if zeros_are_nodata(self.radiometry) and window.height * scale[1] * columns <= _SAMPLES_AT_ONCE:
            height = window.height
        elif height * scale[1] * columns > _STRIP_SAMPLES:
            width = max(1, int(_STRIP_SAMPLES / (height * scale[1] * scale[0])))
        return [
            Window(left, top, min(width, window.width - left), min(height, window.height - top))
            for top in range(0, window.height, height)
            for left in range(0, window.width, width)
        ]

    def read(self, rows: AxisWindow, columns: AxisWindow) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read and resample a window, see :func:`axis_window`.

        Returns:
            B×H×W values (B = 1 or 3) less :attr:`offset`, and H×W bool, True where all bands have data.
        """
        bands, valid = self._read_samples(rows, columns)
        return _resample_valid(bands, valid, rows.axis, columns.axis)

    def read_validity(self, rows: AxisWindow, columns: AxisWindow) -> NDArray[np.bool_]:
        """Read the H×W validity of a window, as :meth:`read` returns it."""
        _, valid = self._read_samples(rows, columns)
        if valid.all():
            return np.ones((rows.axis.size, columns.axis.size), np.bool_)
        return _is_valid(resample(valid, rows.axis, columns.axis))

    def _read_samples(self, rows: AxisWindow, columns: AxisWindow) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """B×H×W stored numbers or colours of a window less the offset, and where all bands have data."""
        window = RasterioWindow.from_slices(rows.samples, columns.samples)
        bands = read_numbers(self.file, self.bands, window)
        valid = np.asarray(band_validity(self.file, self.bands, bands, self.radiometry, window).all(axis=0))
        if self.colours is not None:
            bands, opaque = _look_up_colours(bands[0], self.colours)
            valid &= opaque
        if zeros_are_nodata(self.radiometry) and not (nonzero := bands.any(axis=0)).all():
            valid &= ~large_patches(np.asarray(~nonzero))
        elif not valid.all() and is_mixed(self.file, self.radiometry, self.level.overview is not None):
            valid &= ~large_patches(np.asarray(~valid))
        return _subtract(bands, self.offset) if self.offset else bands, valid


def axis_window(start: float, size: int, scale: float, level: tuple[float, float], length: int) -> AxisWindow:
    """Window along one axis of an image, as stored samples and the map to them.

    Args:
        start: Position in the file where the window begins, pixels.
        size: Pixels of the window.
        scale: Pixels of the file per pixel of the window.
        level: (scale, offset) from position in the file to position at the stored resolution.
        length: Samples stored along the axis.
    """
    scale, offset = scale * level[0], start * level[0] + level[1]
    margin = scale / 2 + NODATA_MARGIN_PX
    first = int(np.clip(np.floor(offset - margin), 0, length - 1))
    last = int(np.clip(np.ceil(offset + size * scale + margin), first + 1, length))
    return AxisWindow(AxisMap(size, scale, offset - first), (first, last))


def _subtract(numbers: NDArray[np.generic], offset: int) -> NDArray[np.generic]:
    """Numbers less a whole number, without rounding."""
    if numbers.dtype.kind == "f":
        return np.asarray(numbers.astype(float) - offset)
    # unsigned numbers of 64 bits wrap around, so that the differences are exact
    return np.asarray((numbers.astype(np.uint64) - np.uint64(offset % (1 << 64))).view(np.int64))


def _look_up_colours(
    numbers: NDArray[np.generic], table: NDArray[np.uint8]
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """3×H×W colours of H×W indexes, and H×W bool, False where a colour is transparent or not in the table."""
    rgba = np.concatenate([table, np.zeros((1, 4), np.uint8)])[np.clip(numbers, 0, len(table)).astype(np.intp)]
    return rgba[..., :3].transpose(2, 0, 1), rgba[..., 3] > 0


def _resample_valid(
    bands: NDArray[np.generic], valid: NDArray[np.bool_], rows: AxisMap, columns: AxisMap
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Resample the valid pixels of B×H×W bands, and their validity."""
    if valid.all():
        values = np.stack([resample(band, rows, columns) for band in bands])
        return values, np.ones((rows.size, columns.size), np.bool_)
    valid_fraction = resample(valid, rows, columns)
    kept = _is_valid(valid_fraction)
    values = np.stack([resample(np.where(valid, band, 0), rows, columns) for band in bands])
    return np.divide(values, valid_fraction, out=np.zeros_like(values), where=kept), kept


def _is_valid(valid_fraction: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether output pixels are valid: if half of their area is."""
    return np.asarray(valid_fraction >= 0.5)
