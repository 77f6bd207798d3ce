"""Sub-pixel refinement of matches by orientation correlation.

The network's points are accurate to within a pixel. Those of the reference lie on a grid of 8 px, and the remaining
errors in the target are shared by neighbours, so that they do not average out. Here the two images are correlated
around each match, see :mod:`s2match.matching.orientation_correlation`.
"""

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2match.core.matches import GreyImage, Matches
from s2match.matching.orientation_correlation import BLUR_PX, Pixels, in_blocks, settle, template

# Side of the squares that are compared; their Hann window leaves half of it effective.
SIDE_PX = 64

# A point of the reference moves by at most this to the most structured pixel near it: less than half a cell, so that no
# two points meet. Structure is measured over the second number.
_MOVE_PX, _STRUCTURE_PX = 3, 9

# Search radius of the first round, and the furthest that a refined point may lie from the match.
_RADIUS_PX, _FURTHEST_PX = 2, 2.0

# Least correlation of a refined point.
_LEAST_SIMILARITY = 0.15

# Squares that are compared at once: a few megabytes.
_BLOCK = 256


def refine(matches: Matches, reference: Pixels, target: Pixels, linear: NDArray[np.float64]) -> Matches:
    """Refined matches, of those that refinement improves.

    Points of the reference move to the most structured pixel centre near them, where the reference needs no resampling;
    points of the target to the peak of the correlation. A match is kept if its correlation grew, its peak lies within
    2 px, and the correlation is not too low.

    Args:
        matches: Matches of the two images, within about 2 px of the truth, GDAL frame.
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        linear: 2×2, steps (x, y) in the reference to steps in the target.

    Returns:
        The matches that improved, with their ``similarity``.
    """
    if len(matches) == 0:
        return replace(matches, similarity=np.zeros(0))
    xy0 = _at_structure(matches.xy0, reference.image)
    starts = matches.xy1 + (xy0 - matches.xy0) @ linear.T
    steps = torch.from_numpy(linear).float()

    def measure(points: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        settled = settle(template(reference, points, SIDE_PX), target, start, steps, _RADIUS_PX)
        near = (settled.xy1 - start).norm(dim=1) <= _FURTHEST_PX
        better = (settled.after >= settled.before) & (settled.after >= _LEAST_SIMILARITY)
        return settled.xy1, settled.after.double(), (settled.converged & near & better).double()

    xy1, similarity, kept = in_blocks(measure, xy0, starts, _BLOCK)
    return replace(matches, xy0=xy0, xy1=xy1, similarity=similarity).subset(kept > 0)


def _at_structure(xy: NDArray[np.float64], image: GreyImage) -> NDArray[np.float64]:
    """(N, 2) valid pixel centres near points (N, 2) with the largest minimum eigenvalue of the structure tensor."""
    corner = cv2.cornerMinEigenVal(cv2.GaussianBlur(image.grey, (0, 0), BLUR_PX), _STRUCTURE_PX)
    corner[~image.valid] = -1
    steps = np.arange(-_MOVE_PX, _MOVE_PX + 1)
    height, width = corner.shape
    column, row = np.floor(xy).astype(int).T
    rows = np.clip(row[:, None] + steps, 0, height - 1)[:, :, None]
    columns = np.clip(column[:, None] + steps, 0, width - 1)[:, None, :]
    best = corner[rows, columns].reshape(len(xy), -1).argmax(axis=1)
    down, right = np.divmod(best, len(steps))
    each = np.arange(len(xy))
    return np.stack([columns[each, 0, right], rows[each, down, 0]], axis=1) + 0.5
