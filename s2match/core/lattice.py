"""Regular grids of points over an image, and its middle."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.point_maps import grid_points
from s2match.core.projection import apply_transform, reproject
from s2match.core.raster import HasGrid

# Points along each side of an image that a CRS may express only in part.
LATTICE_POINTS = 17

WGS84 = CRS.from_epsg(4326)


def lattice(image: HasGrid) -> NDArray[np.float64]:
    """(N, 2) points (x, y) of a regular grid over an image, row by row, from edge to edge."""
    x, y = (np.linspace(0, side, LATTICE_POINTS) for side in image.size)
    return grid_points(x, y)


def finite_near_middle(
    image: HasGrid, function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The middle of an image, or else the nearest lattice point, at which a function is finite.

    Args:
        image: The image.
        function: Maps (N, 2) pixels (x, y) to N values of any shape.

    Returns:
        The pixel (2,) and its value; None if the function is finite nowhere.
    """
    middle = np.array(image.size) / 2
    for points in (middle[None], lattice(image)):
        values = function(points)
        finite = np.isfinite(values.reshape(len(points), -1)).all(axis=1)
        if finite.any():
            nearest = np.argmin(np.where(finite, np.linalg.norm(points - middle, axis=1), np.inf))
            return points[nearest], values[nearest]
    return None


def middle_of(image: HasGrid) -> NDArray[np.float64]:
    """(2,) pixel (x, y) of the middle of an image; if that is off the Earth, the nearest lattice point on Earth."""
    transform = image.transform
    assert transform is not None
    nearest = None
    if image.crs is not None:
        nearest = finite_near_middle(image, lambda xy: reproject(apply_transform(transform, xy), image.crs, WGS84))
    return np.array(image.size) / 2 if nearest is None else nearest[0]


def middle_x(image: HasGrid) -> float:
    """Map coordinate x of the middle of an image."""
    assert image.transform is not None
    return float(apply_transform(image.transform, np.array([image.size]) / 2)[0, 0])
