"""Regular grids of points over an image, and its middle."""

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.projection import apply_transform, reproject
from s2match.core.raster import HasGrid

# Points along each side of an image that a CRS may express only in part.
LATTICE_POINTS = 17

WGS84 = CRS.from_epsg(4326)


def lattice(image: HasGrid) -> NDArray[np.float64]:
    """(N, 2) points (x, y) of a regular grid over an image, row by row, from edge to edge."""
    x, y = (np.linspace(0, side, LATTICE_POINTS) for side in image.size)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def middle_of(image: HasGrid) -> NDArray[np.float64]:
    """(2,) pixel (x, y) of the middle of an image, or of the lattice point nearest to it that is on Earth."""
    assert image.transform is not None
    middle = np.array(image.size) / 2
    if image.crs is None:
        return middle
    for points in (middle[None], lattice(image)):
        on_earth = np.isfinite(reproject(apply_transform(image.transform, points), image.crs, WGS84)).all(axis=1)
        if on_earth.any():
            distance = np.where(on_earth, np.linalg.norm(points - middle, axis=1), np.inf)
            return np.asarray(points[np.argmin(distance)])
    return middle


def middle_x(image: HasGrid) -> float:
    """Map coordinate x of the middle of an image."""
    assert image.transform is not None
    return float(apply_transform(image.transform, np.array([image.size]) / 2)[0, 0])
