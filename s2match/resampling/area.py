"""Separable resampling of arrays to another size, between linear interpolation and area averaging."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AxisMap:
    """Map from positions along one axis of an output array to positions in the input array.

    Output position ``x`` lies at ``scale * x + offset`` in the input, both in the GDAL frame: 0 at the outer edge of
    the first sample, 0.5 at its centre.

    Attributes:
        size: Number of output samples.
        scale: Input samples per output sample.
        offset: Input position of output position 0, in samples.
    """

    size: int
    scale: float
    offset: float


def resample(image: NDArray[np.generic], rows: AxisMap, columns: AxisMap) -> NDArray[np.float32]:
    """Resample an image by a one-dimensional filter along each axis.

    Each output value is the mean of the linear interpolant of the input over an interval around the output centre. The
    interval is ``sqrt(scale**2 - 1)`` input samples wide, so that interpolation and averaging together blur as much as
    an average over one output sample. At scales up to 1 this is linear interpolation, at large scales the area average.
    Ramps are exact. (Plain block averaging would shift them by up to 0.05 samples.) Beyond its edges the input
    continues with its outermost values.

    Args:
        image: H×W array of any real type.
        rows: Map of the vertical axis.
        columns: Map of the horizontal axis.

    Returns:
        Array of ``rows.size`` × ``columns.size``, float32.
    """
    return _along_rows(_along_rows(image, rows).T, columns).T


def _along_rows(image: NDArray[np.generic], axis: AxisMap) -> NDArray[np.float32]:
    """Resample the vertical axis."""
    start = int(axis.offset)
    if axis.scale == 1 and axis.offset == start and 0 <= start <= image.shape[0] - axis.size:
        return image[start : start + axis.size].astype(np.float32)
    first, weights = _taps(axis)
    out = np.zeros((axis.size, image.shape[1]), np.float32)
    for tap, weight in enumerate(weights.T):
        index = np.clip(first + tap, 0, image.shape[0] - 1)
        out += weight[:, None] * image[index]
    return out


def _taps(axis: AxisMap) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """First input index (N,) and filter weights (N×T) of every output sample."""
    centre = (np.arange(axis.size) + 0.5) * axis.scale + axis.offset - 0.5
    width = np.sqrt(max(axis.scale**2 - 1.0, 0.0))
    first = np.floor(centre - width / 2).astype(np.intp)
    count = int(np.ceil(width)) + 2
    distance = first[:, None] + np.arange(count) - centre[:, None]
    if width < 1e-3:
        weights = np.maximum(1 - np.abs(distance), 0)
    else:
        weights = (_hat_integral(distance + width / 2) - _hat_integral(distance - width / 2)) / width
    return first, (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _hat_integral(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral from minus infinity to x of the triangle ``max(1 - |t|, 0)``."""
    x = np.clip(x, -1, 1)
    return 0.5 + x - 0.5 * x * np.abs(x)
