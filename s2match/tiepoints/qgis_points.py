"""The points of QGIS' georeferencer, a text file that georeferences the target.

By QGIS' qgsgcplist.cpp and qgsgeoreftransform.cpp.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.georeference import to_pixels
from s2match.core.grid import Grid
from s2match.core.projection import apply_transform, crs_named, reproject
from s2match.tiepoints.cells import Table, csv_lines, table_of, write_lines
from s2match.tiepoints.points import TiePoints
from s2match.tiepoints.table import columns_of, map_decimals

# Last decimal of the coordinates, in pixels at most: a fit reads them.
_STEP_PX = 1e-8

# Columns that QGIS reads, in its order; it ignores further ones.
_QGIS = ("mapX", "mapY", "sourceX", "sourceY", "enable", "dX", "dY", "residual")
_REQUIRED = _QGIS[:5]
_FURTHER = (
    *("CONFIDENCE", "SIMILARITY", "SCATTER_PX", "CORRELATED", "OUTLIER"),
    *("X_STD_PX", "Y_STD_PX", "XY_CORRELATION"),
)


def write_qgis_points(points: TiePoints, path: Path) -> None:
    """Write a file of ground control points of the target for QGIS; outliers are disabled.

    Source coordinates are those in which QGIS shows the target: its map coordinates where it is georeferenced, or else
    pixels, y upwards.
    """
    columns = columns_of(points)
    map_xy, source_xy = (
        np.round(_qgis_coordinates(grid, xy), map_decimals(grid, _STEP_PX))
        for grid, xy in ((points.reference, points.xy0_px), (points.target, points.xy1_px))
    )
    enabled = np.asarray(columns["OUTLIER"] != 1).astype(np.int64)
    residuals = [columns[name] for name in ("X_RESIDUAL_PX", "Y_RESIDUAL_PX", "RESIDUAL_PX")]
    values = [*map_xy.T, *source_xy.T, enabled, *residuals, *(columns[name] for name in _FURTHER)]
    crs = [f"#CRS: {points.reference.crs.to_wkt()}"] if points.reference.crs is not None else []
    write_lines(path, [*crs, ",".join((*_QGIS, *_FURTHER)), *csv_lines(values)])


def read_qgis_points(path: Path, reference: Grid, target: Grid) -> Table:
    """The columns of tie points of such a file, as written here or as saved by QGIS.

    Args:
        path: The file.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.

    Raises:
        ValueError: The file is not a QGIS points file, lacks columns, or its coordinates are not those of the
            reference.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    wkt = lines.pop(0).removeprefix("#CRS:").strip() if lines and lines[0].startswith("#CRS:") else None
    header, *rows = list(csv.reader(lines)) or [[]]
    if header[:2] != list(_QGIS[:2]):
        raise ValueError("its header is not that of QGIS' points")
    # older versions name some columns otherwise
    table = table_of([*_QGIS[: len(header)], *header[len(_QGIS) :]], rows, (*_REQUIRED, *_FURTHER))
    missing = [name for name in _REQUIRED if name not in table]
    if missing:
        raise ValueError(f"it lacks the columns {', '.join(missing)}")
    xy0_px = _pixels(reference, _in_reference_crs(np.stack([table["mapX"], table["mapY"]], 1), wkt, reference))
    xy1_px = _pixels(target, np.stack([table["sourceX"], table["sourceY"]], 1))
    # outliers were disabled for QGIS alone
    enabled = (table["enable"] == 1) | (table.get("OUTLIER", np.zeros_like(table["enable"])) == 1)
    further = {name: table[name] for name in _FURTHER if name in table}
    return further | {
        "X_IM_REF": xy0_px[:, 0],
        "Y_IM_REF": xy0_px[:, 1],
        "X_IM": xy1_px[:, 0],
        "Y_IM": xy1_px[:, 1],
        "ENABLED": enabled.astype(np.float64),
    }


def _in_reference_crs(map_xy: NDArray[np.float64], wkt: str | None, reference: Grid) -> NDArray[np.float64]:
    """(N, 2) map coordinates of a file in the CRS of the reference.

    Args:
        map_xy: (N, 2) map coordinates in the CRS of the file.
        wkt: The CRS that the file names; None for none.
        reference: Every pixel of the reference's file.

    Raises:
        ValueError: The CRS is unknown, or the coordinates are not valid in it.
    """
    if wkt is None or reference.crs is None:
        return map_xy
    crs: CRS | None = crs_named(wkt)
    if crs is None:
        raise ValueError("its coordinate reference system is unknown")
    map_xy = reproject(map_xy, crs, reference.crs)
    if not np.isfinite(map_xy).all():
        raise ValueError("its mapX and mapY are not coordinates of the reference system in its first line")
    return map_xy


def _qgis_coordinates(grid: Grid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) coordinates of the layer that QGIS makes of a file, from pixels (x, y) of the file."""
    if grid.transform is None:
        return xy * (1, -1)
    return apply_transform(grid.transform, xy)


def _pixels(grid: Grid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) pixels (x, y) of a file, from coordinates of its layer in QGIS."""
    return xy * (1, -1) if grid.transform is None else to_pixels(grid, xy)
