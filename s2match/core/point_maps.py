"""Grids of points (x, y) in the plane, and derivatives of maps of such points."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Maps (N, 2) points (x, y) to (N, 2) points.
PointMap = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_HALF_STEPS = np.array([[0.5, 0.0], [0.0, 0.5]])


def grid_points(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """(N, 2) points (x, y) of the grid of given columns and rows, row by row."""
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float64)


def turn_and_scale(turn_deg: float, scale: float) -> NDArray[np.float64]:
    """2×2 linear map of steps (x, y) in pixels: a clockwise turn in degrees, and a scale."""
    turn = math.radians(turn_deg)
    return scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])


def jacobian(map_points: PointMap, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2) derivatives of a map at points (N, 2), by central differences over a pixel.

    Args:
        map_points: The map.
        xy: Points (x, y).

    Returns:
        For each point the rows are the mapped x and y, and the columns the derivatives by x and y.
    """
    return np.stack([map_points(xy + half) - map_points(xy - half) for half in _HALF_STEPS], axis=2)
