"""Reprojection of coordinates from one CRS to another."""

import math
import re
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio import Env
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points
from rasterio.warp import transform_bounds

from s2match.core.bounds import Bounds
from s2match.util.gdal import LIBRARY_ERRORS, NO_TRANSFORMATION

# Points along each side of a footprint that is reprojected, where straight sides bend.
SIDE_POINTS = 33

# The name of a CRS as a URI, which leads to no server.
_URI = re.compile(r"https?://(?:www\.)?opengis\.net/def/crs/(?P<authority>\w+)/[^/]*/(?P<code>\w+)")

# Largest map coordinate of a planet, in any unit.
FARTHEST = 1e10


def crs_named(name: str) -> CRS | None:
    """The CRS of a code, WKT or PROJ string; None if it is unknown or invalid."""
    official = _URI.fullmatch(name)
    name = name if official is None else f"{official['authority']}:{official['code']}"
    # GDAL would ask a server, or read a file
    if "://" in name or _is_file(name):
        return None
    try:
        # within an Env GDAL logs its message instead of printing it
        with Env():
            return CRS.from_user_input(name)
    # rasterio takes JSON of other things for the parameters of PROJ
    except (*LIBRARY_ERRORS, AttributeError, TypeError, ValueError):
        return None


def _is_file(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        # no name of a file is as long as a WKT
        return False


def crs_text(crs: CRS | None) -> str | None:
    """A CRS as ``EPSG:n``, or as WKT where no code stands for the same CRS; None for none.

    :func:`crs_named` gives the same CRS for the text.
    """
    if crs is None:
        return None
    code = crs.to_epsg()
    if code is not None and CRS.from_epsg(code) == crs:
        return f"EPSG:{code}"
    return str(crs.to_wkt(version="WKT2_2019"))


def apply_transform(transform: Affine, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply an affine transform to (N, 2) points (x, y)."""
    matrix = np.array([[transform.a, transform.b], [transform.d, transform.e]])
    return np.asarray(xy @ matrix.T + (transform.c, transform.f))


def reproject(xy: NDArray[np.float64], source: CRS | None, target: CRS | None) -> NDArray[np.float64]:
    """Reproject (N, 2) map coordinates (x, y), geographic ones as (longitude, latitude), from one CRS to another.

    Points that a CRS cannot express become NaN. Longitudes may differ by 360 degrees, see :func:`wrapped`.
    """
    if source == target or len(xy) == 0:
        return xy
    # PROJ takes minutes to bring longitudes of absurd coordinates into range
    if (np.abs(xy) > FARTHEST).any():
        xy = np.where((np.abs(xy) > FARTHEST).any(axis=1, keepdims=True), np.nan, xy)
    try:
        reprojected = np.stack(warp_points(source, target, xy[:, 0], xy[:, 1]), axis=1)
    except NO_TRANSFORMATION:
        # such as between two planets
        return np.full(xy.shape, np.nan)
    except LIBRARY_ERRORS:
        # one point that cannot be reprojected makes the whole call fail
        if len(xy) == 1:
            return np.full((1, 2), np.nan)
        half = len(xy) // 2
        return np.concatenate([reproject(part, source, target) for part in (xy[:half], xy[half:])])
    reprojected[~np.isfinite(reprojected).all(axis=1)] = np.nan
    return reprojected


def full_turn(crs: CRS | None) -> float | None:
    """360 degrees in the unit of a geographic CRS; None for other CRS, whose x is not periodic."""
    return 2 * math.pi / float(crs.units_factor[1]) if crs is not None and crs.is_geographic else None


def wrapped(xy: NDArray[np.float64], crs: CRS | None, near: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) map coordinates (x, y); longitudes of a geographic CRS are shifted to within 180 degrees of ``near``."""
    turn = full_turn(crs)
    if turn is None:
        return xy
    return np.stack([xy[:, 0] + turn * np.round((near - xy[:, 0]) / turn), xy[:, 1]], axis=1)


def reproject_bounds(bounds: Bounds, source: CRS, target: CRS) -> list[Bounds]:
    """Bounding boxes in another CRS of a box; none where the CRS cannot express it.

    In a geographic CRS there are three, 360 degrees apart: longitudes may run from -180 to 180 or from 0 to 360
    degrees, and the 180th meridian cuts a box in two.
    """
    boxes = [bounds]
    if source != target:
        try:
            left, bottom, right, top = transform_bounds(source, target, *bounds, densify_pts=SIDE_POINTS)
        except LIBRARY_ERRORS:
            return []
        if not np.isfinite([left, bottom, right, top]).all():
            return []
        turn = full_turn(target)
        # a box across the 180th meridian continues beyond it
        boxes = [(left, bottom, right + turn if turn is not None and left > right else right, top)]
    turn = full_turn(target)
    if turn is None:
        return boxes
    return [(box[0] + k * turn, box[1], box[2] + k * turn, box[3]) for box in boxes for k in (-1, 0, 1)]
