"""Tie points as a GeoDataFrame of geopandas."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.projection import crs_text
from s2match.tiepoints.points import TiePoints
from s2match.tiepoints.table import FLAGS, columns_of
from s2match.util.optional import import_optional

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def geodataframe_of(points: TiePoints) -> "GeoDataFrame":
    """A table of tie points with a point geometry each; docs/tie_points.md explains the columns.

    Args:
        points: The tie points.

    Raises:
        MissingExtraError: geopandas is not installed.
    """
    geopandas = import_optional("geopandas", "Tables of tie points", "requirements.txt")
    pandas = import_optional("pandas", "Tables of tie points", "requirements.txt")
    xy, crs = map_position(points) or (points.xy1_px * (1, -1), None)
    # whole numbers, though some may be unknown
    columns = {
        name: pandas.array(values, dtype="Int64") if name in FLAGS else values
        for name, values in columns_of(points).items()
    }
    table: GeoDataFrame = geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(*xy.T), crs=crs_text(crs))
    return table


def map_position(points: TiePoints) -> tuple[NDArray[np.float64], CRS | None] | None:
    """(N, 2) map coordinates of the points and their CRS: the target's, or else the reference's, or else None."""
    for xy, grid in ((points.target_map, points.target), (points.reference_map, points.reference)):
        if xy is not None:
            return xy, grid.crs
    return None
