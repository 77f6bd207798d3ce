"""Rectangular windows of a grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """A window of a grid, in whole pixels of the grid.

    Attributes:
        x: Column of the left edge.
        y: Row of the upper edge.
        width: Number of columns.
        height: Number of rows.
    """

    x: int
    y: int
    width: int
    height: int

    def contains(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether (N, 2) points (x, y) in pixels of the grid lie in the window, right and lower edge excluded."""
        offset = xy - (self.x, self.y)
        return np.asarray(((offset >= 0) & (offset < (self.width, self.height))).all(axis=1))
