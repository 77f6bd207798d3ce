"""Footprints of images in longitude and latitude (WGS 84)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from s2match.core.footprint import outline
from s2match.core.grid import Grid
from s2match.core.lattice import WGS84, middle_of
from s2match.core.projection import apply_transform, reproject, wrapped
from s2match.timeseries.quick_looks import QuickLook
from s2match.timeseries.result import SeriesResult

# Largest distance in degrees of a simplified outline from the full one: about a metre.
_TOLERANCE = 1e-5

# Decimals of longitudes and latitudes: about a centimetre.
_DECIMALS = 7

_HALF_TURN = 180.0


def footprint_of(result: SeriesResult, index: int) -> Any | None:
    """Footprint of an image as a shapely polygon in longitude and latitude, counter-clockwise.

    A footprint across the 180th meridian is cut there into a multipolygon, as RFC 7946 requires.

    Returns:
        The footprint; None for an image that cannot be read or has no place on Earth.
    """
    grid = _grid_of(result.quick_looks[index])
    middle = None if grid is None else _longitudes_latitudes(grid, middle_of(grid)[None])
    edge = None if grid is None else _longitudes_latitudes(grid, outline(grid))
    if middle is None or edge is None:
        return None
    polygon = shapely.simplify(shapely.Polygon(wrapped(edge, WGS84, float(middle[0, 0]))), _TOLERANCE)
    polygon = shapely.set_precision(_cut_at_antimeridian(polygon), 10.0**-_DECIMALS)
    return shapely.orient_polygons(polygon) if polygon.is_valid and not polygon.is_empty else None


def bounds_of(footprint: Any) -> list[float]:
    """Bounding box west, south, east, north; west is larger than east across the 180th meridian (RFC 7946)."""
    west, south, east, north = footprint.bounds
    if footprint.geom_type == "MultiPolygon":
        parts = [part.bounds for part in footprint.geoms]
        west = min(part[0] for part in parts if part[0] > 0)
        east = max(part[2] for part in parts if part[0] < 0)
    return [round(float(value), _DECIMALS) for value in (west, south, east, north)]


def centre_line(result: SeriesResult, indexes: Sequence[int]) -> Any | None:
    """Line between the centres of two images in longitude and latitude; None if one has no place on Earth."""
    grids = [_grid_of(result.quick_looks[index]) for index in indexes]
    centres = [None if grid is None else _longitudes_latitudes(grid, middle_of(grid)[None]) for grid in grids]
    points = [centre[0] for centre in centres if centre is not None]
    if len(points) < len(indexes):
        return None
    line = wrapped(np.array(points), WGS84, float(points[0][0]))
    return shapely.LineString(np.round(line, _DECIMALS))


def _grid_of(look: QuickLook | str) -> Grid | None:
    return None if isinstance(look, str) or look.grid.crs is None else look.grid


def _longitudes_latitudes(grid: Grid, points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(N, 2) longitudes and latitudes of pixels; None if one is not on Earth."""
    assert grid.transform is not None
    degrees = reproject(apply_transform(grid.transform, points), grid.crs, WGS84)
    return degrees if np.isfinite(degrees).all() else None


def _cut_at_antimeridian(polygon: Any) -> Any:
    """A polygon within longitudes -180 to 180; its part beyond them is moved by a full turn."""
    parts = [
        shapely.transform(
            shapely.intersection(polygon, shapely.box(turn - _HALF_TURN, -90, turn + _HALF_TURN, 90)),
            lambda xy, turn=turn: xy - (turn, 0),
        )
        for turn in (-2 * _HALF_TURN, 0.0, 2 * _HALF_TURN)
    ]
    areas = [part for part in parts if part.area > 0]
    return areas[0] if len(areas) == 1 else shapely.MultiPolygon(areas)
