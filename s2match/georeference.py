"""What the georeference says: where a pixel lies in another image, and how far apart points are in metres."""

import math
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as warp_points
from rasterio.warp import transform_bounds

from s2match.errors import NoOverlapError
from s2match.images import Placed, georeferenced, native_transform

# Points along each image side when a footprint is carried into another CRS, where straight sides bend.
_SIDE_POINTS = 33

# A box of map coordinates: left, bottom, right, top.
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class GroundErrors:
    """How far matched points lie apart on the ground, by the georeference of both images.

    The vector of a match points from where the reference image places the feature to where the target image places it:
    ``east_m > 0`` means that the target shows it too far east.

    Attributes:
        east_m: (N,) eastward component in metres.
        north_m: (N,) northward component in metres.
        native_pixel_m: Side of a square as large as a native pixel of the reference image, in metres.
    """

    east_m: NDArray[np.float64]
    north_m: NDArray[np.float64]
    native_pixel_m: float

    @property
    def distance_m(self) -> NDArray[np.float64]:
        """(N,) horizontal distances in metres."""
        return np.hypot(self.east_m, self.north_m)

    @property
    def median_m(self) -> tuple[float, float]:
        """Median shift (east, north) in metres."""
        return float(np.median(self.east_m)), float(np.median(self.north_m))

    @property
    def rmse_m(self) -> float:
        """Root mean square of the distances in metres."""
        return float(np.sqrt(np.mean(self.distance_m**2)))

    @property
    def ce90_m(self) -> float:
        """Circular error: the distance that 90 % of the matches do not exceed, in metres."""
        return float(np.percentile(self.distance_m, 90))

    def of(self, chosen: NDArray[np.bool_]) -> "GroundErrors":
        """The errors of some of the matches, chosen by an (N,) mask."""
        return GroundErrors(self.east_m[chosen], self.north_m[chosen], self.native_pixel_m)


def apply_transform(transform: Affine, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply an affine transform to (N, 2) points (x, y)."""
    matrix = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    return np.asarray(xy @ matrix.T + (transform.c, transform.f))


def reproject(xy: NDArray[np.float64], source: CRS, target: CRS) -> NDArray[np.float64]:
    """Carry (N, 2) map coordinates (x, y), geographic ones as (longitude, latitude), from one CRS to another."""
    if source == target or len(xy) == 0:
        return xy
    return np.stack(warp_points(source, target, xy[:, 0], xy[:, 1]), axis=1)


def reproject_bounds(bounds: Bounds, source: CRS, target: CRS) -> list[Bounds]:
    """The box in another CRS about a box: two where the 180th meridian cuts it, none where it cannot be expressed."""
    if source == target:
        return [bounds]
    try:
        left, bottom, right, top = transform_bounds(source, target, *bounds, densify_pts=_SIDE_POINTS)
    except CRSError:
        return []
    if not np.isfinite([left, bottom, right, top]).all():
        return []
    if left > right:
        return [(left, bottom, 180.0, top), (-180.0, bottom, right, top)]
    return [(left, bottom, right, top)]


def predict(xy: NDArray[np.float64], reference: Placed, target: Placed) -> NDArray[np.float64]:
    """Where the georeference of both images places points of the reference in the target.

    Args:
        xy: (N, 2) pixel positions (x, y) in the reference, GDAL frame.
        reference: Georeferenced image the points belong to.
        target: Georeferenced image to find them in.

    Returns:
        (N, 2) pixel positions in the target, GDAL frame; they may lie outside of it.
    """
    assert reference.transform is not None and target.transform is not None
    ground = reproject(apply_transform(reference.transform, xy), reference.crs, target.crs)
    return apply_transform(~target.transform, ground)


def require_overlap(reference: Placed, target: Placed) -> None:
    """Refuse two georeferenced images whose footprints share no ground; accept any other pair.

    Raises:
        NoOverlapError: The footprints are apart.
    """
    if not (georeferenced(reference) and georeferenced(target)):
        return
    edge = predict(outline(target), target, reference)
    low, high = edge.min(axis=0), edge.max(axis=0)
    # positions that a CRS cannot express come back infinite
    if not np.isfinite(edge).all() or (low >= reference.size).any() or (high <= 0).any():
        raise NoOverlapError(f"The footprints of {reference.scene.title} and {target.scene.title} share no ground.")


def ground_errors(
    reference: Placed, target: Placed, xy0: NDArray[np.float64], xy1: NDArray[np.float64]
) -> GroundErrors | None:
    """Measure matches against the georeference of both images.

    Both points of a match are mapped to the ground and compared in the CRS of the reference where that is a UTM zone,
    or else in the UTM zone of the reference's centre: units of other CRSs, web Mercator's for one, are no metres on
    the ground.

    Args:
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        xy0: (N, 2) pixel positions (x, y) in the reference, GDAL frame.
        xy1: (N, 2) pixel positions of the same features in the target, GDAL frame.

    Returns:
        The errors, or None when an image has no georeference.
    """
    if not (georeferenced(reference) and georeferenced(target)):
        return None
    assert reference.transform is not None and target.transform is not None
    crs = _utm(reference)
    ground0 = reproject(apply_transform(reference.transform, xy0), reference.crs, crs)
    ground1 = reproject(apply_transform(target.transform, xy1), target.crs, crs)
    shift = ground1 - ground0
    return GroundErrors(
        shift[:, 0], shift[:, 1], math.sqrt(math.prod(pixel_sides_m(reference, native_transform(reference))))
    )


def expected_linear(reference: Placed, target: Placed) -> NDArray[np.float64]:
    """2×2 linear part of the map from reference to target pixels in the middle of the reference.

    By the georeference; images without one are expected to have the same scale and orientation.
    """
    if not (georeferenced(reference) and georeferenced(target)):
        return np.eye(2)
    centre = np.array(reference.size) / 2
    origin, right, down = predict(centre + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), reference, target)
    return np.stack([right - origin, down - origin], axis=1)


def pixel_sides_m(raster: Placed, transform: Affine | None) -> tuple[float, float]:
    """Width and height on the ground of a pixel in the middle of a georeferenced image, in metres.

    Args:
        raster: The image.
        transform: Its own transform, or that of its native pixels.
    """
    assert transform is not None and raster.transform is not None
    middle = apply_transform(~transform @ raster.transform, np.array([raster.size]) / 2)
    corners = apply_transform(transform, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    origin, right, down = reproject(corners, raster.crs, _utm(raster))
    return math.dist(origin, right), math.dist(origin, down)


def pixel_m(placed: Placed) -> float:
    """Side of a square as large as a pixel in the middle of a georeferenced image, in metres."""
    return math.sqrt(math.prod(pixel_sides_m(placed, placed.transform)))


def common_corners(reference: Placed, target: Placed) -> NDArray[np.float64]:
    """(4, 2) corners, in reference pixels, of the box around the ground that both images show.

    Without a georeference these are the corners of the reference.
    """
    low, high = np.zeros(2), np.array(reference.size, float)
    if georeferenced(reference) and georeferenced(target):
        edge = predict(outline(target), target, reference)
        low, high = np.maximum(low, edge.min(axis=0)), np.minimum(high, edge.max(axis=0))
    return np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])


def outline(raster: Placed) -> NDArray[np.float64]:
    """(N, 2) points around the edge of an image, closed."""
    width, height = raster.size
    along = np.linspace(0, 1, _SIDE_POINTS)
    x = np.concatenate([along, np.ones_like(along), along[::-1], np.zeros_like(along)]) * width
    y = np.concatenate([np.zeros_like(along), along, np.ones_like(along), along[::-1]]) * height
    return np.stack([x, y], axis=1)


def _utm(raster: Placed) -> CRS:
    """The CRS of an image where it is a UTM zone of WGS 84, or else the zone of the image's centre."""
    assert raster.transform is not None and raster.crs is not None
    if (raster.crs.to_epsg() or 0) // 100 in (326, 327):
        return raster.crs
    centre = apply_transform(raster.transform, np.array([raster.size]) / 2)
    longitude, latitude = reproject(centre, raster.crs, CRS.from_epsg(4326))[0]
    zone = int((longitude + 180) // 6) % 60 + 1
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)
