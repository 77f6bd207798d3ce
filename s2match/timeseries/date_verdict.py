"""The verdict on a placed date: whether its shift is to be corrected, by the rule of a pair."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from s2match.registration.verdict import CHI2_95, FINER, Decision, decide
from s2match.timeseries.observations import PairObservation


def date_verdict(
    shift: NDArray[np.float64],
    covariance: NDArray[np.float64],
    covariance_px2: NDArray[np.float64],
    kept: Iterable[PairObservation],
) -> Decision:
    """The verdict on a date by its shift.

    It is to be registered if the shift is significant at the level of 1 %, and registered already if it is not and no
    shift of more than half a native pixel can hide in its errors.

    Args:
        shift: (2,) its shift, relative to the datum.
        covariance: (2, 2) covariance of the shift.
        covariance_px2: (2, 2) the same in pixels of the file.
        kept: The pairs that place it.
    """
    # the reference of the datum has the shift 0 without an error
    significance = float(shift @ np.linalg.solve(covariance, shift)) if shift.any() else 0.0
    noise_px = math.sqrt(CHI2_95 * float(np.trace(covariance_px2)) / 2)
    reduced = all(pair.matched_pixel > FINER * pair.pixel for pair in kept)
    return decide(significance, noise_px, reduced)
