"""Footprints of images: outline, common ground and overlap."""

import numpy as np
import shapely
from numpy.typing import NDArray

from s2match.core.georeference import comparable, predict
from s2match.core.lattice import LATTICE_POINTS, lattice, middle_of, middle_x
from s2match.core.projection import SIDE_POINTS, apply_transform, full_turn, reproject, wrapped
from s2match.core.raster import HasGrid
from s2match.errors import NoOverlapError


def footprint(image: HasGrid, onto: HasGrid) -> NDArray[np.float64] | None:
    """Bounding box of an image in pixels of another one.

    Args:
        image: Georeferenced image.
        onto: Georeferenced image whose pixels the box is in.

    Returns:
        (2, 2) lowest and highest (x, y), GDAL frame. If the CRS of ``onto`` expresses only a part of the image, the box
        of that part; None if it expresses nothing.
    """
    assert image.transform is not None and onto.transform is not None
    # the interior counts, too: a pole has all longitudes around it
    points = np.concatenate([outline(image), lattice(image)])
    ground = reproject(apply_transform(image.transform, points), image.crs, onto.crs)
    expressed = np.isfinite(ground).all(axis=1)
    ground, complete = ground[expressed], bool(expressed.all())
    if not len(ground):
        return None
    # longitudes: first all within half a turn of the middle, then all shifted to the turn of the other image
    centre = reproject(apply_transform(image.transform, middle_of(image)[None]), image.crs, onto.crs)[0, 0]
    middle = float(centre if np.isfinite(centre) else ground[len(ground) // 2, 0])
    ground = wrapped(ground, onto.crs, middle)
    turn = full_turn(onto.crs)
    if turn is not None:
        ground[:, 0] += turn * round((middle_x(onto) - middle) / turn)
    edge = apply_transform(~onto.transform, ground)
    box = np.stack([edge.min(axis=0), edge.max(axis=0)])
    margin = 0.0 if complete else (box[1] - box[0]) / (LATTICE_POINTS - 1)
    return box + np.array([[-1.0], [1.0]]) * margin


def share_ground(reference: HasGrid, target: HasGrid) -> bool:
    """Whether the footprints of two comparable images overlap."""
    box = footprint(target, reference)
    return box is not None and bool((box[0] < reference.size).all() and (box[1] > 0).all())


def overlap(reference: HasGrid, target: HasGrid) -> float:
    """Fraction of the smaller footprint that both images show, 0 to 1.

    Two images without a georeference show the same ground if their sizes are equal. Other images that cannot be
    compared share none.
    """
    if not comparable(reference, target):
        neither = not reference.georeferenced and not target.georeferenced
        return float(neither and reference.size == target.size)
    # longitudes half a turn away would be wrapped to both sides
    if full_turn(reference.crs) is not None and not share_ground(reference, target):
        return 0.0
    image = shapely.box(0, 0, *reference.size)
    corners = predict(outline(target), target, reference)
    if np.isfinite(corners).all():
        other = shapely.make_valid(shapely.Polygon(corners))
    else:
        box = footprint(target, reference)
        if box is None:
            return 0.0
        other = shapely.box(*box.ravel())
    return float(min(1.0, image.intersection(other).area / min(image.area, other.area)))


def require_overlap(reference: HasGrid, target: HasGrid) -> None:
    """Check that two comparable images overlap.

    Raises:
        NoOverlapError: Their footprints share no ground.
    """
    if comparable(reference, target) and not share_ground(reference, target):
        raise NoOverlapError(f"The footprints of {reference.scene.title} and {target.scene.title} share no ground.")


def common_corners(reference: HasGrid, target: HasGrid) -> NDArray[np.float64]:
    """(4, 2) corners (x, y) of the common footprint's bounding box, in reference pixels.

    Images that cannot be compared have the corners of the reference.
    """
    low, high = np.zeros(2), np.array(reference.size, float)
    if comparable(reference, target):
        box = footprint(target, reference)
        if box is not None:
            low, high = np.maximum(low, box[0]), np.minimum(high, box[1])
    return np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])


def outline(raster: HasGrid) -> NDArray[np.float64]:
    """(N, 2) points (x, y) along the edge of an image; the last is the first."""
    width, height = raster.size
    along = np.linspace(0, 1, SIDE_POINTS)
    x = np.concatenate([along, np.ones_like(along), along[::-1], np.zeros_like(along)]) * width
    y = np.concatenate([np.zeros_like(along), along, np.ones_like(along), along[::-1]]) * height
    return np.stack([x, y], axis=1)
