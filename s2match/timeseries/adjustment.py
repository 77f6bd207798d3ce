"""Adjustment of a series: one shift for each image by robust least squares over all pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Adjustment:
    """Shifts of all images, adjusted to the pairs.

    The shift of an image is its georeferencing error: where it shows the ground, minus where it is. All lengths are in
    the unit of the observations.

    Attributes:
        shifts: (D, 2) shift of each image, relative to the datum; NaN without a pair that is kept.
        covariance: (D, 2, 2) covariance of the shifts; NaN likewise.
        components: (D,) number of the connected part of each image, 0 for the largest; -1 without a pair that is kept.
        weights: (P,) robust weight of each observation, 0 to 1; 0 if it is rejected or was not measured.
        residuals: (P, 2) measured minus adjusted shift; NaN if it was not measured or an image is not placed.
        left_out: (P, 2) measured shift minus that by all other pairs; NaN where no others connect the two images.
        variance_factor: Mean squared residual, normalised by the covariances of the observations; 1 if they are right.
    """

    shifts: NDArray[np.float64]
    covariance: NDArray[np.float64]
    components: NDArray[np.intp]
    weights: NDArray[np.float64]
    residuals: NDArray[np.float64]
    left_out: NDArray[np.float64]
    variance_factor: float
