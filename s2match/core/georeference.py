"""Positions of pixels in another image by the georeferences of both."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from s2match.core.lattice import finite_near_middle, middle_x
from s2match.core.point_maps import jacobian
from s2match.core.projection import apply_transform, reproject, wrapped
from s2match.core.raster import HasGrid


def to_pixels(image: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) pixels (x, y) of a georeferenced image at map coordinates (N, 2) of its CRS.

    Longitudes may differ by a multiple of 360 degrees.
    """
    assert image.transform is not None
    return apply_transform(~image.transform, wrapped(xy, image.crs, middle_x(image)))


def predict(xy: NDArray[np.float64], reference: HasGrid, target: HasGrid) -> NDArray[np.float64]:
    """Positions of points of the reference in the target, by the georeferences of both.

    Args:
        xy: (N, 2) pixel positions (x, y) in the reference, GDAL frame.
        reference: Georeferenced image of the points.
        target: Georeferenced image.

    Returns:
        (N, 2) pixel positions in the target, GDAL frame. They may lie outside of it, and are NaN where its CRS cannot
        express them.
    """
    assert reference.transform is not None
    return to_pixels(target, reproject(apply_transform(reference.transform, xy), reference.crs, target.crs))


def comparable(reference: HasGrid, target: HasGrid) -> bool:
    """Whether pixels of one image can be located in the other by their georeferences.

    Both images must have a CRS, or neither: two images without a CRS are assumed to have the same one.
    """
    return reference.georeferenced and target.georeferenced and (reference.crs is None) == (target.crs is None)


def same_pixels(reference: HasGrid, target: HasGrid) -> bool:
    """Whether two images have the same size, matched and in their files, so that equal pixels can be compared."""
    return (reference.size, reference.native_size) == (target.size, target.native_size)


def expected_linear(reference: HasGrid, target: HasGrid) -> NDArray[np.float64]:
    """2×2 linear part of the map from reference to target pixels in the middle of the reference.

    It is that of the georeferences; images without one are expected to have the same scale and orientation.
    """
    if not comparable(reference, target):
        return np.eye(2)
    nearest = finite_near_middle(reference, partial(jacobian, lambda xy: predict(xy, reference, target)))
    return np.eye(2) if nearest is None else nearest[1]
