"""Rectangular windows of a grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


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

    @classmethod
    def from_corners(cls, low: ArrayLike, high: ArrayLike) -> "Window":
        """The window from its upper left to its lower right corner, (x, y) in whole pixels."""
        (left, top), (right, bottom) = np.asarray(low).astype(int).tolist(), np.asarray(high).astype(int).tolist()
        return cls(left, top, right - left, bottom - top)

    @classmethod
    def covering(cls, low: NDArray[np.float64], high: NDArray[np.float64], size: tuple[int, int]) -> "Window | None":
        """The pixels of a grid that a box covers, also in part.

        Args:
            low: (2,) upper left corner (x, y) of the box, in pixels of the grid.
            high: (2,) lower right corner, likewise.
            size: Width and height of the grid.

        Returns:
            The window, inside the grid; None if the box lies outside.
        """
        first, after = np.floor(np.clip(low, 0, size)), np.ceil(np.clip(high, 0, size))
        return cls.from_corners(first, after) if (after > first).all() else None

    def with_margin(self, margin: int, size: tuple[int, int]) -> "Window":
        """The window with a margin on each side, inside a grid of this width and height."""
        corner = np.array([self.x, self.y])
        return Window.from_corners(
            np.maximum(corner - margin, 0), np.minimum(corner + (self.width, self.height) + margin, size)
        )

    def contains(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) bool, whether points (N, 2), (x, y), of the grid lie in the window; right and lower edge excluded."""
        offset = xy - (self.x, self.y)
        return np.asarray(((offset >= 0) & (offset < (self.width, self.height))).all(axis=1))
