"""Resample arrays along their axes with every sample where the grid says it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AxisMap:
    """How the positions along one axis of an output array fall on an input array.

    An output position ``x`` (GDAL frame: 0 at the outer edge of the first sample, 0.5 at its centre) lies at
    ``scale * x + offset`` of the input, in the same frame.

    Attributes:
        size: Number of output samples.
        scale: Input samples per output sample.
        offset: Input position of output position 0, in samples.
    """

    size: int
    scale: float
    offset: float


def resample(image: NDArray[np.generic], rows: AxisMap, columns: AxisMap) -> NDArray[np.float32]:
    """Resample an image by two independent one-dimensional filters.

    Each output value is the integral of the linear interpolant of the input over an interval around the output centre.
    The interval grows from nothing (scale 1 and below: linear interpolation) to the output sample (large scales: the
    area average): its width is ``sqrt(scale**2 - 1)`` input samples, so that interpolation and averaging together
    blur as much as an average over one output sample. A linear interpolant reproduces a ramp, and the interval is
    symmetric, so the result is free of the position errors of up to a twentieth of a sample that averages of whole
    samples make at scales such as 1.25. Beyond its edges the input goes on with its outermost value.

    Args:
        image: H×W array of any real type.
        rows: Map of the vertical axis.
        columns: Map of the horizontal axis.

    Returns:
        ``rows.size`` × ``columns.size`` array.
    """
    return _along_rows(_along_rows(image, rows).T, columns).T


def _along_rows(image: NDArray[np.generic], axis: AxisMap) -> NDArray[np.float32]:
    first, weights = _taps(axis)
    out = np.zeros((axis.size, image.shape[1]), np.float32)
    for tap, weight in enumerate(weights.T):
        # where pixels are taken as they are, one of two weights is nothing
        if weight.any():
            index = np.clip(first + tap, 0, image.shape[0] - 1)
            out += weight[:, None] * image[index]
    return out


def _taps(axis: AxisMap) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """First input index (N,) and weights (N×T) of every output sample."""
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
