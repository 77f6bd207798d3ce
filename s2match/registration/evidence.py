"""Significance of the inliers of a model: random matches, or a cluster of wrong ones, must not give as many."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import CELL_PX, PATCH_PX, Matches
from s2match.core.point_maps import PointMap, grid_points
from s2match.core.raster import HasGrid, Raster
from s2match.core.validity import valid_at
from s2match.registration.model import Registration

# A registration needs MIN_INLIERS plus this fraction of the matches as inliers. Wrong matches agree by chance, and more
# of them where there are more; benchmarks/evidence.py measures how many.
MIN_INLIERS = 12
CHANCE_FRACTION = 0.1

# Matches fitted to their neighbours are not independent: wrong ones come as one cluster that agrees with itself. A
# cluster is no larger than PATCH_PX and touches at most four squares of that side, so that inliers in a fifth square
# are evidence.
MIN_PATCHES = 5

# Common ground that is too small for MIN_PATCHES registers where the inliers have this weight, and this fraction of the
# common cells. The weight of an inlier is its confidence, halved at a raw residual of _HALF_WEIGHT_PX: points of wrong
# clusters lie further from their local fit. On 2000 pairs of different places, 64 to 352 px a side, no cluster had a
# weight above 13 (python -m benchmarks.evidence --crop).
SMALL_WEIGHT, SMALL_FRACTION = 20.0, 0.05
_HALF_WEIGHT_PX = 0.5

# Most sample points along each side when common ground is counted.
_SAMPLES = 256


class Reason(StrEnum):
    """Reasons why no model is accepted; the values are stable."""

    HARDLY_ANY_MATCHES = "hardly_any_matches"
    TOO_FEW_AGREE = "too_few_agree"
    ONE_CLUSTER = "one_cluster"
    IMPLAUSIBLE = "implausible"
    ONE_LINE = "one_line"


@dataclass(frozen=True)
class FitFailure:
    """The reason why no model was accepted.

    Attributes:
        reason: The reason.
        matches: Number of matches.
        inliers: Number of inliers of the best model.
        required: Smallest number of inliers of a registration.
        scale: Smallest and largest scale of an implausible model, relative to the expected one; None for other reasons.
        mirrored: Whether an implausible model mirrors the image.
    """

    reason: Reason
    matches: int
    inliers: int
    required: int
    scale: tuple[float, float] | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class CommonGround:
    """Sizes and valid pixels of two images, from which their common ground is computed.

    Attributes:
        size: Width and height of the reference, in the pixels of the matches.
        target_size: Width and height of the target, likewise.
        valid: H×W bool, the valid pixels of the reference, at any resolution.
        target_valid: H×W bool of the target, likewise.
    """

    size: tuple[int, int]
    target_size: tuple[int, int]
    valid: NDArray[np.bool_]
    target_valid: NDArray[np.bool_]

    def cells(self, apply: PointMap, network_scale: int = 1) -> float:
        """Number of the network's cells of 8 × 8 px of the reference that are valid in both images.

        Args:
            apply: Maps (N, 2) reference pixels (x, y) to target pixels, GDAL frame.
            network_scale: Factor by which the images were enlarged for the network.
        """
        columns, rows = (min(math.ceil(side / CELL_PX), _SAMPLES) for side in self.size)
        xy = grid_points((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows) * self.size
        common = valid_at(self.valid, xy, self.size) & valid_at(self.target_valid, apply(xy), self.target_size)
        return float(common.mean()) * math.prod(self.size) * (network_scale / CELL_PX) ** 2


def common_ground(reference: HasGrid, target: HasGrid, previews: tuple[Raster, Raster] | None = None) -> CommonGround:
    """The common ground of two images.

    Args:
        reference: Reference at the size of the matches.
        target: Target, likewise.
        previews: Both with pixels, at any size; None if the two are rasters, or all of their pixels count as valid.
    """
    images = previews or (reference, target)
    return CommonGround(reference.size, target.size, _valid_of(images[0]), _valid_of(images[1]))


def failure_of(
    matches: Matches, registration: Registration | None, ground: CommonGround | None = None
) -> FitFailure | None:
    """Returns the reason to reject a model, or None if its inliers are significant.

    Args:
        matches: All matches.
        registration: The model with the most inliers; None if there is none.
        ground: Common ground of the images. Inliers in few patches are significant only if they cover enough of it.
            None if it is unknown: such inliers are then always rejected.
    """
    count, required = len(matches), required_inliers(len(matches))
    inliers = 0 if registration is None else int(registration.inliers.sum())
    if count < MIN_INLIERS:
        return FitFailure(Reason.HARDLY_ANY_MATCHES, count, inliers, required)
    if registration is None or inliers < required:
        return FitFailure(Reason.TOO_FEW_AGREE, count, inliers, required)
    if not in_one_cluster(matches, registration.inliers):
        return None
    if ground is not None and _outweighs_clusters(ground, matches, registration):
        return None
    return FitFailure(Reason.ONE_CLUSTER, count, inliers, required)


def in_one_cluster(matches: Matches, inliers: NDArray[np.bool_]) -> bool:
    """Whether inliers (N,) of a local affine fit lie in so few patches that they may be a single cluster."""
    return matches.raw_residual_px is not None and count_patches(matches, inliers) < MIN_PATCHES


def count_patches(matches: Matches, inliers: NDArray[np.bool_]) -> int:
    """Number of squares of PATCH_PX of the network's reference that contain inliers (N,)."""
    return len(np.unique(np.floor(matches.xy0[inliers] * matches.origin.network_scale / PATCH_PX), axis=0))


def required_inliers(matches: int) -> int:
    """Smallest number of inliers that a registration of this many matches must have."""
    return math.ceil(MIN_INLIERS + CHANCE_FRACTION * matches)


def evidence_weight(matches: Matches, inliers: NDArray[np.bool_]) -> float:
    """Sum over cells of 8 × 8 px of the largest weight of an inlier in each.

    Args:
        matches: All matches.
        inliers: (N,) those that count.
    """
    chosen = matches.subset(inliers)
    scale = matches.origin.network_scale
    raw_residual_px = np.zeros(len(chosen)) if chosen.raw_residual_px is None else chosen.raw_residual_px * scale
    weights = chosen.confidence / (1 + (raw_residual_px / _HALF_WEIGHT_PX) ** 2)
    cells, cell = np.unique(np.floor(chosen.xy0 * scale / CELL_PX), axis=0, return_inverse=True)
    largest = np.zeros(len(cells))
    np.maximum.at(largest, cell.ravel(), weights)
    return float(largest.sum())


def _outweighs_clusters(ground: CommonGround, matches: Matches, registration: Registration) -> bool:
    """Whether inliers have more weight than any cluster of wrong matches, and cover enough of the common ground."""
    cells = ground.cells(registration.apply, matches.origin.network_scale)
    least = max(SMALL_WEIGHT, SMALL_FRACTION * cells)
    return evidence_weight(matches, registration.inliers) >= least


def _valid_of(image: HasGrid) -> NDArray[np.bool_]:
    return image.valid if isinstance(image, Raster) else np.ones((1, 1), np.bool_)
