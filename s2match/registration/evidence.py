"""Whether matches that agree on one model are evidence for it, or may agree by chance; and what is missing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import CELL_PX, PATCH_PX, Matches
from s2match.core.raster import HasGrid, Raster
from s2match.registration.model import Registration

# A registration needs MIN_INLIERS plus this share of the matches to agree: wrong matches agree by chance, the more of
# them the more. benchmarks/evidence.py measures by how much.
MIN_INLIERS = 12
CHANCE_SHARE = 0.1

# Matches fitted to their neighbours are not independent: wrong ones come as one cluster that agrees with itself. A
# cluster is no larger than PATCH_PX and touches at most four squares of that side; a fifth must hold inliers.
MIN_PATCHES = 5

# Common ground that is too small for MIN_PATCHES registers where the inliers weigh this much, and this share of the
# cells in common. An inlier weighs its confidence, half of it at this scatter: the points of wrong clusters scatter
# more about what their neighbours agree on. On 2000 pairs of different places, 64 to 352 px a side, no cluster weighed
# more than 13 (python -m benchmarks.evidence --crop).
SMALL_WEIGHT, SMALL_SHARE = 20.0, 0.05
_SCATTER_PX = 0.5

# Places along each side at which common ground is counted, at most.
_PLACES = 256


class Reason(StrEnum):
    """Why matches are no registration; the values are stable."""

    HARDLY_ANY_MATCHES = "hardly_any_matches"
    TOO_FEW_AGREE = "too_few_agree"
    ONE_CLUSTER = "one_cluster"
    IMPLAUSIBLE = "implausible"


@dataclass(frozen=True)
class FitFailure:
    """Why no model was fitted.

    Attributes:
        reason: The reason.
        matches: Number of matches.
        agreeing: Number of matches that agree on the best model.
        required: Number of matches that must agree.
        scale: Smallest and largest scale of a model that was refused, against the one expected; else None.
        mirrored: Whether a model that was refused mirrors the image.
    """

    reason: Reason
    matches: int
    agreeing: int
    required: int
    scale: tuple[float, float] | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class CommonGround:
    """Where two images can match.

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

    def cells(self, apply: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
        """Number of cells of 8 × 8 px of the reference that are valid in both images.

        Args:
            apply: Carries (N, 2) reference pixels (x, y) to target pixels, GDAL frame.
        """
        columns, rows = (min(math.ceil(side / CELL_PX), _PLACES) for side in self.size)
        x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
        places = np.stack([x, y], axis=-1).reshape(-1, 2) * self.size
        common = _shows(self.valid, places / self.size) & _shows(self.target_valid, apply(places) / self.target_size)
        return float(common.mean()) * math.prod(self.size) / CELL_PX**2


def common_ground(reference: HasGrid, target: HasGrid, previews: tuple[Raster, Raster] | None = None) -> CommonGround:
    """The common ground of two images.

    Args:
        reference: Reference at the size of the matches.
        target: Target, likewise.
        previews: Both with pixels, at any size; None where the two are rasters, or all of their pixels count as valid.
    """
    first, second = previews or (reference, target)
    return CommonGround(reference.size, target.size, _valid(first), _valid(second))


def failure_of(matches: Matches, found: Registration | None, ground: CommonGround | None = None) -> FitFailure | None:
    """Why the inliers of a model may agree by chance; None where they are evidence.

    Args:
        matches: All matches.
        found: The model that most of them agree on; None where there is none.
        ground: Where the images can match; None where unknown: small common ground is then never enough.
    """
    count, required = len(matches), required_inliers(len(matches))
    agreeing = 0 if found is None else int(found.inliers.sum())
    if count < MIN_INLIERS:
        return FitFailure(Reason.HARDLY_ANY_MATCHES, count, agreeing, required)
    if found is None or agreeing < required:
        return FitFailure(Reason.TOO_FEW_AGREE, count, agreeing, required)
    if not in_one_cluster(matches, found.inliers) or (ground is not None and _fill(ground, matches, found)):
        return None
    return FitFailure(Reason.ONE_CLUSTER, count, agreeing, required)


def in_one_cluster(matches: Matches, inliers: NDArray[np.bool_]) -> bool:
    """Whether inliers (N,) that were fitted to their neighbours lie in so few places that they may be one cluster."""
    return matches.raw_residual_px is not None and patches(matches, inliers) < MIN_PATCHES


def patches(matches: Matches, inliers: NDArray[np.bool_]) -> int:
    """Number of squares of PATCH_PX of the reference that hold some of the inliers (N,)."""
    return len(np.unique(np.floor(matches.xy0[inliers] / PATCH_PX), axis=0))


def required_inliers(matches: int) -> int:
    """Number of so many matches that must agree on one model."""
    return math.ceil(MIN_INLIERS + CHANCE_SHARE * matches)


def weight(matches: Matches, inliers: NDArray[np.bool_]) -> float:
    """Sum over cells of 8 × 8 px of what the surest inlier weighs there.

    Args:
        matches: All matches.
        inliers: (N,) those that count.
    """
    chosen = matches.subset(inliers)
    raw_residual_px = np.zeros(len(chosen)) if chosen.raw_residual_px is None else chosen.raw_residual_px
    each = chosen.confidence / (1 + (raw_residual_px / _SCATTER_PX) ** 2)
    cells, cell = np.unique(np.floor(chosen.xy0 / CELL_PX), axis=0, return_inverse=True)
    surest = np.zeros(len(cells))
    np.maximum.at(surest, cell.ravel(), each)
    return float(surest.sum())


def _fill(ground: CommonGround, matches: Matches, found: Registration) -> bool:
    """Whether inliers outweigh any cluster of wrong matches, and fill a share of the common ground."""
    return weight(matches, found.inliers) >= max(SMALL_WEIGHT, SMALL_SHARE * ground.cells(found.apply))


def _valid(image: HasGrid) -> NDArray[np.bool_]:
    return image.valid if isinstance(image, Raster) else np.ones((1, 1), np.bool_)


def _shows(valid: NDArray[np.bool_], share: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) whether places (N, 2), (x, y) as shares of an image's sides, are valid."""
    height, width = valid.shape
    inside = np.asarray(((share >= 0) & (share < 1)).all(axis=1))
    column, row = (np.where(inside[:, None], share, 0) * (width, height)).astype(np.intp).T
    return np.asarray(inside & valid[row, column])
