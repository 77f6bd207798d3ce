"""Divide large images into pairs of windows that show the same ground."""

import itertools
import logging
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.image_size import MIN_SIDE_PX
from s2match.core.matches import CELL_PX
from s2match.core.point_maps import grid_points, tangent
from s2match.core.raster import HasGrid
from s2match.core.window import Window
from s2match.matching.postprocess import Region
from s2match.matching.search_prior import SearchPrior
from s2match.matching.spread_cores import Sample, spread_cores

# Margin around the core of a window: a border cell, and the cells of the local affine fits of its outermost matches.
OVERLAP_PX = 48

# Longest side of a window: the margin is then a small part of it, and so is the comparison of all pairs of its cells,
# which grows with the square of its area.
LONGEST_PX = 1024

# Sample points along a side of a window, whose image in the target may be curved.
_SAMPLES = 9

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WindowPair:
    """Two windows that are matched with each other.

    Attributes:
        core: Part of the reference whose matches are kept. The cores of a plan touch and do not overlap.
        reference: The core and a margin around it.
        target: Part of the target in which the ground of ``reference`` is searched for.
        bands: (R, 2) for each row of cells of ``reference`` the first row of cells of ``target`` that is searched, and
            the one after the last.
        affine: 3×3, the prior near the centre of the core as an affine map, from pixels of the reference image to those
            of the target image.
        area_fraction: Fraction of the area of all cores, 0 to 1.
    """

    core: Window
    reference: Window
    target: Window
    bands: NDArray[np.int64]
    affine: NDArray[np.float64]
    area_fraction: float

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Width and height of ``reference`` and of ``target``."""
        return (self.reference.width, self.reference.height), (self.target.width, self.target.height)

    @property
    def window_affine(self) -> NDArray[np.float64]:
        """:attr:`affine` from pixels of the window ``reference`` to pixels of the window ``target``."""
        onto, back = (_shift(-self.target.x, -self.target.y), _shift(self.reference.x, self.reference.y))
        return np.asarray(onto @ self.affine @ back)

    @property
    def region(self) -> Region:
        """The core in pixels of ``reference``, for post-processing."""
        x, y = self.core.x - self.reference.x, self.core.y - self.reference.y
        return Region(self.affine[:2, :2], Window(x, y, self.core.width, self.core.height), self.area_fraction)


def plan(
    reference: HasGrid,
    target: HasGrid,
    prior: SearchPrior,
    longest_px: int = LONGEST_PX,
    sample: Sample | None = None,
) -> list[WindowPair]:
    """Window pairs that cover the common ground of two images, or are spread over it.

    Args:
        reference: Image whose pixels the windows divide.
        target: The other image.
        prior: Predicted positions of the reference's points in the target.
        longest_px: Longest side of a window of the reference.
        sample: The part of the common ground to match; None for all of it.

    Returns:
        The window pairs, row by row.
    """
    ground, longest = _Ground(reference.size, target.size, prior), longest_px - 2 * OVERLAP_PX
    common = _common_box(reference, target, prior)
    cores = _cores(common, longest) if sample is None else spread_cores(common, longest, sample, ground.windows)
    pairs = []
    for core in cores:
        windows = ground.windows(core)
        if windows is not None:
            affine = tangent(prior.map_points, _box(core).mean(axis=0))
            pairs.append(WindowPair(core, *windows, _bands(*windows, prior), affine, 0.0))
    area = sum(pair.core.width * pair.core.height for pair in pairs)
    _LOG.debug("%d windows of up to %d px cover %d px of the reference", len(pairs), longest_px, area)
    return [replace(pair, area_fraction=pair.core.width * pair.core.height / area) for pair in pairs]


@dataclass(frozen=True)
class _Ground:
    """Two images and the predicted positions in them.

    Attributes:
        reference: Width and height of the reference.
        target: Width and height of the target.
        prior: Predicted positions of the reference's points in the target.
    """

    reference: tuple[int, int]
    target: tuple[int, int]
    prior: SearchPrior

    def windows(self, core: Window) -> tuple[Window, Window] | None:
        """The windows of the reference and of the target for a core; None if one is too small to match."""
        window = _window_around(_box(core), self.reference, OVERLAP_PX, CELL_PX)
        if window is None:
            return None
        edge = self.prior.map_points(_outline(window))
        if not np.isfinite(edge).all():
            return None
        searched = _window_around(edge, self.target, self.prior.search_radius_px + OVERLAP_PX)
        return None if searched is None else (window, searched)


def _cores(common: NDArray[np.int64], longest: int) -> list[Window]:
    """Cores that divide a box [[left, top], [right, bottom]], row by row."""
    columns, rows = (_cuts(low, high, longest) for low, high in common.T)
    return [
        Window(left, top, right - left, bottom - top)
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(columns)
    ]


def _bands(reference: Window, target: Window, prior: SearchPrior) -> NDArray[np.int64]:
    """(R, 2) range of the target window's rows of cells that each row of the reference window's cells may match."""
    rows, most = (-(-window.height // CELL_PX) for window in (reference, target))
    across = reference.x + np.linspace(0, reference.width, _SAMPLES)
    edges = reference.y + np.arange(rows + 1) * CELL_PX
    target_xy = prior.map_points(grid_points(across, edges))
    y = target_xy[:, 1].reshape(rows + 1, _SAMPLES) - target.y
    # neighbouring cells take part in the match of a cell
    margin_px = prior.search_radius_px + CELL_PX
    first = np.floor((np.minimum(y[:-1], y[1:]).min(axis=1) - margin_px) / CELL_PX)
    after = np.ceil((np.maximum(y[:-1], y[1:]).max(axis=1) + margin_px) / CELL_PX)
    return np.asarray(np.clip(np.stack([first, after], axis=1), 0, most), np.int64)


def _common_box(reference: HasGrid, target: HasGrid, prior: SearchPrior) -> NDArray[np.int64]:
    """(2, 2) lowest and highest (x, y) of the reference's pixels that the target may show, on the network's grid."""
    # samples close enough to find any common ground that is wide enough to be matched
    x, y = (np.linspace(0, side, max(2, math.ceil(side / MIN_SIDE_PX) + 1)) for side in reference.size)
    points = grid_points(x, y)
    target_xy, radius_px = prior.map_points(points), prior.search_radius_px
    inside = ((target_xy >= -radius_px) & (target_xy <= np.array(target.size) + radius_px)).all(axis=1)
    if not inside.any():
        return np.zeros((2, 2), np.int64)
    low = np.maximum(points[inside].min(axis=0) - MIN_SIDE_PX, 0)
    high = np.minimum(points[inside].max(axis=0) + MIN_SIDE_PX, reference.size)
    return np.stack([np.floor(low / CELL_PX) * CELL_PX, high]).astype(np.int64)


def _cuts(low: int, high: int, longest: int) -> list[int]:
    """Positions that cut an axis into cores of nearly equal length, on the network's grid."""
    count = max(1, math.ceil((high - low) / longest))
    step = math.ceil((high - low) / count / CELL_PX) * CELL_PX
    return [*range(low, high, step), high] if high > low else []


def _shift(x: float, y: float) -> NDArray[np.float64]:
    """3×3 affine map that moves points by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _box(window: Window) -> NDArray[np.float64]:
    """(2, 2) upper left and lower right corner (x, y) of a window."""
    return np.array([[window.x, window.y], [window.x + window.width, window.y + window.height]], float)


def _outline(window: Window) -> NDArray[np.float64]:
    """(N, 2) points along the edge of a window, dense enough to bound its image under a curved map."""
    along = np.linspace(0, 1, _SAMPLES)
    zero, one = np.zeros_like(along), np.ones_like(along)
    unit = np.stack([np.concatenate([along, one, along, zero]), np.concatenate([zero, along, one, along])], axis=1)
    return unit * [window.width, window.height] + [window.x, window.y]


def _window_around(xy: NDArray[np.float64], size: tuple[int, int], margin: float, step: int = 1) -> Window | None:
    """The window around points (N, 2) with a margin, inside an image; None if it is too small to match."""
    low = np.floor((xy.min(axis=0) - margin) / step) * step
    window = Window.covering(low, xy.max(axis=0) + margin, size)
    return None if window is None or min(window.width, window.height) < MIN_SIDE_PX else window
