"""Sub-pixel refinement of matches by correlation, and tie points where the network has none.

The network's points are accurate to within a pixel. Those of the reference lie on a grid of 8 px, and the remaining
errors in the target are shared by neighbours, so that they do not average out. Here both images are aligned
(:mod:`s2match.matching.displacement`), and the shift that is left is measured in a window around each match. Where no
match is left, as under haze and between seasons, points on a grid are measured in the same way.
"""

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.core.point_maps import grid_points
from s2match.core.window import Window
from s2match.matching.cell_correlation import CELL_PX, distinct_shifts
from s2match.matching.displacement import SIGMAS, Aligned

# Spacing of the points that are added, and their distance from others.
STEP_PX = 32

# A point of the reference moves by at most this to the most structured pixel near it: less than half a cell, so that no
# two points meet. Structure is measured over the second number, in an image blurred by the third.
_MOVE_PX, _STRUCTURE_PX, _BLUR_PX = 3, 9, 0.6

# The furthest that a refined point may lie from the match.
_FURTHEST_PX = 2.0

# Least prominence of the peak of a refined match, which the network has found, too, and of an added point.
_LEAST_PROMINENCE, _ADDED_PROMINENCE = 2.0, 3.0

# Log-odds that a point measured at a peak of some prominence is within 1.5 px of the truth: offset and slope. Of 15 682
# windows in 25 pairs of dates, deformed by a known field and not among the test dates, 81 % were right at a prominence
# of 1 to 1.5, 97 % at 2 to 2.5, and 99.4 % at 3 to 3.5.
_LOG_ODDS = (-1.0, 1.9)

# Standard deviation of errors that the scatter within a window does not show, such as those of shadows. With it, the
# normalised squared errors of the known movements of benchmarks/accuracy.py and registration.py have a mean near 2.
_LEAST_DEVIATION_PX = 0.04


def refine(matches: Matches, images: tuple[GreyImage, GreyImage], aligned: Aligned) -> Matches:
    """Refined matches, of those that the correlation confirms.

    Points of the reference move to the most structured pixel centre near them; points of the target to where the
    correlation puts them. A match is kept if the peak of its correlation is distinct and lies within 2 px of the match.

    Args:
        matches: Matches of the two images, GDAL frame.
        images: Reference and target.
        aligned: The two images, aligned.

    Returns:
        The matches that are kept, with ``similarity`` and ``covariance_px2``. Their confidence is the probability that
        the network or the correlation is right, if the two are independent.
    """
    xy0 = _at_structure(matches.xy0, images[0]) if len(matches) else matches.xy0
    predicted = matches.xy1 + (xy0 - matches.xy0) @ aligned.linear.T
    points = _measure(aligned, xy0, _LEAST_PROMINENCE)
    points = points.subset(np.linalg.norm(points.xy1 - predicted[points.indices], axis=1) <= _FURTHEST_PX)
    kept = matches.take(points.indices)
    return replace(
        kept,
        xy0=xy0[points.indices],
        xy1=points.xy1,
        confidence=1 - (1 - kept.confidence) * (1 - points.confidence),
        similarity=points.similarity,
        covariance_px2=points.covariance_px2,
    )


def fill(
    matches: Matches, occupied: NDArray[np.float64], valid: NDArray[np.bool_], aligned: Aligned, core: Window
) -> Matches:
    """Tie points on a grid of :data:`STEP_PX`, where there is no occupied point within that distance.

    Args:
        matches: Refined matches of the two images.
        occupied: (M, 2) points (x, y) of the reference near which no point is added.
        valid: H×W valid pixels of the reference.
        aligned: The two images, aligned.
        core: Part of the reference in which points are added.

    Returns:
        The added points alone, ``correlated``, with a confidence above that of the threshold.
    """
    raw = matches.raw_residual_px
    median = None if raw is None else float(np.median(raw)) if len(raw) else 0.0
    return measure(_free_points(occupied, valid, core), aligned, matches.origin, median)


def measure(xy0: NDArray[np.float64], aligned: Aligned, origin: Provenance, raw_residual_px: float | None) -> Matches:
    """Tie points at points of the reference, by correlation alone, where the peak is distinct.

    Args:
        xy0: (N, 2) points (x, y) of the reference.
        aligned: The two images, aligned.
        origin: Provenance of the points; its confidence is the threshold that theirs exceeds.
        raw_residual_px: Their raw residual; None for none.

    Returns:
        The points, ``correlated``, in the order of ``xy0``.
    """
    points = _measure(aligned, xy0, _ADDED_PROMINENCE)
    points = points.subset(points.confidence > origin.confidence)
    count = len(points.indices)
    return Matches(
        xy0[points.indices],
        points.xy1,
        points.confidence,
        origin,
        None if raw_residual_px is None else np.full(count, raw_residual_px),
        points.similarity,
        np.ones(count, np.bool_),
        points.covariance_px2,
    )


def valid_grid(valid: NDArray[np.bool_], core: Window, step_px: int) -> NDArray[np.float64]:
    """(N, 2) centres (x, y) of valid pixels on a grid over a part of an image.

    Args:
        valid: H×W valid pixels of the image.
        core: The part.
        step_px: Spacing of the grid.
    """
    columns = np.arange(core.x + step_px // 2, core.x + core.width, step_px)
    rows = np.arange(core.y + step_px // 2, core.y + core.height, step_px)
    xy = grid_points(columns, rows)
    column, row = xy.astype(int).T
    return np.asarray(xy[valid[row, column]] + 0.5)


@dataclass(frozen=True)
class _Measured:
    """Points with a distinct peak.

    Attributes:
        indices: (M,) indices of the points of the reference, ascending.
        xy1: (M, 2) points of the target.
        confidence: (M,) probability that the point is within 1.5 px of the truth.
        similarity: (M,) correlation.
        covariance_px2: (M, 2, 2) covariance in the target.
    """

    indices: NDArray[np.intp]
    xy1: NDArray[np.float64]
    confidence: NDArray[np.float64]
    similarity: NDArray[np.float64]
    covariance_px2: NDArray[np.float64]

    def subset(self, chosen: NDArray[np.bool_]) -> "_Measured":
        """The points that an (M,) mask selects."""
        return _Measured(*(getattr(self, field.name)[chosen] for field in fields(self)))


def _measure(aligned: Aligned, xy0: NDArray[np.float64], least_prominence: float) -> _Measured:
    """Points of the target for points (N, 2) of the reference, where a peak is distinct."""
    cells = np.clip((xy0[:, ::-1] / CELL_PX).astype(np.intp), 0, np.array(aligned.products.shape) - 1)
    shifts = distinct_shifts(aligned.products, np.unique(cells, axis=0), SIGMAS, least_prominence)
    row_of = np.full(aligned.products.shape, -1)
    row_of[tuple(shifts.cells.T)] = np.arange(len(shifts))
    row = row_of[tuple(cells.T)]
    indices = np.flatnonzero(row >= 0)
    row = row[indices]
    offset, slope = _LOG_ODDS
    covariance = shifts.covariance_px2[row] + _LEAST_DEVIATION_PX**2 * np.eye(2)
    return _Measured(
        indices,
        aligned.map_points(xy0[indices]) + shifts.shift_px[row] @ aligned.linear.T,
        1 / (1 + np.exp(-(offset + slope * shifts.prominence[row]))),
        shifts.correlation[row],
        aligned.linear @ covariance @ aligned.linear.T,
    )


def _free_points(occupied: NDArray[np.float64], valid: NDArray[np.bool_], core: Window) -> NDArray[np.float64]:
    """(N, 2) centres (x, y) of valid pixels on a grid over the core, at least STEP_PX from (M, 2) occupied points."""
    free = np.ones(valid.shape, np.uint8)
    column, row = np.clip(np.floor(occupied).astype(int), 0, np.array(valid.shape[::-1]) - 1).T
    free[row, column] = 0
    xy = valid_grid(valid, core, STEP_PX)
    across, down = np.floor(xy).astype(int).T
    far = cv2.distanceTransform(free, cv2.DIST_C, cv2.DIST_MASK_3)[down, across] >= STEP_PX
    return np.asarray(xy[far])


def _at_structure(xy: NDArray[np.float64], image: GreyImage) -> NDArray[np.float64]:
    """(N, 2) valid pixel centres near points (N, 2) with the largest minimum eigenvalue of the structure tensor."""
    corner = cv2.cornerMinEigenVal(cv2.GaussianBlur(image.grey, (0, 0), _BLUR_PX), _STRUCTURE_PX)
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
