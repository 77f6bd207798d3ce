"""Points where the network finds none, by the edges alone: what it does find tells where to look.

Under haze, between winter and summer, the network is silent over large parts of a pair whose other parts it matches,
and a model has nothing to go by there. Squares twice as wide as those that refine a match still show edges in common,
and where they lie is known to a few pixels from the nearest matches. A point counts when its peak of the correlation
stands out from all others within reach; of clouds, water and changed ground none does.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2match.edges import Pixels, edges, peak, pixels, settle, template, window
from s2match.images import Window
from s2match.matches import GreyImage, Matches

# Side of the squares that are compared, and the distance between their middles.
_SIDE_PX, STEP_PX = 128, 32

# How far around the expected place a point is sought, and how far from a peak others are others.
_REACH_PX, _APART_PX = 6, 3

# By how many standard deviations of the correlations within reach a peak must stand out from the next one.
_STANDS_OUT = 3.0

# Share of the points found so that are within 1.5 px of the truth, by benchmarks/registration.py.
CONFIDENCE = 0.99

# Matches whose displacement tells what to expect of a point: the middle of the nearest so many.
_NEAREST = 8

# Squares that are compared at once, and places that are compared with all matches.
_BLOCK, _BLOCK_PLACES = 64, 256


def fill(
    matches: Matches, reference: GreyImage, target: GreyImage, linear: NDArray[np.float64], core: Window
) -> Matches:
    """Add points where there are none within :data:`STEP_PX`.

    Args:
        matches: Refined matches of the two images, right ones but for a few, GDAL frame.
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        linear: 2×2, from steps (x, y) in the reference to steps in the target.
        core: Part of the reference in which points are wanted.

    Returns:
        The matches, and after them those that were found, ``correlated``, with :data:`CONFIDENCE`.
    """
    places = _empty_places(matches.xy0, reference.valid, core)
    if len(matches) == 0 or len(places) == 0 or matches.origin.confidence >= CONFIDENCE:
        return matches
    expected = _expected(matches, places, linear)
    images = pixels(reference), pixels(target)
    steps = torch.from_numpy(linear).float()
    found = [
        _find(*images, torch.from_numpy(places[some]), torch.from_numpy(expected[some]), steps)
        for some in _slices(len(places), _BLOCK)
    ]
    xy1, similarity, kept = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    count = int(kept.sum())
    return Matches.joined(
        [
            matches,
            Matches(
                places[kept],
                xy1[kept],
                np.full(count, CONFIDENCE),
                matches.origin,
                None if matches.scatter_px is None else np.zeros(count),
                similarity[kept],
                np.ones(count, np.bool_),
            ),
        ]
    )


def _empty_places(xy: NDArray[np.float64], valid: NDArray[np.bool_], core: Window) -> NDArray[np.float64]:
    """(N, 2) centres of valid pixels, evenly spread over a part of an image, far from points (N, 2)."""
    free = np.ones(valid.shape, np.uint8)
    column, row = np.clip(np.floor(xy).astype(int), 0, np.array(valid.shape[::-1]) - 1).T
    free[row, column] = 0
    columns = np.arange(core.x + STEP_PX // 2, core.x + core.width, STEP_PX)
    rows = np.arange(core.y + STEP_PX // 2, core.y + core.height, STEP_PX)
    across, down = (axis.ravel() for axis in np.meshgrid(columns, rows))
    if len(xy):
        far = cv2.distanceTransform(free, cv2.DIST_C, cv2.DIST_MASK_3)[down, across] >= STEP_PX
    else:
        far = np.ones(len(down), np.bool_)
    kept = far & valid[down, across]
    return np.stack([across[kept], down[kept]], axis=1) + 0.5


def _expected(matches: Matches, places: NDArray[np.float64], linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) where the nearest matches lead to expect places (N, 2) in the target."""
    origins = matches.xy1 - matches.xy0 @ linear.T
    count = min(_NEAREST, len(matches))
    offset = np.empty_like(places)
    for some in _slices(len(places), _BLOCK_PLACES):
        distance = ((places[some, None] - matches.xy0[None]) ** 2).sum(axis=2)
        nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
        offset[some] = np.median(origins[nearest], axis=1)
    return np.asarray(places @ linear.T + offset)


def _find(
    reference: Pixels, target: Pixels, xy0: Tensor, expected: Tensor, linear: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Points of the target (N, 2), correlation there (N,) and whether they are to be believed (N,)."""
    known = template(reference, xy0, _SIDE_PX)
    weights = window(_SIDE_PX).numpy()
    around = edges(target, expected, linear, _SIDE_PX, _REACH_PX)[0].numpy()
    surface = torch.from_numpy(
        np.stack([_correlated(*pair, weights) for pair in zip(known.edges.numpy(), around, strict=True)])
    )
    step, height = peak(surface)
    clear = (height - _next_height(surface, step)) >= _STANDS_OUT * surface.flatten(1).std(1)
    found = settle(known, target, expected + step.double() @ linear.double().T, linear)
    stayed = (found.xy1 - expected).norm(dim=1) <= _REACH_PX * 2**0.5
    return found.xy1, found.after.double(), clear & found.sound & stayed


def _correlated(
    sought: NDArray[np.float32], around: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(K, K) correlation of (2, S, S) weighted edges with larger ones at every shift, up to a factor."""
    products = sum(cv2.matchTemplate(*pair, cv2.TM_CCORR) for pair in zip(around, sought, strict=True))
    energy = cv2.matchTemplate(np.square(around).sum(axis=0), weights, cv2.TM_CCORR)
    return np.asarray(products / np.sqrt(np.maximum(energy, 1e-6)))


def _next_height(surface: Tensor, step: Tensor) -> Tensor:
    """(N,) the largest of (N, K, K) correlations further from a place (N, 2) about their middle than a peak is wide."""
    along = torch.arange(surface.shape[1]) - surface.shape[1] // 2
    near = ((along - step.round()[:, :, None]).abs() <= _APART_PX).float()
    at_peak = near[:, 1, :, None] * near[:, 0, None, :] > 0
    return surface.masked_fill(at_peak, -torch.inf).amax((1, 2))


def _slices(count: int, block: int) -> Iterator[slice]:
    return (slice(start, start + block) for start in range(0, count, block))
