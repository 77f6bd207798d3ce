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
from s2match.core.raster import HasGrid, grid_of

# Largest relative scale error of a map whose axes are used.
_SCALE_TOLERANCE = 0.005

# Largest rotation of the axes of a map from east and north: the sine of 20 degrees.
_MAX_ROTATION = 0.34

# Length of the steps along the axes of a map that measure its scale.
_SCALE_STEP_M = 1000.0

METRES, MAP_UNITS = "m", "map units"


@dataclass(frozen=True)
class GroundAxes:
    """The axes along which distances on the ground are measured.

    Attributes:
        crs: CRS of the axes; None for a map without a CRS.
        unit: ``METRES`` or ``MAP_UNITS``.
    """

    crs: CRS | None = None
    unit: str = METRES

    @property
    def in_metres(self) -> bool:
        """Whether the unit is the metre; the axes are then called east and north."""
        return self.unit == METRES

    @property
    def title(self) -> str:
        """EPSG code or name of the CRS, or "the map" without one."""
        if self.crs is None:
            return "the map"
        code = self.crs.to_epsg()
        if code is not None:
            return f"EPSG:{code}"
        name = re.match(r'\w+\["([^"]+)"', self.crs.to_wkt())
        return "the reference's own system" if name is None else name[1]


IN_METRES = GroundAxes()


def ground_axes(image: HasGrid) -> GroundAxes:
    """The axes along which distances on the ground of a georeferenced image are measured.

    They are those of its own CRS if that is projected, in metres, true to scale within half a percent and turned by
    less than 20 degrees in the middle of the image, and if all of the image is on Earth. Otherwise they are those of
    the UTM zone of its middle. An image without a CRS, or one of another planet in degrees, is measured in units of its
    map.
    """
    assert image.transform is not None
    if image.crs is None:
        return GroundAxes(None, MAP_UNITS)
    middle = apply_transform(image.transform, middle_of(image)[None])
    longitude, latitude = reproject(middle, image.crs, WGS84)[0]
    metric = image.crs.is_projected and image.crs.linear_units_factor[1] == 1
    if not np.isfinite(longitude):
        return GroundAxes(image.crs, METRES if metric else MAP_UNITS)
    corners = apply_transform(image.transform, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * image.size)
    on_earth = bool(np.isfinite(reproject(corners, image.crs, WGS84)).all())
    if metric and on_earth and _true_to_scale(image.crs, middle[0], (longitude, latitude)):
        return GroundAxes(image.crs)
    zone = int((longitude + 180) // 6) % 60 + 1
    return GroundAxes(CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone))


def _true_to_scale(crs: CRS, middle: NDArray[np.float64], geographic: tuple[float, float]) -> bool:
    """Whether a map in metres is true to scale and angle at a point, and its axes point nearly east and north.

    Args:
        crs: CRS of the map.
        middle: (2,) map coordinates (x, y) of the point.
        geographic: (longitude, latitude) of the point.
    """
    # some maps of South Africa count to the west and to the south
    if "WEST]" in crs.to_wkt():
        return False
    ground = CRS.from_proj4(f"+proj=aeqd +lon_0={geographic[0]} +lat_0={geographic[1]} +datum=WGS84 +units=m")
    steps = middle + _SCALE_STEP_M * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    origin, right, up = reproject(steps, crs, ground)
    axes = np.stack([right - origin, up - origin]) / _SCALE_STEP_M
    # the Gram matrix of the axes is the identity for a map that is true to scale and angle
    true = np.abs(axes @ axes.T - np.eye(2)).max() < 2 * _SCALE_TOLERANCE and np.linalg.det(axes) > 0
    return bool(true and abs(axes[0, 1]) < _MAX_ROTATION and axes[0, 0] > 0)


def map_step(image: HasGrid, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """A step on the ground in the middle of a georeferenced image, in units of its map.

    Args:
        image: The image.
        step: (2,) along its :func:`ground_axes`.

    Returns:
        (2,) along the axes of its CRS.
    """
    assert image.transform is not None
    axes = ground_axes(image)
    if axes.crs is None or axes.crs == image.crs:
        return step
    middle = apply_transform(image.transform, middle_of(image)[None])
    moved = reproject(reproject(middle, image.crs, axes.crs) + step, axes.crs, image.crs)
    return np.asarray((moved - middle)[0])


def pixel_sides_m(raster: HasGrid, transform: Affine | None) -> tuple[float, float]:
    """Width and height on the ground of a pixel in the middle of a georeferenced image.

    Args:
        raster: The image.
        transform: Its own transform, or that of its native pixels.

    Returns:
        Both in metres, or in units of the map where :func:`ground_axes` has no metres.
    """
    assert transform is not None and raster.transform is not None
    middle = apply_transform(~transform @ raster.transform, middle_of(raster)[None])
    corners = apply_transform(transform, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    origin, right, down = reproject(corners, raster.crs, ground_axes(raster).crs)
    return math.dist(origin, right), math.dist(origin, down)


def file_pixel_m(image: HasGrid) -> float:
    """Side in metres of a square as large as a pixel of the file of a georeferenced image, in its middle."""
    file = grid_of(image).source or image
    return math.sqrt(math.prod(pixel_sides_m(file, file.native_transform)))


def pixel_m(image: HasGrid) -> float:
    """Side in metres of a square as large as a pixel in the middle of a georeferenced image."""
    return math.sqrt(math.prod(pixel_sides_m(image, image.transform)))
