"""Tie points to files and back: GeoPackage, GeoJSON, CSV, and the points of QGIS' georeferencer."""

import csv
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.georeference import to_pixels
from s2match.core.grid import Grid
from s2match.core.projection import apply_transform, crs_named, reproject, wrapped
from s2match.errors import OutputError, TiePointError
from s2match.io.missing_paths import url_of
from s2match.tiepoints.geodataframe import geodataframe_of, map_position
from s2match.tiepoints.points import TiePoints
from s2match.tiepoints.table import READ, columns_of, map_decimals, points_of
from s2match.util.atomic_write import atomic_write
from s2match.util.optional import import_optional

_LAYER = "tie_points"
_WGS84 = CRS.from_epsg(4326)

# How GeoPackage says that coordinates are those of no place on Earth.
_NOWHERE = 'LOCAL_CS["Undefined Cartesian SRS"]'

_DATING = threading.Lock()

# A millimetre on the ground.
_DEGREE_DECIMALS = 8

# Of a pixel, how much the last decimal of QGIS' coordinates is at most: a fit reads them.
_QGIS_STEP_PX = 1e-8

# What QGIS reads of a line of its points, in this order; it leaves what follows unread.
_QGIS = ("mapX", "mapY", "sourceX", "sourceY", "enable", "dX", "dY", "residual")
_NEEDED = _QGIS[:5]
_BESIDE = ("CONFIDENCE", "SIMILARITY", "SCATTER_PX", "CORRELATED", "OUTLIER")

Table = dict[str, NDArray[np.float64]]


def write_tie_points(points: TiePoints, path: str | Path) -> None:
    """Write tie points in the format that the suffix names.

    A point lies where its X_MAP and Y_MAP are: in GeoPackage in the CRS of the target, in GeoJSON in WGS 84, as RFC
    7946 wants it. Where the target has no georeference, it lies where the reference has it.

    Raises:
        OutputError: The suffix is none of a format for tie points, or the file cannot be written.
        MissingExtraError: The library that GeoPackage needs is not installed.
    """
    check_tie_point_format(path)
    path = Path(path)
    with atomic_write(path) as partial:
        _FORMATS[path.suffix.lower()].write(points, partial)


def read_tie_points(path: str | Path, reference: Grid, target: Grid) -> TiePoints:
    """Read tie points that were written by :func:`write_tie_points`, perhaps edited since; those enabled alone.

    Args:
        path: The file.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.

    Raises:
        TiePointError: The file cannot be read, lacks columns, holds too few points, or such as are not on the images.
        MissingExtraError: The library that GeoPackage needs is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise TiePointError(f"Cannot read tie points from {path}: its suffix must be one of {', '.join(_FORMATS)}.")
    if not path.is_file():
        raise TiePointError(f"There is no file {url_of(path) or path} to read tie points from.")
    try:
        table = _FORMATS[path.suffix.lower()].read(path, reference, target)
    except RecursionError as error:
        raise TiePointError(f"Cannot read tie points from {path}: its brackets are nested too deeply.") from error
    except (OSError, ValueError, csv.Error) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise TiePointError(f"Cannot read tie points from {path}: {said}.") from error
    return points_of(table, reference, target)


def check_tie_point_format(path: str | Path) -> None:
    """Refuse a file name whose suffix is no format that tie points can be written in.

    Raises:
        OutputError: It is none.
        MissingExtraError: The library that the format needs is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(f"Cannot write tie points to {path}: its suffix must be one of {', '.join(_FORMATS)}.")
    if path.suffix.lower() == ".gpkg":
        _library("geopandas"), _library("pyogrio")


def _write_csv(points: TiePoints, path: Path) -> None:
    columns = columns_of(points)
    _write_lines(path, [",".join(columns), *_lines(list(columns.values()))])


def _read_csv(path: Path, reference: Grid, target: Grid) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        return _table(next(reader, []), list(reader), READ)


def _write_geojson(points: TiePoints, path: Path) -> None:
    columns = columns_of(points)
    place = map_position(points)
    places: list[Any] = [None] * len(points)
    if place is not None and place[1] is not None:
        degrees = np.round(wrapped(reproject(place[0], place[1], _WGS84), _WGS84, 0.0), _DEGREE_DECIMALS)
        places = [{"type": "Point", "coordinates": xy} if np.isfinite(xy).all() else None for xy in degrees.tolist()]
    rows = zip(*(_cells(values) for values in columns.values()), strict=True)
    features = [
        json.dumps({"type": "Feature", "properties": dict(zip(columns, row, strict=True)), "geometry": at})
        for row, at in zip(rows, places, strict=True)
    ]
    _write_lines(path, ['{"type": "FeatureCollection", "features": [', ",\n".join(features), "]}"])


def _read_geojson(path: Path, reference: Grid, target: Grid) -> Table:
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise ValueError("it is no GeoJSON of features")
    found = [feature.get("properties") if isinstance(feature, dict) else None for feature in features]
    rows = [row for row in found if isinstance(row, dict)]
    if not rows or len(rows) < len(found):
        raise ValueError("its features have no properties")
    return _table(list(rows[0]), [[row.get(name) for name in rows[0]] for row in rows], READ)


def _write_gpkg(points: TiePoints, path: Path) -> None:
    table = geodataframe_of(points)
    if table.crs is None:
        table = table.set_crs(_NOWHERE)
    # GDAL makes files, and does not fill empty ones
    path.unlink()
    try:
        with _fixed_date():
            table.to_file(path, layer=_LAYER, driver="GPKG", geometry_type="Point")
    # all that pyogrio raises of itself
    except RuntimeError as error:
        raise OutputError(f"Cannot write tie points: {str(error).rstrip('.')}.") from error


@contextmanager
def _fixed_date() -> Iterator[None]:
    """Have GDAL write one date into files instead of the time of day, so that equal runs write equal files."""
    pyogrio = _library("pyogrio")
    # the option is the process's: whoever ends first must not take it from another thread
    with _DATING:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "1970-01-01T00:00:00.000Z"})
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _read_gpkg(path: Path, reference: Grid, target: Grid) -> Table:
    pyogrio = _library("pyogrio")
    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        if _LAYER not in layers and len(layers) != 1:
            raise ValueError(f"it has no layer {_LAYER}")
        table = pyogrio.read_dataframe(path, layer=_LAYER if _LAYER in layers else layers[0], read_geometry=False)
    # all that pyogrio raises of itself
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return {name: _numbers(name, table[name].to_list()) for name in table.columns if name in READ}


def _write_points(points: TiePoints, path: Path) -> None:
    """The file that lets QGIS georeference the target: by QGIS' qgsgcplist.cpp and qgsgeoreftransform.cpp.

    Source coordinates are those in which QGIS shows the target: its map coordinates where it has some, or else pixels,
    y upwards. Outliers are not enabled.
    """
    columns = columns_of(points)
    onto, source = (
        np.round(_shown_by_qgis(grid, xy), map_decimals(grid, _QGIS_STEP_PX))
        for grid, xy in ((points.reference, points.xy0_px), (points.target, points.xy1_px))
    )
    enabled = np.asarray(columns["OUTLIER"] != 1).astype(np.int64)
    residuals = [columns[name] for name in ("X_RESIDUAL_PX", "Y_RESIDUAL_PX", "RESIDUAL_PX")]
    values = [*onto.T, *source.T, enabled, *residuals, *(columns[name] for name in _BESIDE)]
    crs = [f"#CRS: {points.reference.crs.to_wkt()}"] if points.reference.crs is not None else []
    _write_lines(path, [*crs, ",".join((*_QGIS, *_BESIDE)), *_lines(values)])


def _read_points(path: Path, reference: Grid, target: Grid) -> Table:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    wkt = lines.pop(0).removeprefix("#CRS:").strip() if lines and lines[0].startswith("#CRS:") else None
    header, *rows = list(csv.reader(lines)) or [[]]
    if header[:2] != list(_QGIS[:2]):
        raise ValueError("its header is not that of QGIS' points")
    # older versions name some columns otherwise
    table = _table([*_QGIS[: len(header)], *header[len(_QGIS) :]], rows, (*_NEEDED, *_BESIDE))
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise ValueError(f"it lacks the columns {', '.join(missing)}")
    onto, source = np.stack([table["mapX"], table["mapY"]], 1), np.stack([table["sourceX"], table["sourceY"]], 1)
    if wkt is not None and reference.crs is not None:
        onto = reproject(onto, _crs_of(wkt), reference.crs)
        if not np.isfinite(onto).all():
            raise ValueError("its mapX and mapY are no coordinates of the reference system that its first line names")
    xy0_px, xy1_px = _from_qgis(reference, onto), _from_qgis(target, source)
    # outliers were not enabled for QGIS alone
    enabled = (table["enable"] == 1) | (table.get("OUTLIER", np.zeros_like(table["enable"])) == 1)
    beside = {name: table[name] for name in _BESIDE if name in table}
    return beside | {
        "X_IM_REF": xy0_px[:, 0],
        "Y_IM_REF": xy0_px[:, 1],
        "X_IM": xy1_px[:, 0],
        "Y_IM": xy1_px[:, 1],
        "ENABLED": enabled.astype(np.float64),
    }


@dataclass(frozen=True)
class _Format:
    """How tie points are written, and read given every pixel of the reference's and of the target's file."""

    write: Callable[[TiePoints, Path], None]
    read: Callable[[Path, Grid, Grid], Table]


_FORMATS: Mapping[str, _Format] = {
    ".gpkg": _Format(_write_gpkg, _read_gpkg),
    ".geojson": _Format(_write_geojson, _read_geojson),
    ".csv": _Format(_write_csv, _read_csv),
    ".points": _Format(_write_points, _read_points),
}


def _library(name: str) -> Any:
    return import_optional(name, "Tie points as GeoPackage", "requirements.txt")


def _lines(columns: Sequence[NDArray[Any]]) -> list[str]:
    """Rows of numbers with commas between them; empty where nothing is known."""
    rows = zip(*(_cells(values) for values in columns), strict=True)
    return [",".join("" if value is None else repr(value) for value in row) for row in rows]


def _cells(values: NDArray[Any]) -> list[float | int | None]:
    """The numbers of a column; None for what is not one."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _write_lines(path: Path, lines: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]], wanted: Sequence[str]) -> Table:
    """Columns of numbers, those wanted that are there; empty rows are left out, and what is empty in others is nan.

    Raises:
        ValueError: A row has another number of values than there are names, or holds something that is no number.
    """
    rows = [row for row in rows if len(row)]
    odd = next((k for k, row in enumerate(rows) if len(row) != len(names)), None)
    if odd is not None:
        raise ValueError(f"its row {odd + 1} has {len(rows[odd])} values instead of {len(names)}")
    return {name: _numbers(name, [row[k] for row in rows]) for k, name in enumerate(names) if name in wanted}


def _numbers(name: str, values: list[Any]) -> NDArray[np.float64]:
    try:
        return np.array([np.nan if value in (None, "") else float(value) for value in values])
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"its column {name} holds something that is no number") from None


def _crs_of(name: str) -> CRS:
    crs = crs_named(name)
    if crs is None:
        raise ValueError("its coordinate reference system is unknown")
    return crs


def _shown_by_qgis(grid: Grid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) pixels of a file as coordinates of the layer that QGIS makes of it."""
    if not grid.georeferenced:
        return xy * (1, -1)
    assert grid.transform is not None
    return apply_transform(grid.transform, xy)


def _from_qgis(grid: Grid, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of :func:`_shown_by_qgis`."""
    if not grid.georeferenced:
        return xy * (1, -1)
    return to_pixels(grid, xy)
