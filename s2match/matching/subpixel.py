"""Where exactly matches lie, by the edges around them: a second measurement on the pixels themselves.

The network points to within a pixel, from what it learned; its points of the reference lie on a grid of 8 px, and
what is left of their errors in the target is shared by neighbours and does not average away. Here the two images are
correlated around each match, see :mod:`s2match.matching.orientation_correlation`.
"""

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2match.core.matches import GreyImage, Matches
from s2match.matching.orientation_correlation import BLUR_PX, Pixels, in_blocks, settle, template

# Side of the squares that are compared, weighted by a Hann window: half of it counts.
SIDE_PX = 64

# A point of the reference moves by at most this to where its surroundings show most structure: less than half a cell,
# so that no two meet.
_REACH_PX = 3
_STRUCTURE_PX = 9

# How far around the match the first round looks, and how far from it a refined point may lie.
_FIRST_PX, _FURTHEST_PX = 2, 2.0

# Least correlation of a refined point.
_LEAST_SIMILARITY = 0.15

# Squares that are compared at once: a few megabytes.
_BLOCK = 256


def refine(matches: Matches, reference: Pixels, target: Pixels, linear: NDArray[np.float64]) -> Matches:
    """Measure matches again, and keep those that it makes better.

    Points of the reference move to the pixel centre near them that shows most structure, which is where the reference
    needs no resampling; points of the target to where its edges fit best. A match is kept when its correlation grew,
    came to rest at a peak within 2 px, and is not too low.

    Args:
        matches: Matches of the two images, within about 2 px of the truth, GDAL frame.
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        linear: 2×2, from steps (x, y) in the reference to steps in the target.

    Returns:
        The matches that improved, with their ``similarity``.
    """
    if len(matches) == 0:
        return replace(matches, similarity=np.zeros(0))
    xy0 = _at_structure(matches.xy0, reference.image)
    start = matches.xy1 + (xy0 - matches.xy0) @ linear.T
    steps = torch.from_numpy(linear).float()

    def measure(points: Tensor, begin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = settle(template(reference, points, SIDE_PX), target, begin, steps, _FIRST_PX)
        near = (found.xy1 - begin).norm(dim=1) <= _FURTHEST_PX
        better = (found.after >= found.before) & (found.after >= _LEAST_SIMILARITY)
        return found.xy1, found.after.double(), (found.sound & near & better).double()

    xy1, similarity, kept = in_blocks(measure, xy0, start, _BLOCK)
    return replace(matches, xy0=xy0, xy1=xy1, similarity=similarity).subset(kept > 0)


def _at_structure(xy: NDArray[np.float64], image: GreyImage) -> NDArray[np.float64]:
    """(N, 2) pixel centres near points (N, 2) where the weaker of the two gradient directions is strongest."""
    corner = cv2.cornerMinEigenVal(cv2.GaussianBlur(image.grey, (0, 0), BLUR_PX), _STRUCTURE_PX)
    corner[~image.valid] = -1
    steps = np.arange(-_REACH_PX, _REACH_PX + 1)
    height, width = corner.shape
    column, row = np.floor(xy).astype(int).T
    rows = np.clip(row[:, None] + steps, 0, height - 1)[:, :, None]
    columns = np.clip(column[:, None] + steps, 0, width - 1)[:, None, :]
    best = corner[rows, columns].reshape(len(xy), -1).argmax(axis=1)
    down, right = np.divmod(best, len(steps))
    each = np.arange(len(xy))
    return np.stack([columns[each, 0, right], rows[each, down, 0]], axis=1) + 0.5
