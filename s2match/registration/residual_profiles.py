"""Mean residuals by column and by row of the image: a trend shows that a model is too simple."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.model import Registration

_BINS = 10


@dataclass(frozen=True)
class Profile:
    """Mean vectors of inliers in bins along one axis of the reference.

    Attributes:
        edges_px: (B + 1,) edges of the bins, reference pixels.
        inliers: (B,) number of inliers in each bin.
        mean: (B, 2) mean vector, in the unit of the vectors; NaN where there is no inlier.
        error: (B, 2) standard error of the mean; NaN where there are fewer than 2 inliers. It includes the raw
            residuals, as in :func:`s2match.registration.uncertainty.uncertainty_px`.
    """

    edges_px: NDArray[np.float64]
    inliers: NDArray[np.int64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]


def profiles(registration: Registration, matches: Matches, extent: NDArray[np.float64]) -> tuple[Profile, Profile]:
    """Profiles of the residuals (dx, dy) of the inliers, match minus model, target pixels.

    Args:
        registration: The model.
        matches: The matches that it was fitted to.
        extent: (2, 2) lowest and highest (x, y) of the bins, reference pixels.

    Returns:
        The profile by column and the one by row.
    """
    inliers = matches.subset(registration.inliers)
    residual = inliers.xy1 - registration.apply(inliers.xy0)
    return binned(inliers, residual, extent)


def binned(
    matches: Matches, vectors: NDArray[np.float64], extent: NDArray[np.float64], unit_px: float = 1.0
) -> tuple[Profile, Profile]:
    """Profiles of vectors by column and by row.

    Args:
        matches: The matches that the vectors belong to.
        vectors: (N, 2) vectors in any unit.
        extent: (2, 2) lowest and highest (x, y) of the bins, reference pixels.
        unit_px: Length of a target pixel in that unit.

    Returns:
        The profile by column and the one by row.
    """
    # a raw residual is a distance: half of its square lies along each axis
    raw_variance = (
        np.zeros(len(matches)) if matches.raw_residual_px is None else (matches.raw_residual_px * unit_px) ** 2 / 2
    )
    by_column, by_row = (_profile(matches.xy0[:, axis], vectors, raw_variance, extent[:, axis]) for axis in (0, 1))
    return by_column, by_row


def _profile(
    along: NDArray[np.float64],
    vectors: NDArray[np.float64],
    raw_variance: NDArray[np.float64],
    ends: NDArray[np.float64],
) -> Profile:
    edges = np.linspace(ends[0], ends[1], _BINS + 1)
    bins = np.clip(np.searchsorted(edges, along, side="right") - 1, 0, _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    total, squares = (
        np.stack([np.bincount(bins, value, _BINS) for value in values.T], axis=1) for values in (vectors, vectors**2)
    )
    divisor, freedom = np.maximum(count, 1)[:, None], np.maximum(count - 1, 1)[:, None]
    mean = np.where(count[:, None] > 0, total / divisor, np.nan)
    raw = np.bincount(bins, raw_variance, _BINS)[:, None]
    variance = (np.clip(squares - total**2 / divisor, 0, None) + raw) / freedom
    return Profile(edges, count, mean, np.where(count[:, None] > 1, np.sqrt(variance / divisor), np.nan))
