"""Tie points whose geometry was moved by hand, which has no effect on a fit."""

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.grid import Grid
from s2match.core.projection import reproject, wrapped
from s2match.tiepoints.cells import Table
from s2match.util.optional import import_optional

if TYPE_CHECKING:
    from pandas import DataFrame

# Columns of the position of a point's geometry, in the coordinates of the columns that it is drawn at.
_X, _Y = "X_DRAWN", "Y_DRAWN"

# Distance from which a point was moved, in pixels: more than the decimals of any format.
_MOVED_PX = 0.05


def drawn_in_frame(frame: "DataFrame", reference: Grid, target: Grid) -> Table:
    """Columns of the positions of the geometries of a data frame, for :func:`moved_count`; none without geometries.

    Args:
        frame: The tie points.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.
    """
    geopandas, shapely = (import_optional(name, "Tie points", "requirements.txt") for name in ("geopandas", "shapely"))
    if not isinstance(frame, geopandas.GeoDataFrame):
        return {}
    points = np.asarray(frame.geometry, object)
    xy = np.stack([shapely.get_x(points), shapely.get_y(points)], axis=1)
    crs = None if frame.crs is None else CRS.from_wkt(frame.crs.to_wkt())
    return _drawn_columns(xy, crs, reference, target)


def drawn_in_geojson(document: dict[str, Any], reference: Grid, target: Grid) -> Table:
    """The same for a FeatureCollection, whose coordinates are longitudes and latitudes.

    Args:
        document: The tie points.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.
    """
    # a program that names another system means other coordinates
    if "CRS84" not in json.dumps(document.get("crs", "CRS84")):
        return {}
    xy = np.array([_lon_lat(feature) for feature in document["features"]])
    return _drawn_columns(xy, CRS.from_epsg(4326), reference, target)


def _lon_lat(feature: dict[str, Any]) -> tuple[float, float]:
    """Longitude and latitude of a point; not a number if the feature is none."""
    try:
        lon, lat = feature["geometry"]["coordinates"][:2]
        return float(lon), float(lat)
    except (KeyError, OverflowError, TypeError, ValueError):
        return math.nan, math.nan


def _drawn_columns(xy: NDArray[np.float64], crs: CRS | None, reference: Grid, target: Grid) -> Table:
    """Columns of positions (N, 2), not a number without a point, in the coordinates that points are drawn at."""
    _, grid = _place(reference, target)
    xy = np.array(xy, np.float64)
    if crs is not None and grid is not None and grid.crs is not None:
        known = np.isfinite(xy).all(axis=1)
        xy[known] = reproject(xy[known], crs, grid.crs)
    return {_X: xy[:, 0], _Y: xy[:, 1]}


def moved_count(table: Table, reference: Grid, target: Grid) -> int:
    """Number of enabled rows whose geometry does not lie at their map coordinates.

    Rows without a geometry or without map coordinates do not count.

    Args:
        table: Columns of the tie points, with those of the geometries if the format has some.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.
    """
    names, grid = _place(reference, target)
    if not {_X, _Y, *names} <= table.keys():
        return 0
    expected = np.stack([table[name] for name in names], axis=1)
    drawn = np.stack([table[_X], table[_Y]], axis=1)
    side = 1.0
    if grid is None:
        # as QGIS shows an image without a georeference
        expected = expected * (1, -1)
    else:
        assert grid.transform is not None
        side = math.sqrt(abs(grid.transform.determinant))
        drawn = wrapped(drawn, grid.crs, expected[:, 0])
    moved = np.hypot(*(drawn - expected).T) > _MOVED_PX * side
    return int((moved & (table.get("ENABLED", np.ones(len(moved))) != 0)).sum())


def _place(reference: Grid, target: Grid) -> tuple[tuple[str, str], Grid | None]:
    """Columns of the positions that points are drawn at, and the image whose map they are on; None for pixels."""
    if target.georeferenced:
        return ("X_MAP", "Y_MAP"), target
    if reference.georeferenced:
        return ("X_MAP_REF", "Y_MAP_REF"), reference
    return ("X_IM", "Y_IM"), None
