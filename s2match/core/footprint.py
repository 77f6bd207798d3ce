"""Footprints of images: outlines, common ground, overlap."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import comparable
from s2match.core.lattice import LATTICE_POINTS, lattice, middle_of, middle_x
from s2match.core.projection import SIDE_POINTS, apply_transform, full_turn, reproject, wrapped
from s2match.core.raster import HasGrid
from s2match.errors import NoOverlapError


def footprint(placed: HasGrid, onto: HasGrid) -> NDArray[np.float64] | None:
    """(2, 2) lowest and highest (x, y), in pixels of another image, of what an image shows.

    Where a CRS expresses a part of it only, it is the box about that part. None where it expresses nothing.
    """
    assert placed.transform is not None and onto.transform is not None
    # what lies inside counts, too: a pole has all longitudes around it
    points = np.concatenate([outline(placed), lattice(placed)])
    ground = reproject(apply_transform(placed.transform, points), placed.crs, onto.crs)
    expressed = np.isfinite(ground).all(axis=1)
    ground, whole = ground[expressed], bool(expressed.all())
    if not len(ground):
        return None
    # in one piece first, wherever its longitudes start again, then as a whole beside the other image
    centre = reproject(apply_transform(placed.transform, middle_of(placed)[None]), placed.crs, onto.crs)[0, 0]
    middle = float(centre if np.isfinite(centre) else ground[len(ground) // 2, 0])
    ground = wrapped(ground, onto.crs, middle)
    turn = full_turn(onto.crs)
    if turn is not None:
        ground[:, 0] += turn * round((middle_x(onto) - middle) / turn)
    edge = apply_transform(~onto.transform, ground)
    box = np.stack([edge.min(axis=0), edge.max(axis=0)])
    beyond = 0.0 if whole else (box[1] - box[0]) / (LATTICE_POINTS - 1)
    return box + np.array([[-1.0], [1.0]]) * beyond


def share_ground(reference: HasGrid, target: HasGrid) -> bool:
    """Whether the footprints of two comparable images overlap."""
    box = footprint(target, reference)
    return box is not None and bool((box[0] < reference.size).all() and (box[1] > 0).all())


def require_overlap(reference: HasGrid, target: HasGrid) -> None:
    """Refuse two georeferenced images whose footprints share no ground; accept any other pair.

    Raises:
        NoOverlapError: The footprints are apart.
    """
    if comparable(reference, target) and not share_ground(reference, target):
        raise NoOverlapError(f"The footprints of {reference.scene.title} and {target.scene.title} share no ground.")


def common_corners(reference: HasGrid, target: HasGrid) -> NDArray[np.float64]:
    """(4, 2) corners, in reference pixels, of the box around the ground that both images show.

    Without a georeference these are the corners of the reference.
    """
    low, high = np.zeros(2), np.array(reference.size, float)
    if comparable(reference, target):
        box = footprint(target, reference)
        if box is not None:
            low, high = np.maximum(low, box[0]), np.minimum(high, box[1])
    return np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])


def outline(raster: HasGrid) -> NDArray[np.float64]:
    """(N, 2) points around the edge of an image, closed."""
    width, height = raster.size
    along = np.linspace(0, 1, SIDE_POINTS)
    x = np.concatenate([along, np.ones_like(along), along[::-1], np.zeros_like(along)]) * width
    y = np.concatenate([np.zeros_like(along), along, np.ones_like(along), along[::-1]]) * height
    return np.stack([x, y], axis=1)
