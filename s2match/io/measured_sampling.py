"""Positions of the samples of overviews without a tag of their resampling, by comparison with the full resolution.

GDAL's COG driver writes no such tag, and resamples by a cubic kernel unless told otherwise; rio-cogeo takes nearest
neighbours unless told otherwise.
"""

from collections.abc import Iterator

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from s2match.core.overview_sampling import OverviewSampling
from s2match.io.bands import used_bands
from s2match.resampling.area import AxisMap, resample

# Samples along a side of the windows that are compared, and samples at their edges that are not, because filters
# reach beyond them.
_SIDE, _EDGE = 72, 4

_INNER = (slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))

# Least standard deviation of the overview in a window that decides, and ratio of residuals that shows nearest
# neighbours even in noise, which has no position.
_LEAST_DEVIATION, _CLEARLY = 1.0, 2.0

# Largest distance of a measured position from the middle, and from the first pixel, in samples: they are 0.35 or more
# apart. The first pixel varies where sides of a file are odd.
_SHIFT, _SHIFT_OF_FIRST = 0.08, 0.14


def measured_sampling(file: rasterio.DatasetReader, level: rasterio.DatasetReader) -> OverviewSampling:
    """Positions of the samples of an overview.

    One window that has data and texture decides: its samples are compared with means of the pixels of the file, and
    with the first pixel of each block.

    Args:
        file: The file, open at full resolution.
        level: The file, open at its first overview.

    Returns:
        CENTRED, NEAREST, or UNKNOWN if neither explains the samples, or no window has texture.
    """
    for window in _windows(file, level):
        band = used_bands(file)[0]
        if not level.read_masks(band, window=window).all():
            continue
        samples = level.read(band, window=window).astype(float)
        inner = samples[_EDGE:-_EDGE, _EDGE:-_EDGE]
        if np.isfinite(samples).all() and samples.any(axis=1).all() and inner.std() > _LEAST_DEVIATION * _step(file):
            return _compare(file, level, window, samples)
    return OverviewSampling.UNKNOWN


def _step(file: rasterio.DatasetReader) -> float:
    """Smallest step of the numbers that counts: 1 for integers, any for others."""
    return 1.0 if np.dtype(file.dtypes[used_bands(file)[0] - 1]).kind in "iu" else 0.0


def _windows(file: rasterio.DatasetReader, level: rasterio.DatasetReader) -> Iterator[RasterioWindow]:
    """Windows of an overview that begin with a block of the file: one in the middle, and four around it."""
    width, height = min(_SIDE, level.width), min(_SIDE, level.height)
    if min(width, height) <= 4 * _EDGE:
        return
    block_height, block_width = file.block_shapes[used_bands(file)[0] - 1]
    for x, y in ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75), (0.75, 0.25), (0.25, 0.75)):
        left = int(file.width * x) // block_width * block_width * level.width // file.width
        top = int(file.height * y) // block_height * block_height * level.height // file.height
        yield RasterioWindow(min(left, level.width - width), min(top, level.height - height), width, height)


def _compare(
    file: rasterio.DatasetReader, level: rasterio.DatasetReader, window: RasterioWindow, samples: NDArray[np.float64]
) -> OverviewSampling:
    """The sampling that explains H×W samples of a window of an overview."""
    across, down = file.width / level.width, file.height / level.height
    left, top = int(window.col_off * across), int(window.row_off * down)
    width = min(int(np.ceil(window.width * across)) + 1, file.width - left)
    height = min(int(np.ceil(window.height * down)) + 1, file.height - top)
    pixels = file.read(used_bands(file)[0], window=RasterioWindow(left, top, width, height)).astype(float)
    rows = AxisMap(window.height, down, window.row_off * down - top)
    columns = AxisMap(window.width, across, window.col_off * across - left)
    means = resample(pixels, rows, columns).astype(float)
    first_rows, first_columns = (
        np.rint(np.arange(axis.size) * axis.scale + axis.offset).astype(int) for axis in (rows, columns)
    )
    first = pixels[np.ix_(np.minimum(first_rows, height - 1), np.minimum(first_columns, width - 1))]
    off_means, off_first = (_root_mean_square((samples - each)[_INNER]) for each in (means, first))
    if off_first * _CLEARLY < off_means:
        return OverviewSampling.NEAREST
    shift, error = _shift(means, samples)
    at_first = np.array([0.5 / across - 0.5, 0.5 / down - 0.5])
    if error > _SHIFT / 3:
        return OverviewSampling.UNKNOWN
    if np.linalg.norm(shift) < _SHIFT and off_means < off_first:
        return OverviewSampling.CENTRED
    return OverviewSampling.NEAREST if np.linalg.norm(shift - at_first) < _SHIFT_OF_FIRST else OverviewSampling.UNKNOWN


def _shift(means: NDArray[np.float64], samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Position (x, y) of samples relative to means by least squares, and its standard error, in samples."""
    gradients = np.stack([np.asarray(np.gradient(means, axis=axis))[_INNER].ravel() for axis in (1, 0)], axis=1)
    difference = (samples - means)[_INNER].ravel()
    shift = np.asarray(np.linalg.lstsq(gradients, difference, rcond=None)[0])
    variance = np.mean((difference - gradients @ shift) ** 2)
    return shift, float(np.sqrt(variance * np.trace(np.linalg.pinv(gradients.T @ gradients))))


def _root_mean_square(values: NDArray[np.float64]) -> float:
    return float(np.sqrt((values**2).mean()))
