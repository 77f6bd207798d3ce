"""Share of the common ground of a pair that its inliers cover."""

import numpy as np

from s2match.core.matches import PATCH_PX
from s2match.core.point_maps import grid_points
from s2match.core.validity import valid_at
from s2match.result import PairResult

# Sample points along each side of the reference.
_SAMPLES = 256


def patch_side_px(result: PairResult) -> float:
    """Side of the squares in which the share is counted, in pixels of the matched size: that of a point's patch."""
    return PATCH_PX / result.matches.origin.network_scale


def covered_share(result: PairResult) -> float | None:
    """Share of the ground valid in both images that lies in a square with an inlier; None without a registration."""
    registration = result.registration
    if registration is None:
        return None
    reference, target = result.reference, result.target
    middles = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    xy = grid_points(middles, middles) * reference.size
    valid = (preview.valid for preview in result.previews)
    common = valid_at(next(valid), xy, reference.size) & valid_at(next(valid), registration.apply(xy), target.size)
    if not common.any():
        return None
    side = patch_side_px(result)
    squares = np.zeros(np.ceil(np.array(reference.size) / side).astype(int) + 1, np.bool_)
    squares[tuple(np.floor(result.matches.xy0[registration.inliers] / side).astype(int).T)] = True
    return float(squares[tuple(np.floor(xy[common] / side).astype(int).T)].mean())
