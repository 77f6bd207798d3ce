"""Blocks of a file, each of which is decoded as a whole."""

import math
from dataclasses import dataclass

from s2match.core.window import Window


@dataclass(frozen=True)
class Blocks:
    """The blocks in which the pixels of a grid are stored, of equal size and side by side.

    Attributes:
        corner: (x, y) of a corner of a block, pixels of the grid.
        sides: Width and height of a block, pixels of the grid.
    """

    corner: tuple[float, float]
    sides: tuple[float, float]

    def touched(self, window: Window) -> int:
        """Number of blocks that contain pixels of a window."""
        ranges = ((window.x, window.width), (window.y, window.height))
        across, down = (
            math.ceil((start + length - corner) / side) - math.floor((start - corner) / side)
            for (start, length), corner, side in zip(ranges, self.corner, self.sides, strict=True)
        )
        return across * down
