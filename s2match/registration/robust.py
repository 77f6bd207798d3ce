"""Robust weights of distances, for points that contain outliers."""

import numpy as np
from numpy.typing import NDArray

# Median length of a 2-vector of normal errors with standard deviation 1.
_MEDIAN_LENGTH = 1.177

# Errors of exact points are rounding, and no measure of what is an outlier.
_LEAST_DEVIATION_PX = 0.05


def deviation_px(square_px2: NDArray[np.float64]) -> float:
    """Standard deviation along an axis by the median of squared distances (N,), N of 1 or more; at least 0.05 px."""
    return max(float(np.sqrt(np.median(square_px2))) / _MEDIAN_LENGTH, _LEAST_DEVIATION_PX)


def biweight(square_px2: NDArray[np.float64], cutoff_px: float) -> NDArray[np.float64]:
    """(N,) Tukey's biweight of squared distances (N,): 1 at no distance, 0 from the cutoff on."""
    return np.asarray(np.clip(1 - square_px2 / cutoff_px**2, 0, None) ** 2)
