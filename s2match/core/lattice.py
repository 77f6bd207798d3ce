"""Regular grids of points over an image, and its middle."""

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.projection import apply_transform, reproject
from s2match.core.raster import HasGrid

# Points along each image side where a CRS expresses a part of the image only.
LATTICE_POINTS = 17

WGS84 = CRS.from_epsg(4326)


def lattice(placed: HasGrid) -> NDArray[np.float64]:
    """(N, 2) points of an image, row by row, from edge to edge."""
    x, y = (np.linspace(0, side, LATTICE_POINTS) for side in placed.size)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _nearest(points: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points[np.argmin(np.linalg.norm(points - place, axis=1))])


def middle_of(placed: HasGrid) -> NDArray[np.float64]:
    """(2,) pixel (x, y) of the middle of an image, or of what is next to it where it has a place on Earth."""
    assert placed.transform is not None
    middle = np.array(placed.size) / 2
    if placed.crs is None:
        return middle
    for points in (middle[None], lattice(placed)):
        on_earth = np.isfinite(reproject(apply_transform(placed.transform, points), placed.crs, WGS84)).all(axis=1)
        if on_earth.any():
            return _nearest(points[on_earth], middle)
    return middle


def middle_x(placed: HasGrid) -> float:
    """Map x of the middle of an image."""
    assert placed.transform is not None
    return float(apply_transform(placed.transform, np.array([placed.size]) / 2)[0, 0])
