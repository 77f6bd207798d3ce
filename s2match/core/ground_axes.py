"""East and north in metres at an image, and the size of its pixels on the ground."""

import math
import re
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.lattice import WGS84, middle_of
from s2match.core.projection import apply_transform, reproject
from s2match.core.raster import HasGrid

# How much longer or shorter than on the ground a length on a map may be, for the map's axes to be measured along.
_TRUE_TO_SCALE = 0.005

# How far the axes of a map may be turned from east and north, for them to be called so: the sine of 20 degrees.
_TURNED = 0.34

# Metres along each axis that tell a map's scale.
_SCALE_STEP_M = 1000.0

METRES, MAP_UNITS = "m", "map units"


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


def ground_axes(placed: HasGrid) -> GroundAxes:
    """The axes that distances on the ground of a georeferenced image are measured along.

    Those of its own CRS where that is projected, in metres, and in the middle of the image true to scale within half a
    percent and turned by less than 20 degrees, with all of the image on Earth; or else those of the UTM zone of its
    middle. An image without a CRS, or one
    of another planet in degrees, is measured in units of its map.
    """
    assert placed.transform is not None
    if placed.crs is None:
        return GroundAxes(None, MAP_UNITS)
    middle = apply_transform(placed.transform, middle_of(placed)[None])
    longitude, latitude = reproject(middle, placed.crs, WGS84)[0]
    metric = placed.crs.is_projected and placed.crs.linear_units_factor[1] == 1
    if not np.isfinite(longitude):
        return GroundAxes(placed.crs, METRES if metric else MAP_UNITS)
    corners = apply_transform(placed.transform, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * placed.size)
    whole = metric and bool(np.isfinite(reproject(corners, placed.crs, WGS84)).all())
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


def pixel_sides_m(raster: HasGrid, transform: Affine | None) -> tuple[float, float]:
    """Width and height on the ground of a pixel in the middle of a georeferenced image, in metres.

    In units of the map where :func:`ground_axes` has no metres.

    Args:
        raster: The image.
        transform: Its own transform, or that of its native pixels.
    """
    assert transform is not None and raster.transform is not None
    middle = apply_transform(~transform @ raster.transform, middle_of(raster)[None])
    corners = apply_transform(transform, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    origin, right, down = reproject(corners, raster.crs, ground_axes(raster).crs)
    return math.dist(origin, right), math.dist(origin, down)


def pixel_m(placed: HasGrid) -> float:
    """Side of a square as large as a pixel in the middle of a georeferenced image, in metres."""
    return math.sqrt(math.prod(pixel_sides_m(placed, placed.transform)))
