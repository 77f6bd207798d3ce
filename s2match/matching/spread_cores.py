"""Cores of windows that are matched where only a part of the ground is: spread evenly, on few blocks of the files."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.blocks import Blocks
from s2match.core.matches import CELL_PX
from s2match.core.window import Window

# Cores along the longer side. A field bends within a fraction of the side, however long that is, and each core more
# takes the decoding of its blocks.
PLACES = 7

# Steps between the place of a core and the next one's, of which that with the fewest blocks is chosen.
_STEPS = 8

# The windows of reference and target for a core; None if one is too small to match.
WindowsOf = Callable[[Window], tuple[Window, Window] | None]


@dataclass(frozen=True)
class Sample:
    """A part of the common ground of two images.

    Attributes:
        coverage: Fraction of the ground, above 0 and below 1.
        blocks: Blocks in which the reference and the target are stored; None where they do not matter.
    """

    coverage: float
    blocks: tuple[Blocks | None, Blocks | None] = (None, None)

    def decoded(self, windows: tuple[Window, Window] | None) -> int:
        """Number of blocks that are decoded for a window of the reference and one of the target."""
        pairs = zip(self.blocks, windows or (), strict=False)
        return sum(blocks.touched(window) for blocks, window in pairs if blocks is not None)


def spread_cores(common: NDArray[np.int64], longest: int, sample: Sample, windows_of: WindowsOf) -> list[Window]:
    """Cores on a part of a box, row by row, from edge to edge of it.

    Args:
        common: (2, 2) the box [[left, top], [right, bottom]] on the network's grid.
        longest: Longest side of a core.
        sample: The part.
        windows_of: Returns the windows of a core.
    """
    extent = common[1] - common[0]
    if not extent.all():
        return []
    share, most = math.sqrt(sample.coverage), int(extent.max())
    places = max(PLACES, math.ceil(most * share / longest))
    counts = [-(-int(side) * places // most) for side in extent]
    columns, rows = (
        _spread(int(low), int(high), count, share) for low, high, count in zip(*common, counts, strict=True)
    )
    cores = [Window(x, y, columns.side, rows.side) for y in rows.starts for x in columns.starts]
    if sample.blocks == (None, None):
        return cores
    return [
        _on_few_blocks(core, (columns.room, rows.room), common, lambda at: sample.decoded(windows_of(at)))
        for core in cores
    ]


@dataclass(frozen=True)
class _Spread:
    """Equal intervals along an axis.

    Attributes:
        starts: Where they begin.
        side: Their length.
        room: Distance that each may move without meeting another one.
    """

    starts: list[int]
    side: int
    room: int


def _spread(low: int, high: int, count: int, share: float) -> _Spread:
    """Intervals that cover a share of an axis, with equal gaps, on the network's grid."""
    side = min(max(CELL_PX, round((high - low) * share / count / CELL_PX) * CELL_PX), high - low)
    first, last = (low, high - side) if count > 1 else ((low + high - side) / 2,) * 2
    starts = np.linspace(first, last, count) // CELL_PX * CELL_PX
    gap = (high - low - count * side) / max(count - 1, 1)
    return _Spread(starts.astype(int).tolist(), side, int(gap / 2))


def _on_few_blocks(
    core: Window, room: tuple[int, int], common: NDArray[np.int64], decoded: Callable[[Window], int]
) -> Window:
    """A core where the fewest blocks are decoded, as near to its place as that allows, first along x, then along y."""
    for axis, name in enumerate(("x", "y")):
        start, side = getattr(core, name), (core.width, core.height)[axis]
        step = max(CELL_PX, room[axis] // _STEPS // CELL_PX * CELL_PX)
        moves = sorted(range(-(room[axis] // step) * step, room[axis] + 1, step), key=abs)
        places = [start + move for move in moves]
        allowed = [at for at in places if common[0, axis] <= at <= common[1, axis] - side]
        core = min((replace(core, **{name: at}) for at in allowed), key=decoded)
    return core
