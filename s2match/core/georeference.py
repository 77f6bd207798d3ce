"""What the georeference says: where a pixel lies in another image, and how far apart points are on the ground."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.lattice import lattice, middle_x
from s2match.core.projection import apply_transform, reproject, wrapped
from s2match.core.raster import HasGrid


def to_pixels(placed: HasGrid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) pixels (x, y) of a georeferenced image at map coordinates (N, 2) of its CRS, whatever turn they are of."""
    assert placed.transform is not None
    return apply_transform(~placed.transform, wrapped(xy, placed.crs, middle_x(placed)))


def predict(xy: NDArray[np.float64], reference: HasGrid, target: HasGrid) -> NDArray[np.float64]:
    """Where the georeference of both images places points of the reference in the target.

    Args:
        xy: (N, 2) pixel positions (x, y) in the reference, GDAL frame.
        reference: Georeferenced image the points belong to.
        target: Georeferenced image to find them in.

    Returns:
        (N, 2) pixel positions in the target, GDAL frame; they may lie outside of it, and are NaN where its CRS cannot
        express them.
    """
    assert reference.transform is not None
    return to_pixels(target, reproject(apply_transform(reference.transform, xy), reference.crs, target.crs))


def comparable(reference: HasGrid, target: HasGrid) -> bool:
    """Whether the georeferences of two images tell how they lie to each other.

    They do where both have a CRS, or where none has: then both are taken to be on one map.
    """
    return reference.georeferenced and target.georeferenced and (reference.crs is None) == (target.crs is None)


def expected_linear(reference: HasGrid, target: HasGrid) -> NDArray[np.float64]:
    """2×2 linear part of the map from reference to target pixels in the middle of the reference.

    By the georeference; images without one are expected to have the same scale and orientation.
    """
    if not comparable(reference, target):
        return np.eye(2)
    steps = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    middle = np.array(reference.size) / 2
    for places in (middle[None], lattice(reference)):
        carried = predict((places[:, None] + steps).reshape(-1, 2), reference, target).reshape(-1, 3, 2)
        known = np.isfinite(carried).all(axis=(1, 2))
        if known.any():
            origin, right, down = carried[np.argmin(np.where(known, np.linalg.norm(places - middle, axis=1), np.inf))]
            return np.stack([right - origin, down - origin], axis=1)
    return np.eye(2)
