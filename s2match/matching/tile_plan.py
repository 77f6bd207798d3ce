"""How large images are matched: in windows, each with the part of the other image that shows its ground."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import CELL_PX
from s2match.core.raster import HasGrid
from s2match.core.window import Window
from s2match.matching.postprocess import Region
from s2match.matching.search_prior import PointMap, SearchPrior

# Around what is kept of a window: its border of a cell, and the cells that the outermost matches look around at.
OVERLAP_PX = 48

# The longest side of a window: what is not kept is a small part of it, and so is the work of comparing all its cells,
# which grows with the square of its area.
LONGEST_PX = 1024

# The side of windows that look at a part of the ground only: small ones lie in more places.
SAMPLE_PX = 320

# Points along a side that tell where a bent one lies.
_ALONG = 9

# Less common ground than this is not worth a pass.
_LEAST_PX = 64


@dataclass(frozen=True)
class WindowPair:
    """Two windows that are matched with each other.

    Attributes:
        core: Part of the reference whose matches are kept. The cores of a plan touch and do not overlap.
        reference: The core and what lies around it.
        target: Where the ground of ``reference`` is sought in the target.
        bands: (R, 2) the first row of cells of ``target``, and the one after the last, where the ground of each row of
            cells of ``reference`` is sought.
        expected: 2×2, steps (x, y) in the reference to steps in the target in the middle of the core.
        share: Of the ground of all cores, 0 to 1.
    """

    core: Window
    reference: Window
    target: Window
    bands: NDArray[np.int64]
    expected: NDArray[np.float64]
    share: float

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Width and height of ``reference`` and of ``target``."""
        return (self.reference.width, self.reference.height), (self.target.width, self.target.height)

    @property
    def region(self) -> Region:
        """The core in pixels of ``reference``, for post-processing."""
        x, y = self.core.x - self.reference.x, self.core.y - self.reference.y
        return Region(self.expected, Window(x, y, self.core.width, self.core.height), self.share)


def plan(
    reference: HasGrid,
    target: HasGrid,
    expected: SearchPrior,
    longest_px: int = LONGEST_PX,
    coverage: float = 1.0,
) -> list[WindowPair]:
    """Plan the windows of two images; ground that only one of them shows is in none.

    Args:
        reference: Image whose pixels the windows divide.
        target: The other one.
        expected: Where points of the reference lie in the target.
        longest_px: Longest side of a window of the reference.
        coverage: Share of the common ground to look at; below 1 in small windows, spread evenly.

    Returns:
        The windows, row by row.
    """
    map_points, search_px = expected.map_points, expected.search_radius_px
    pairs = []
    for core in _cores(_common(reference, target, map_points, search_px), longest_px, coverage):
        box = _box(core.x, core.y, core.x + core.width, core.y + core.height)
        around = _within(box, reference.size, OVERLAP_PX, CELL_PX)
        if around is None:
            continue
        edge = map_points(_outline(around))
        sought = _within(edge, target.size, search_px + OVERLAP_PX) if np.isfinite(edge).all() else None
        if sought is not None:
            bands = _bands(around, sought, expected)
            pairs.append(WindowPair(core, around, sought, bands, _expected(map_points, box.mean(axis=0)), 0.0))
    ground = sum(pair.core.width * pair.core.height for pair in pairs)
    return [replace(pair, share=pair.core.width * pair.core.height / ground) for pair in pairs]


def _cores(common: NDArray[np.int64], longest_px: int, coverage: float) -> list[Window]:
    """The cores, row by row, of a box, [[left, top], [right, bottom]]."""
    longest = longest_px - 2 * OVERLAP_PX
    if coverage < 1:
        longest = round(min(longest, SAMPLE_PX) / math.sqrt(coverage))
    columns, rows = (_cuts(low, high, longest) for low, high in common.T)
    cells = [
        Window(left, top, right - left, bottom - top)
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(columns)
    ]
    return cells if coverage == 1 else [_middle(cell, math.sqrt(coverage)) for cell in cells]


def _middle(cell: Window, share: float) -> Window:
    """The middle of a cell, with a share of its sides, on the network's grid."""
    width, height = (max(CELL_PX, round(side * share / CELL_PX) * CELL_PX) for side in (cell.width, cell.height))
    x = cell.x + (cell.width - width) // 2 // CELL_PX * CELL_PX
    y = cell.y + (cell.height - height) // 2 // CELL_PX * CELL_PX
    return Window(x, y, min(width, cell.width), min(height, cell.height))


def _bands(reference: Window, target: Window, expected: SearchPrior) -> NDArray[np.int64]:
    """(R, 2) rows of cells of a window of the target that rows of cells of one of the reference may match."""
    rows, most = (-(-window.height // CELL_PX) for window in (reference, target))
    across = reference.x + np.linspace(0, reference.width, _ALONG)
    edges = reference.y + np.arange(rows + 1) * CELL_PX
    there = expected.map_points(np.stack(np.meshgrid(across, edges), -1).reshape(-1, 2).astype(np.float64))
    y = there[:, 1].reshape(rows + 1, _ALONG) - target.y
    # a cell has neighbours that take part
    margin_px = expected.search_radius_px + CELL_PX
    first = np.floor((np.minimum(y[:-1], y[1:]).min(axis=1) - margin_px) / CELL_PX)
    after = np.ceil((np.maximum(y[:-1], y[1:]).max(axis=1) + margin_px) / CELL_PX)
    return np.asarray(np.clip(np.stack([first, after], axis=1), 0, most), np.int64)


def _expected(map_points: PointMap, middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """2×2, steps (x, y) around a point to steps where it is carried."""
    origin, right, down = map_points(middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return np.stack([right - origin, down - origin], axis=1)


def _common(reference: HasGrid, target: HasGrid, map_points: PointMap, search_px: float) -> NDArray[np.int64]:
    """(2, 2) lowest and highest (x, y) of the reference's pixels that the target may show, on the network's grid."""
    width, height = reference.size
    # a lattice fine enough to find any common ground that is worth a pass
    x, y = (np.linspace(0, side, max(2, math.ceil(side / _LEAST_PX) + 1)) for side in (width, height))
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    there = map_points(points)
    inside = ((there >= -search_px) & (there <= np.array(target.size) + search_px)).all(axis=1)
    if not inside.any():
        return np.zeros((2, 2), np.int64)
    low = np.maximum(points[inside].min(axis=0) - _LEAST_PX, 0)
    high = np.minimum(points[inside].max(axis=0) + _LEAST_PX, reference.size)
    return np.stack([np.floor(low / CELL_PX) * CELL_PX, high]).astype(np.int64)


def _cuts(low: int, high: int, longest: int) -> list[int]:
    """Where an axis is cut into cores of nearly equal length, on the network's grid."""
    count = max(1, math.ceil((high - low) / longest))
    step = math.ceil((high - low) / count / CELL_PX) * CELL_PX
    return [*range(low, high, step), high] if high > low else []


def _box(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    return np.array([[left, top], [right, bottom]])


def _outline(window: Window) -> NDArray[np.float64]:
    """(N, 2) points along the edge of a window, close enough to tell where a bent one lies."""
    along = np.linspace(0, 1, _ALONG)
    zero, one = np.zeros_like(along), np.ones_like(along)
    unit = np.stack([np.concatenate([along, one, along, zero]), np.concatenate([zero, along, one, along])], axis=1)
    return unit * [window.width, window.height] + [window.x, window.y]


def _within(xy: NDArray[np.float64], size: tuple[int, int], margin: float, step: int = 1) -> Window | None:
    """The window about points (N, 2) and a margin, inside an image; None where that is too small to match."""
    low = np.maximum(np.floor((xy.min(axis=0) - margin) / step) * step, 0).astype(int)
    high = np.minimum(np.ceil(xy.max(axis=0) + margin), size).astype(int)
    if (high - low < _LEAST_PX).any():
        return None
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
