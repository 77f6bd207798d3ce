"""Grids of points (x, y) in the plane, and derivatives of maps of such points."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Maps (N, 2) points (x, y) to (N, 2) points.
PointMap = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# Most Newton steps to the inverse of a map, and their tolerance in pixels.
_NEWTON_STEPS, _TOLERANCE_PX = 50, 1e-9

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


def tangent(map_points: PointMap, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """3×3 affine map with the value and the derivatives of a map at a point (2,)."""
    matrix = np.eye(3)
    matrix[:2, :2] = jacobian(map_points, xy[None])[0]
    matrix[:2, 2] = map_points(xy[None])[0] - matrix[:2, :2] @ xy
    return matrix


def invert(map_points: PointMap, xy: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points that a smooth map of pixels takes to given points, by Newton's method.

    Args:
        map_points: The map.
        xy: (N, 2) points (x, y) that the map returns.
        start: (N, 2) points near those sought.

    Returns:
        (N, 2) points (x, y). NaN for points that are not finite, and where the iteration does not converge, because the
        map folds there.
    """
    finite = np.isfinite(xy).all(axis=1) & np.isfinite(start).all(axis=1)
    if not finite.all():
        inverse = np.full(xy.shape, np.nan)
        inverse[finite] = invert(map_points, xy[finite], start[finite])
        return inverse
    points, error_px = start, np.full(len(xy), np.inf)
    for _ in range(_NEWTON_STEPS):
        residual = xy - map_points(points)
        error_px = np.linalg.norm(residual, axis=1)
        if (error_px < _TOLERANCE_PX).all():
            break
        # the pseudo-inverse of a singular slope is finite, and such a point does not converge
        slopes = np.linalg.pinv(jacobian(map_points, points))
        points = points + np.einsum("nij,nj->ni", slopes, residual)
    return np.where((error_px < _TOLERANCE_PX)[:, None], points, np.nan)
