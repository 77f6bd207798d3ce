"""What a model leaves over, by column and by row of the image: a trend there is what another model would follow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.model import Registration

_BINS = 10


@dataclass(frozen=True)
class Profile:
    """Vectors of inliers along one axis of the reference, in bins.

    Attributes:
        edges_px: (B + 1,) of the bins, reference pixels.
        inliers: (B,) how many lie in each.
        mean: (B, 2) mean vector, in its own unit; NaN where there is no inlier.
        error: (B, 2) standard error of the mean; NaN where there are fewer than 2. As in
            :func:`s2match.registration.uncertainty.uncertainty_px`, points that are what neighbours agree on count by
            what each was alone.
    """

    edges_px: NDArray[np.float64]
    inliers: NDArray[np.int64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]


def profiles(registration: Registration, matches: Matches, size: tuple[int, int]) -> tuple[Profile, Profile]:
    """Residuals (dx, dy) of the inliers, from where the model says to where they lie, target pixels, by column and row.

    Args:
        registration: The model.
        matches: The matches it was fitted to.
        size: Width and height of the reference, pixels.
    """
    inliers = matches.subset(registration.inliers)
    residual = inliers.xy1 - registration.apply(inliers.xy0)
    return binned(inliers, residual, size)


def binned(
    matches: Matches, vectors: NDArray[np.float64], size: tuple[int, int], unit_px: float = 1.0
) -> tuple[Profile, Profile]:
    """Means of some vectors by column and by row.

    Args:
        matches: The matches that they belong to.
        vectors: (N, 2), in any unit.
        size: Width and height of the reference, pixels.
        unit_px: How much of the unit a target pixel is.
    """
    # scatter is a distance: half of its square lies along each axis
    alone = np.zeros(len(matches)) if matches.raw_residual_px is None else (matches.raw_residual_px * unit_px) ** 2 / 2
    by_column, by_row = (_profile(matches.xy0[:, axis], vectors, alone, size[axis]) for axis in (0, 1))
    return by_column, by_row


def _profile(
    along: NDArray[np.float64], vectors: NDArray[np.float64], alone: NDArray[np.float64], length_px: int
) -> Profile:
    edges = np.linspace(0, length_px, _BINS + 1)
    place = np.clip(np.searchsorted(edges, along, side="right") - 1, 0, _BINS - 1)
    count = np.bincount(place, minlength=_BINS)
    total, squares = (
        np.stack([np.bincount(place, value, _BINS) for value in values.T], axis=1) for values in (vectors, vectors**2)
    )
    known, spread = np.maximum(count, 1)[:, None], np.maximum(count - 1, 1)[:, None]
    mean = np.where(count[:, None] > 0, total / known, np.nan)
    scatter = np.bincount(place, alone, _BINS)[:, None]
    variance = (np.clip(squares - total**2 / known, 0, None) + scatter) / spread
    return Profile(edges, count, mean, np.where(count[:, None] > 1, np.sqrt(variance / known), np.nan))
