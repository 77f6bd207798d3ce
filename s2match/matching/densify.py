"""Points where the network finds none, by the edges alone: what it does find tells where to look.

Under haze, and between winter and summer, the network is silent over large parts of a pair whose other parts it
matches, and a model has nothing to go by there. Squares twice as wide as those that refine a match still show edges
in common, and where they lie is known to a few pixels from the nearest matches. A point counts when its peak of the
correlation stands out from all others within reach; of clouds, water and changed ground none does.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from s2match.core.matches import Matches
from s2match.core.window import Window
from s2match.matching.orientation_correlation import Pixels, in_blocks, peak, search, settle, template

# Side of the squares that are compared, and the distance between their middles.
_SIDE_PX, STEP_PX = 128, 32

# How far around the expected place a point is sought, how far from a peak others are others, and how far from where it
# was first seen it may come to rest.
_REACH_PX, _APART_PX, _FURTHEST_PX = 6, 3, 1.5

# By how many standard deviations of the correlations within reach a peak must stand out from the next one.
_STANDS_OUT = 3.0

# How sure such points are: benchmarks/registration.py counts those within 1.5 px of the truth, and found no other.
CONFIDENCE = 0.99

# Matches whose displacement tells what to expect of a point: the middle of the nearest so many.
_NEAREST = 8

# Squares that are compared at once.
_BLOCK = 64


def fill(
    matches: Matches,
    taken: NDArray[np.float64],
    reference: Pixels,
    target: Pixels,
    linear: NDArray[np.float64],
    core: Window,
) -> Matches:
    """Find points where there are none within :data:`STEP_PX`.

    Args:
        matches: Refined matches of the two images, right ones but for a few, GDAL frame.
        taken: (M, 2) points (x, y) of the reference, near which none is wanted.
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        linear: 2×2, from steps (x, y) in the reference to steps in the target.
        core: Part of the reference in which points are wanted.

    Returns:
        What was found, ``correlated``, with :data:`CONFIDENCE`: nothing where there are no matches to tell what to
        expect, or surer ones are asked for.
    """
    nothing = _found(matches, np.empty((0, 2)), np.empty((0, 2)), np.empty(0))
    if len(matches) == 0 or matches.origin.confidence >= CONFIDENCE:
        return nothing
    places = _empty_places(taken, reference.image.valid, core)
    expected = _expected(matches, places, linear)
    shown = target.image.valid_at(expected)
    if not shown.any():
        return nothing
    steps = torch.from_numpy(linear).float()

    def measure(points: Tensor, middles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _find(reference, target, points, middles, steps)

    return _found(matches, *in_blocks(measure, places[shown], expected[shown], _BLOCK))


def _found(
    matches: Matches, xy0: NDArray[np.float64], xy1: NDArray[np.float64], similarity: NDArray[np.float64]
) -> Matches:
    """Points that some matches led to."""
    count = len(xy0)
    raw_residual_px = (
        None
        if matches.raw_residual_px is None
        else np.full(count, np.median(matches.raw_residual_px) if count else 0.0)
    )
    marks = np.ones(count, np.bool_)
    return Matches(xy0, xy1, np.full(count, CONFIDENCE), matches.origin, raw_residual_px, similarity, marks)


def _empty_places(taken: NDArray[np.float64], valid: NDArray[np.bool_], core: Window) -> NDArray[np.float64]:
    """(N, 2) centres (x, y) of valid pixels, evenly spread over a part of an image, far from (M, 2) others."""
    free = np.ones(valid.shape, np.uint8)
    column, row = np.clip(np.floor(taken).astype(int), 0, np.array(valid.shape[::-1]) - 1).T
    free[row, column] = 0
    columns = np.arange(core.x + STEP_PX // 2, core.x + core.width, STEP_PX)
    rows = np.arange(core.y + STEP_PX // 2, core.y + core.height, STEP_PX)
    across, down = (axis.ravel() for axis in np.meshgrid(columns, rows))
    far = cv2.distanceTransform(free, cv2.DIST_C, cv2.DIST_MASK_3)[down, across] >= STEP_PX
    kept = far & valid[down, across]
    return np.stack([across[kept], down[kept]], axis=1) + 0.5


def _expected(matches: Matches, places: NDArray[np.float64], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) points (x, y) of the target where the nearest matches lead to expect those of the reference (N, 2)."""
    origins = matches.xy1 - matches.xy0 @ linear.T
    count = min(_NEAREST, len(matches))
    _, nearest = cKDTree(matches.xy0).query(places, count)
    offset = np.median(origins[nearest.reshape(len(places), count)], axis=1)
    return np.asarray(places @ linear.T + offset)


def _find(
    reference: Pixels, target: Pixels, xy0: Tensor, expected: Tensor, linear: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The points that are to be believed.

    Args:
        reference: Image of ``xy0``.
        target: The other image.
        xy0: (N, 2) points (x, y), GDAL frame.
        expected: (N, 2) where they are expected in the target.
        linear: (2, 2) steps (x, y) in the reference to steps in the target.

    Returns:
        (M, 2) points of the reference, (M, 2) of the target, and (M,) correlation.
    """
    known = template(reference, xy0, _SIDE_PX)
    surface = search(known, target, expected, linear, _REACH_PX)
    step, height = peak(surface)
    clear = (height - _next_height(surface, step) > _STANDS_OUT * surface.flatten(1).std(1)).nonzero()[:, 0]
    if len(clear) == 0:
        return xy0[clear], xy0[clear], height[clear].double()
    start = (expected + step.double() @ linear.double().T)[clear]
    found = settle(known.subset(clear), target, start, linear)
    kept = found.sound & ((found.xy1 - start).norm(dim=1) <= _FURTHEST_PX)
    return xy0[clear][kept], found.xy1[kept], found.after[kept].double()


def _next_height(surface: Tensor, step: Tensor) -> Tensor:
    """(N,) the largest of (N, K, K) correlations further from a place (N, 2) about their middle than a peak is wide."""
    along = torch.arange(surface.shape[1]) - surface.shape[1] // 2
    near = ((along - step.round()[:, :, None]).abs() <= _APART_PX).float()
    at_peak = near[:, 1, :, None] * near[:, 0, None, :] > 0
    return surface.masked_fill(at_peak, -torch.inf).amax((1, 2))
