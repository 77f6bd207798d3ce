"""What the georeference says: where a pixel lies in another image, and how far apart points are on the ground."""

import math
import re
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio import Env
from rasterio._err import CPLE_BaseError, CPLE_NotSupportedError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as warp_points
from rasterio.warp import transform_bounds

from s2match.errors import NoOverlapError
from s2match.images import Placed, georeferenced, native_transform

# Points along each image side when a footprint is carried into another CRS, where straight sides bend.
_SIDE_POINTS = 33

# How much longer or shorter than on the ground a length on a map may be, for the map's axes to be measured along.
_TRUE_TO_SCALE = 0.005

# How far the axes of a map may be turned from east and north, for them to be called so: the sine of 20 degrees.
_TURNED = 0.34

# Points along each image side where a CRS expresses a part of the image only.
_LATTICE_POINTS = 17

# Metres along each axis that tell a map's scale.
_SCALE_STEP_M = 1000.0

# No map coordinates of a planet are larger.
_FARTHEST = 1e10

METRES, MAP_UNITS = "m", "map units"

_WGS84 = CRS.from_epsg(4326)

# A box of map coordinates: left, bottom, right, top.
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class GroundAxes:
    """The axes that distances on the ground are measured along.

    Attributes:
        crs: Reference system whose axes they are; None: those of a map that does not say which it has.
        unit: ``METRES`` or ``MAP_UNITS``.
    """

    crs: CRS | None = None
    unit: str = METRES

    @property
    def in_metres(self) -> bool:
        """Whether the unit is the metre, and the axes are called east and north."""
        return self.unit == METRES

    @property
    def title(self) -> str:
        """The reference system for people: its code, or its name, or "the map"."""
        if self.crs is None:
            return "the map"
        code = self.crs.to_epsg()
        if code is not None:
            return f"EPSG:{code}"
        name = re.match(r'\w+\["([^"]+)"', self.crs.to_wkt())
        return "the reference's own system" if name is None else name[1]


IN_METRES = GroundAxes()


@dataclass(frozen=True)
class GroundErrors:
    """How far matched points lie apart on the ground, by the georeference of both images.

    The vector of a match points from where the reference image places the feature to where the target image places it:
    ``east_m > 0`` means that the target shows it too far east. Where the axes are not in metres, east is x of the map,
    north is y, and every number is in units of the map.

    Attributes:
        east_m: (N,) eastward component in metres; NaN where the reference system cannot express a point.
        north_m: (N,) northward component in metres, likewise.
        native_pixel_m: Side of a square as large as a native pixel of the reference image, in metres.
        axes: What east and north are, and the unit.
    """

    east_m: NDArray[np.float64]
    north_m: NDArray[np.float64]
    native_pixel_m: float
    axes: GroundAxes = IN_METRES

    @property
    def distance_m(self) -> NDArray[np.float64]:
        """(N,) horizontal distances in metres, NaN where there is none."""
        return np.hypot(self.east_m, self.north_m)

    @property
    def median_m(self) -> tuple[float, float]:
        """Median shift (east, north) in metres."""
        known = self.known
        return float(np.median(known.east_m)), float(np.median(known.north_m))

    @property
    def rmse_m(self) -> float:
        """Root mean square of the distances in metres."""
        return float(np.sqrt(np.mean(self.known.distance_m**2)))

    @property
    def ce90_m(self) -> float:
        """Circular error: the distance that 90 % of the matches do not exceed, in metres."""
        return float(np.percentile(self.known.distance_m, 90))

    @property
    def known(self) -> "GroundErrors":
        """The errors of the points that have one."""
        finite = np.isfinite(self.east_m) & np.isfinite(self.north_m)
        return self if finite.all() else self.of(np.asarray(finite))

    def of(self, chosen: NDArray[np.bool_]) -> "GroundErrors":
        """The errors of some of the matches, chosen by an (N,) mask."""
        return GroundErrors(self.east_m[chosen], self.north_m[chosen], self.native_pixel_m, self.axes)


def crs_named(name: str) -> CRS | None:
    """The CRS of a code, WKT or PROJ string; None where it is unknown or damaged."""
    try:
        # GDAL's own words for a damaged name go to its log, not to the terminal
        with Env():
            return CRS.from_user_input(name)
    except (CRSError, ValueError):
        return None


def apply_transform(transform: Affine, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply an affine transform to (N, 2) points (x, y)."""
    matrix = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    return np.asarray(xy @ matrix.T + (transform.c, transform.f))


def reproject(xy: NDArray[np.float64], source: CRS | None, target: CRS | None) -> NDArray[np.float64]:
    """Carry (N, 2) map coordinates (x, y), geographic ones as (longitude, latitude), from one CRS to another.

    Points that a CRS cannot express come back as NaN. Longitudes may come back a full turn off, see :func:`wrapped`.
    """
    if source == target or len(xy) == 0:
        return xy
    # PROJ takes minutes to bring longitudes of absurd coordinates into range
    if (np.abs(xy) > _FARTHEST).any():
        xy = np.where((np.abs(xy) > _FARTHEST).any(axis=1, keepdims=True), np.nan, xy)
    try:
        carried = np.stack(warp_points(source, target, xy[:, 0], xy[:, 1]), axis=1)
    except CPLE_NotSupportedError:
        # nothing leads from one to the other: they are of two planets, for one
        return np.full(xy.shape, np.nan)
    except (CPLE_BaseError, RasterioError):
        # GDAL gives no point at all where it cannot carry one of them
        if len(xy) == 1:
            return np.full((1, 2), np.nan)
        half = len(xy) // 2
        return np.concatenate([reproject(part, source, target) for part in (xy[:half], xy[half:])])
    carried[~np.isfinite(carried).all(axis=1)] = np.nan
    return carried


def full_turn(crs: CRS | None) -> float | None:
    """360 degrees in the unit of a geographic CRS; None for others, whose x does not start again."""
    return 2 * math.pi / float(crs.units_factor[1]) if crs is not None and crs.is_geographic else None


def wrapped(xy: NDArray[np.float64], crs: CRS | None, near: float) -> NDArray[np.float64]:
    """(N, 2) map coordinates, those of a geographic CRS with longitudes within half a turn of a given one."""
    turn = full_turn(crs)
    if turn is None:
        return xy
    return np.stack([xy[:, 0] + turn * np.round((near - xy[:, 0]) / turn), xy[:, 1]], axis=1)


def to_pixels(placed: Placed, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) pixels (x, y) of a georeferenced image at map coordinates (N, 2) of its CRS, whatever turn they are of."""
    assert placed.transform is not None
    return apply_transform(~placed.transform, wrapped(xy, placed.crs, _middle_x(placed)))


def reproject_bounds(bounds: Bounds, source: CRS, target: CRS) -> list[Bounds]:
    """The box in another CRS about a box, none where it cannot be expressed.

    In a geographic CRS there are several: longitudes may be given from -180 to 180 or from 0 to 360 degrees, and a box
    that the 180th meridian cuts is two.
    """
    boxes = [bounds]
    if source != target:
        try:
            left, bottom, right, top = transform_bounds(source, target, *bounds, densify_pts=_SIDE_POINTS)
        except (CPLE_BaseError, RasterioError):
            return []
        if not np.isfinite([left, bottom, right, top]).all():
            return []
        turn = full_turn(target)
        # unbroken, beyond the meridian
        boxes = [(left, bottom, right + turn if turn is not None and left > right else right, top)]
    turn = full_turn(target)
    if turn is None:
        return boxes
    return [(box[0] + k * turn, box[1], box[2] + k * turn, box[3]) for box in boxes for k in (-1, 0, 1)]


def predict(xy: NDArray[np.float64], reference: Placed, target: Placed) -> NDArray[np.float64]:
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


def comparable(reference: Placed, target: Placed) -> bool:
    """Whether the georeferences of two images tell how they lie to each other.

    They do where both have a CRS, or where none has: then both are taken to be on one map.
    """
    return georeferenced(reference) and georeferenced(target) and (reference.crs is None) == (target.crs is None)


def footprint(placed: Placed, onto: Placed) -> NDArray[np.float64] | None:
    """(2, 2) lowest and highest (x, y), in pixels of another image, of what an image shows.

    Where a CRS expresses a part of it only, it is the box about that part. None where it expresses nothing.
    """
    assert placed.transform is not None and onto.transform is not None
    # what lies inside counts, too: a pole has all longitudes around it
    points = np.concatenate([outline(placed), _lattice(placed)])
    ground = reproject(apply_transform(placed.transform, points), placed.crs, onto.crs)
    expressed = np.isfinite(ground).all(axis=1)
    ground, whole = ground[expressed], bool(expressed.all())
    if not len(ground):
        return None
    # in one piece first, wherever its longitudes start again, then as a whole beside the other image
    centre = reproject(apply_transform(placed.transform, _middle(placed)[None]), placed.crs, onto.crs)[0, 0]
    middle = float(centre if np.isfinite(centre) else ground[len(ground) // 2, 0])
    ground = wrapped(ground, onto.crs, middle)
    turn = full_turn(onto.crs)
    if turn is not None:
        ground[:, 0] += turn * round((_middle_x(onto) - middle) / turn)
    edge = apply_transform(~onto.transform, ground)
    box = np.stack([edge.min(axis=0), edge.max(axis=0)])
    beyond = 0.0 if whole else (box[1] - box[0]) / (_LATTICE_POINTS - 1)
    return box + np.array([[-1.0], [1.0]]) * beyond


def share_ground(reference: Placed, target: Placed) -> bool:
    """Whether the footprints of two comparable images overlap."""
    box = footprint(target, reference)
    return box is not None and bool((box[0] < reference.size).all() and (box[1] > 0).all())


def require_overlap(reference: Placed, target: Placed) -> None:
    """Refuse two georeferenced images whose footprints share no ground; accept any other pair.

    Raises:
        NoOverlapError: The footprints are apart.
    """
    if comparable(reference, target) and not share_ground(reference, target):
        raise NoOverlapError(f"The footprints of {reference.scene.title} and {target.scene.title} share no ground.")


def ground_errors(
    reference: Placed, target: Placed, xy0: NDArray[np.float64], xy1: NDArray[np.float64]
) -> GroundErrors | None:
    """Measure matches against the georeference of both images.

    Both points of a match are mapped to the ground and compared along the :func:`ground_axes` of the reference.

    Args:
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        xy0: (N, 2) pixel positions (x, y) in the reference, GDAL frame.
        xy1: (N, 2) pixel positions of the same features in the target, GDAL frame.

    Returns:
        The errors, or None when the georeferences cannot be compared.
    """
    if not comparable(reference, target):
        return None
    assert reference.transform is not None and target.transform is not None
    axes = ground_axes(reference)
    ground0 = reproject(apply_transform(reference.transform, xy0), reference.crs, axes.crs)
    ground1 = reproject(apply_transform(target.transform, xy1), target.crs, axes.crs)
    shift = wrapped(ground1 - ground0, axes.crs, 0.0)
    native_pixel = math.sqrt(math.prod(pixel_sides_m(reference, native_transform(reference))))
    return GroundErrors(shift[:, 0], shift[:, 1], native_pixel, axes)


def ground_axes(placed: Placed) -> GroundAxes:
    """The axes that distances on the ground of a georeferenced image are measured along.

    Those of its own CRS where that is projected, in metres, and in the middle of the image true to scale within half a
    percent and turned by less than 20 degrees, with all of the image on Earth; or else those of the UTM zone of its
    middle. An image without a CRS, or one
    of another planet in degrees, is measured in units of its map.
    """
    assert placed.transform is not None
    if placed.crs is None:
        return GroundAxes(None, MAP_UNITS)
    middle = apply_transform(placed.transform, _middle(placed)[None])
    longitude, latitude = reproject(middle, placed.crs, _WGS84)[0]
    metric = placed.crs.is_projected and placed.crs.linear_units_factor[1] == 1
    if not np.isfinite(longitude):
        return GroundAxes(placed.crs, METRES if metric else MAP_UNITS)
    corners = apply_transform(placed.transform, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * placed.size)
    whole = metric and bool(np.isfinite(reproject(corners, placed.crs, _WGS84)).all())
    if whole and _true_to_scale(placed.crs, middle[0], (longitude, latitude)):
        return GroundAxes(placed.crs)
    zone = int((longitude + 180) // 6) % 60 + 1
    return GroundAxes(CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone))


def _true_to_scale(crs: CRS, middle: NDArray[np.float64], geographic: tuple[float, float]) -> bool:
    """Whether lengths and right angles on a map in metres are those on the ground, and its axes nearly east and north.

    Args:
        crs: Its CRS.
        middle: A place (x, y) on it.
        geographic: Longitude and latitude of the place.
    """
    # some maps of South Africa count to the west and to the south
    if "WEST]" in crs.to_wkt():
        return False
    ground = CRS.from_proj4(f"+proj=aeqd +lon_0={geographic[0]} +lat_0={geographic[1]} +datum=WGS84 +units=m")
    steps = middle + _SCALE_STEP_M * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    origin, right, up = reproject(steps, crs, ground)
    axes = np.stack([right - origin, up - origin]) / _SCALE_STEP_M
    # the products of the axes with each other: 1 on the diagonal and 0 beside it for a map that is true
    true = np.abs(axes @ axes.T - np.eye(2)).max() < 2 * _TRUE_TO_SCALE and np.linalg.det(axes) > 0
    return bool(true and abs(axes[0, 1]) < _TURNED and axes[0, 0] > 0)


def expected_linear(reference: Placed, target: Placed) -> NDArray[np.float64]:
    """2×2 linear part of the map from reference to target pixels in the middle of the reference.

    By the georeference; images without one are expected to have the same scale and orientation.
    """
    if not comparable(reference, target):
        return np.eye(2)
    steps = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    middle = np.array(reference.size) / 2
    for places in (middle[None], _lattice(reference)):
        carried = predict((places[:, None] + steps).reshape(-1, 2), reference, target).reshape(-1, 3, 2)
        known = np.isfinite(carried).all(axis=(1, 2))
        if known.any():
            origin, right, down = carried[np.argmin(np.where(known, np.linalg.norm(places - middle, axis=1), np.inf))]
            return np.stack([right - origin, down - origin], axis=1)
    return np.eye(2)


def pixel_sides_m(raster: Placed, transform: Affine | None) -> tuple[float, float]:
    """Width and height on the ground of a pixel in the middle of a georeferenced image, in metres.

    In units of the map where :func:`ground_axes` has no metres.

    Args:
        raster: The image.
        transform: Its own transform, or that of its native pixels.
    """
    assert transform is not None and raster.transform is not None
    middle = apply_transform(~transform @ raster.transform, _middle(raster)[None])
    corners = apply_transform(transform, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    origin, right, down = reproject(corners, raster.crs, ground_axes(raster).crs)
    return math.dist(origin, right), math.dist(origin, down)


def pixel_m(placed: Placed) -> float:
    """Side of a square as large as a pixel in the middle of a georeferenced image, in metres."""
    return math.sqrt(math.prod(pixel_sides_m(placed, placed.transform)))


def common_corners(reference: Placed, target: Placed) -> NDArray[np.float64]:
    """(4, 2) corners, in reference pixels, of the box around the ground that both images show.

    Without a georeference these are the corners of the reference.
    """
    low, high = np.zeros(2), np.array(reference.size, float)
    if comparable(reference, target):
        box = footprint(target, reference)
        if box is not None:
            low, high = np.maximum(low, box[0]), np.minimum(high, box[1])
    return np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])


def outline(raster: Placed) -> NDArray[np.float64]:
    """(N, 2) points around the edge of an image, closed."""
    width, height = raster.size
    along = np.linspace(0, 1, _SIDE_POINTS)
    x = np.concatenate([along, np.ones_like(along), along[::-1], np.zeros_like(along)]) * width
    y = np.concatenate([np.zeros_like(along), along, np.ones_like(along), along[::-1]]) * height
    return np.stack([x, y], axis=1)


def _lattice(placed: Placed) -> NDArray[np.float64]:
    """(N, 2) points of an image, row by row, from edge to edge."""
    x, y = (np.linspace(0, side, _LATTICE_POINTS) for side in placed.size)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _nearest(points: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points[np.argmin(np.linalg.norm(points - place, axis=1))])


def _middle(placed: Placed) -> NDArray[np.float64]:
    """(2,) pixel (x, y) of the middle of an image, or of what is next to it where it has a place on Earth."""
    assert placed.transform is not None
    middle = np.array(placed.size) / 2
    if placed.crs is None:
        return middle
    for points in (middle[None], _lattice(placed)):
        on_earth = np.isfinite(reproject(apply_transform(placed.transform, points), placed.crs, _WGS84)).all(axis=1)
        if on_earth.any():
            return _nearest(points[on_earth], middle)
    return middle


def _middle_x(placed: Placed) -> float:
    """Map x of the middle of an image."""
    assert placed.transform is not None
    return float(apply_transform(placed.transform, np.array([placed.size]) / 2)[0, 0])
