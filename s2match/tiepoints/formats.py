"""Files of tie points, written and read: GeoPackage, GeoJSON, CSV, GeoParquet and QGIS' points.

GeoPackage and GeoParquet are those of geopandas. CSV and GeoJSON are written here, because the import of geopandas
takes half a second.
"""

import csv
import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.crs import CRS

from s2match.core.grid import Grid
from s2match.core.projection import reproject, wrapped
from s2match.errors import MissingExtraError, OutputError, TiePointError
from s2match.io.borders import reading
from s2match.io.vector_files import check_vector_content
from s2match.io.vector_layers import fixed_date, writing_layers
from s2match.io.written_layers import check_geopackage
from s2match.tiepoints.cells import Table, cells, csv_lines, numbers, table_of, write_lines
from s2match.tiepoints.geodataframe import geodataframe_of, map_position
from s2match.tiepoints.moved_points import drawn_in_frame, drawn_in_geojson, moved_count
from s2match.tiepoints.points import TiePoints
from s2match.tiepoints.qgis_points import read_qgis_points, write_qgis_points
from s2match.tiepoints.qgis_style import style_table
from s2match.tiepoints.table import READ, columns_of, points_of
from s2match.util.atomic_write import atomic_write, write_bytes
from s2match.util.optional import import_optional
from s2match.util.output_place import check_utf8

if TYPE_CHECKING:
    from pandas import DataFrame

_LOG = logging.getLogger(__name__)

_LAYER, _STYLES, _GEOMETRY = "tie_points", "layer_styles", "geom"
_GEOMETRY_OPTION = {"GEOMETRY_NAME": _GEOMETRY}
_WGS84 = CRS.from_epsg(4326)

# The CRS of a GeoPackage whose coordinates are those of no place on Earth.
_NOWHERE = 'LOCAL_CS["Undefined Cartesian SRS"]'

# Decimals of longitudes and latitudes: a millimetre on the ground.
_DEGREE_DECIMALS = 8


def write_tie_points(points: TiePoints, path: str | Path) -> None:
    """Write tie points in the format that the suffix names.

    A point lies at its X_MAP and Y_MAP: in GeoPackage and GeoParquet in the CRS of the target, in GeoJSON in WGS 84, as
    RFC 7946 requires. If the target has no georeference, it lies at X_MAP_REF and Y_MAP_REF.

    Args:
        points: The tie points.
        path: The file: ``.gpkg``, ``.geojson``, ``.csv``, ``.points`` or ``.parquet``.

    Raises:
        OutputError: The suffix is not a format of tie points, or the file cannot be written.
        MissingExtraError: The library that the format needs is not installed.
    """
    check_tie_point_format(path)
    path = Path(path)
    _FORMATS[path.suffix.lower()].write(points, path)


def read_tie_points(path: str | Path, reference: Grid, target: Grid) -> TiePoints:
    """Read the enabled tie points of a file that :func:`write_tie_points` wrote; the file may have been edited.

    Args:
        path: The file.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.

    Returns:
        The enabled points.

    Raises:
        TiePointError: The file cannot be read, lacks columns, has too few points, or points that are not on the images.
        MissingExtraError: The library that the format needs is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise TiePointError(f"Cannot read tie points from {path}: its suffix must be one of {', '.join(_FORMATS)}.")
    if not path.is_file():
        raise TiePointError(f"There is no file {path} to read tie points from.")
    with reading(path, TiePointError, "tie points from ", text=True):
        table = _FORMATS[path.suffix.lower()].read(path, reference, target)
    moved = moved_count(table, reference, target)
    if moved:
        _LOG.warning("%s: %d tie points were moved on the map, which has no effect: the columns count.", path, moved)
    return points_of(table, reference, target)


def check_tie_point_format(path: str | Path) -> None:
    """Refuse a file name whose suffix is not a format of tie points.

    Raises:
        OutputError: The suffix is not a format of tie points, or the name is one that the format cannot have.
        MissingExtraError: The library that the format needs is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(f"Cannot write tie points to {path}: its suffix must be one of {', '.join(_FORMATS)}.")
    if needs_file(path):
        check_utf8(path)
    _FORMATS[path.suffix.lower()].require_libraries()


def needs_file(path: Path) -> bool:
    """Whether the format of a suffix cannot be written to a pipe."""
    return path.suffix.lower() == ".gpkg"


def _write_csv(points: TiePoints, path: Path) -> None:
    columns = columns_of(points)
    write_lines(path, [",".join(columns), *csv_lines(columns.values())])


def _read_csv(path: Path, reference: Grid, target: Grid) -> Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        return table_of(next(reader, []), list(reader), READ)


def _write_geojson(points: TiePoints, path: Path) -> None:
    columns = columns_of(points)
    position = map_position(points)
    geometries: list[Any] = [None] * len(points)
    if position is not None and position[1] is not None:
        degrees = np.round(wrapped(reproject(position[0], position[1], _WGS84), _WGS84, 0.0), _DEGREE_DECIMALS)
        geometries = [
            {"type": "Point", "coordinates": xy} if np.isfinite(xy).all() else None for xy in degrees.tolist()
        ]
    rows = zip(*(cells(values) for values in columns.values()), strict=True)
    features = [
        json.dumps({"type": "Feature", "properties": dict(zip(columns, row, strict=True)), "geometry": geometry})
        for row, geometry in zip(rows, geometries, strict=True)
    ]
    write_lines(path, ['{"type": "FeatureCollection", "features": [', ",\n".join(features), "]}"])


def _read_geojson(path: Path, reference: Grid, target: Grid) -> Table:
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise ValueError("it is not a GeoJSON FeatureCollection")
    properties = [feature.get("properties") if isinstance(feature, dict) else None for feature in features]
    rows = [row for row in properties if isinstance(row, dict)]
    if not rows or len(rows) < len(properties):
        raise ValueError("its features have no properties")
    table = table_of(list(rows[0]), [[row.get(name) for name in rows[0]] for row in rows], READ)
    return table | drawn_in_geojson(document, reference, target)


def _write_gpkg(points: TiePoints, path: Path) -> None:
    frame = geodataframe_of(points)
    if frame.crs is None:
        frame = frame.set_crs(_NOWHERE)
    with atomic_write(path, partial(check_geopackage, rows={_LAYER: len(points), _STYLES: 1})) as file:
        # GDAL creates files, and does not fill empty ones
        file.unlink()
        with fixed_date(), writing_layers(path):
            frame.to_file(file, layer=_LAYER, driver="GPKG", geometry_type="Point", layer_options=_GEOMETRY_OPTION)
            # QGIS reads the default style of a layer from this table
            _import("pyogrio").write_dataframe(
                style_table(points, _LAYER, _GEOMETRY), file, layer=_STYLES, driver="GPKG", append=True
            )


def _read_gpkg(path: Path, reference: Grid, target: Grid) -> Table:
    pyogrio = _import("pyogrio")
    check_vector_content(path, TiePointError, "tie points from ")
    layers = [str(name) for name, _ in pyogrio.list_layers(path)]
    if _LAYER not in layers and len(layers) != 1:
        raise ValueError(f"it has no layer {_LAYER}")
    # a geometry has no effect, so that one that is damaged is no error
    frame = pyogrio.read_dataframe(path, layer=_LAYER if _LAYER in layers else layers[0], on_invalid="ignore")
    return _table_of_frame(frame) | drawn_in_frame(frame, reference, target)


def _write_parquet(points: TiePoints, path: Path) -> None:
    buffer = io.BytesIO()
    geodataframe_of(points).to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def _read_parquet(path: Path, reference: Grid, target: Grid) -> Table:
    _require_pyarrow()
    return _table_of_frame(_import("pandas").read_parquet(path))


def _table_of_frame(frame: "DataFrame") -> Table:
    """The columns of a data frame that are read."""
    frame = frame[[name for name in frame.columns if name in READ]]
    values = frame.astype(object).where(frame.notna(), None)
    return {name: numbers(name, values[name]) for name in frame.columns}


@dataclass(frozen=True)
class _Format:
    """A format of tie points.

    Attributes:
        write: Writes tie points to a file, atomically.
        read: Reads the columns of a file, given every pixel of the reference's and of the target's file.
        require_libraries: Raises :class:`MissingExtraError` where a library that writes the format is not installed.
    """

    write: Callable[[TiePoints, Path], None]
    read: Callable[[Path, Grid, Grid], Table]
    require_libraries: Callable[[], None] = lambda: None


def _require_geopackage() -> None:
    _import("geopandas")
    _import("pyogrio")


def _require_geoparquet() -> None:
    _import("geopandas")
    _require_pyarrow()


_FORMATS: Mapping[str, _Format] = {
    ".gpkg": _Format(_write_gpkg, _read_gpkg, _require_geopackage),
    ".geojson": _Format(_write_geojson, _read_geojson),
    ".csv": _Format(_write_csv, _read_csv),
    ".points": _Format(write_qgis_points, read_qgis_points),
    ".parquet": _Format(_write_parquet, _read_parquet, _require_geoparquet),
}


def _import(name: str) -> Any:
    return import_optional(name, "Tie points in this format", "requirements.txt")


def _require_pyarrow() -> None:
    """Refuse GeoParquet without its library.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtraError("Tie points as GeoParquet need pyarrow: pip install pyarrow.")
