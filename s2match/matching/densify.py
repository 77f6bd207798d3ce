"""Additional matches by orientation correlation, where the network finds none.

Under haze and between seasons the network matches only parts of a pair, and nothing constrains a model elsewhere.
Squares twice as wide as those of the sub-pixel refinement still correlate there, and the nearest matches predict their
position to within a few pixels. A point is kept if its correlation peak is distinct from all others within the search
radius. On cloud, water and changed ground there is no distinct peak.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from s2match.core.matches import Matches
from s2match.core.window import Window
from s2match.matching.orientation_correlation import Pixels, correlate, in_blocks, peak, settle, template

# Side of the squares that are compared, and the spacing of their centres.
_SIDE_PX, STEP_PX = 128, 32

# Search radius around the predicted point, half width of a peak, and the furthest that refinement may move a point.
_RADIUS_PX, _PEAK_PX, _FURTHEST_PX = 6, 3, 1.5

# A peak must exceed the next one by this many standard deviations of the correlations within the search radius.
_PROMINENCE = 3.0

# Confidence of added points: benchmarks/registration.py counts those within 1.5 px of the truth, and found no other.
CONFIDENCE = 0.99

# Number of nearest matches whose median displacement predicts that of a point.
_NEAREST = 8

# Squares that are compared at once.
_BLOCK = 64


def fill(
    matches: Matches,
    occupied: NDArray[np.float64],
    images: tuple[Pixels, Pixels],
    linear: NDArray[np.float64],
    core: Window,
) -> Matches:
    """Matches on a grid of :data:`STEP_PX`, where there is no occupied point within that distance.

    Args:
        matches: Refined matches of the two images, nearly all of them right, GDAL frame.
        occupied: (M, 2) points (x, y) of the reference near which no match is added.
        images: Reference and target.
        linear: 2×2, steps (x, y) in the reference to steps in the target.
        core: Part of the reference in which matches are added.

    Returns:
        The added matches alone, ``correlated``, with confidence :data:`CONFIDENCE`. None are added if there are no
        matches to predict positions from, or if the confidence threshold is higher.
    """
    empty = _as_matches(matches, np.empty((0, 2)), np.empty((0, 2)), np.empty(0))
    if len(matches) == 0 or matches.origin.confidence >= CONFIDENCE:
        return empty
    reference, target = images
    xy0 = _free_points(occupied, reference.image.valid, core)
    predicted = _predict_points(matches, xy0, linear)
    valid = target.image.valid_at(predicted)
    if not valid.any():
        return empty
    steps = torch.from_numpy(linear).float()

    def measure(points: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _correlate(images, points, starts, steps)

    return _as_matches(matches, *in_blocks(measure, xy0[valid], predicted[valid], _BLOCK))


def _as_matches(
    matches: Matches, xy0: NDArray[np.float64], xy1: NDArray[np.float64], similarity: NDArray[np.float64]
) -> Matches:
    """Correlated points as matches, with the attributes of those that they were predicted from."""
    count, raw = len(xy0), matches.raw_residual_px
    raw_residual_px = None if raw is None else np.full(count, np.median(raw) if count else 0.0)
    confidence, correlated = np.full(count, CONFIDENCE), np.ones(count, np.bool_)
    return Matches(xy0, xy1, confidence, matches.origin, raw_residual_px, similarity, correlated)


def _free_points(occupied: NDArray[np.float64], valid: NDArray[np.bool_], core: Window) -> NDArray[np.float64]:
    """(N, 2) centres (x, y) of valid pixels on a grid over the core, at least STEP_PX from (M, 2) occupied points."""
    free = np.ones(valid.shape, np.uint8)
    column, row = np.clip(np.floor(occupied).astype(int), 0, np.array(valid.shape[::-1]) - 1).T
    free[row, column] = 0
    columns = np.arange(core.x + STEP_PX // 2, core.x + core.width, STEP_PX)
    rows = np.arange(core.y + STEP_PX // 2, core.y + core.height, STEP_PX)
    across, down = (axis.ravel() for axis in np.meshgrid(columns, rows))
    far = cv2.distanceTransform(free, cv2.DIST_C, cv2.DIST_MASK_3)[down, across] >= STEP_PX
    kept = far & valid[down, across]
    return np.stack([across[kept], down[kept]], axis=1) + 0.5


def _predict_points(matches: Matches, xy0: NDArray[np.float64], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) target points (x, y) of reference points (N, 2), by the displacement of the nearest matches."""
    offsets = matches.xy1 - matches.xy0 @ linear.T
    count = min(_NEAREST, len(matches))
    _, nearest = cKDTree(matches.xy0).query(xy0, count)
    offset = np.median(offsets[nearest.reshape(len(xy0), count)], axis=1)
    return np.asarray(xy0 @ linear.T + offset)


def _correlate(
    images: tuple[Pixels, Pixels], xy0: Tensor, predicted: Tensor, linear: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The points whose correlation peak is distinct.

    Args:
        images: Reference and target.
        xy0: (N, 2) points (x, y) of the reference, GDAL frame.
        predicted: (N, 2) predicted points of the target.
        linear: (2, 2) steps (x, y) in the reference to steps in the target.

    Returns:
        (M, 2) points of the reference, (M, 2) of the target, and (M,) correlation.
    """
    reference, target = images
    squares = template(reference, xy0, _SIDE_PX)
    surface = correlate(squares, target, predicted, linear, _RADIUS_PX)
    shift, height = peak(surface)
    prominence = height - _next_height(surface, shift)
    distinct = (prominence > _PROMINENCE * surface.flatten(1).std(1)).nonzero()[:, 0]
    if len(distinct) == 0:
        return xy0[distinct], xy0[distinct], height[distinct].double()
    start = (predicted + shift.double() @ linear.double().T)[distinct]
    settled = settle(squares.subset(distinct), target, start, linear)
    kept = settled.converged & ((settled.xy1 - start).norm(dim=1) <= _FURTHEST_PX)
    return xy0[distinct][kept], settled.xy1[kept], settled.after[kept].double()


def _next_height(surface: Tensor, shift: Tensor) -> Tensor:
    """(N,) highest of (N, K, K) correlations outside the peak around a shift (N, 2) from the centre."""
    along = torch.arange(surface.shape[1]) - surface.shape[1] // 2
    near = ((along - shift.round()[:, :, None]).abs() <= _PEAK_PX).float()
    in_peak = near[:, 1, :, None] * near[:, 0, None, :] > 0
    return surface.masked_fill(in_peak, -torch.inf).amax((1, 2))
