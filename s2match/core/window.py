"""Rectangular parts of a grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """A part of a grid, in its pixels.

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
        """(N,) whether points (N, 2), (x, y) in pixels of the grid, lie in it; its right and lower edges do not."""
        within = xy - (self.x, self.y)
        return np.asarray(((within >= 0) & (within < (self.width, self.height))).all(axis=1))
