"""Tables of dates and of pairs as CSV or GeoParquet."""

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from s2match.errors import MissingExtraError, OutputError
from s2match.outputs.csv_table import Column, cell, csv_text
from s2match.outputs.series.columns import DATE_COLUMNS, PAIR_COLUMNS
from s2match.outputs.series.footprints import centre_line, footprint_of
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateRow, PairRow
from s2match.util.atomic_write import write_bytes, write_text
from s2match.util.optional import import_optional

_LOG = logging.getLogger(__name__)

# Types of pandas for nullable columns, by the type of the attribute.
_PANDAS_TYPES = {int: "Int64", float: "Float64", bool: "boolean", str: "string"}


@dataclass(frozen=True)
class _Table:
    """A table with a geometry for each row.

    Attributes:
        row_type: Class of the rows.
        columns: Columns by name; each is an attribute of ``row_type``.
        rows: The rows.
        geometries: Draws the geometry of each row, in longitude and latitude; None for a row without one.
    """

    row_type: type
    columns: Mapping[str, Column]
    rows: Sequence[DateRow | PairRow]
    geometries: Callable[[], list[Any]]


def write_dates(result: SeriesResult, path: str | Path) -> None:
    """Write a row for each image: :data:`s2match.outputs.series.columns.DATE_COLUMNS`.

    Args:
        result: The series.
        path: The file: ``.csv``, or ``.parquet`` for GeoParquet with the footprints in longitude and latitude.

    Raises:
        OutputError: The suffix is not a format of tables, or the file cannot be written.
        MissingExtraError: GeoParquet needs a library that is not installed.
    """
    footprints = lambda: [footprint_of(result, row.index) for row in result.dates]  # noqa: E731
    _write(_Table(DateRow, DATE_COLUMNS, result.dates, footprints), Path(path))


def write_pairs(result: SeriesResult, path: str | Path) -> None:
    """Write a row for each pair: :data:`s2match.outputs.series.columns.PAIR_COLUMNS`.

    Args:
        result: The series.
        path: The file: ``.csv``, or ``.parquet`` for GeoParquet with lines between the centres of the two images in
            longitude and latitude.

    Raises:
        OutputError: The suffix is not a format of tables, or the file cannot be written.
        MissingExtraError: GeoParquet needs a library that is not installed.
    """
    lines = lambda: [centre_line(result, (row.reference, row.target)) for row in result.pairs]  # noqa: E731
    _write(_Table(PairRow, PAIR_COLUMNS, result.pairs, lines), Path(path))


def check_table_format(path: str | Path) -> None:
    """Check that a table can be written in the format of a suffix, before the work on its content starts.

    Raises:
        OutputError: The suffix is not a format of tables.
        MissingExtraError: GeoParquet needs a library that is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise OutputError(f"Cannot write {path}: its suffix must be one of {', '.join(_WRITERS)}.")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError("Tables as GeoParquet need pyarrow: pip install pyarrow.")


def _write(table: _Table, path: Path) -> None:
    check_table_format(path)
    _WRITERS[path.suffix.lower()](table, path)
    _LOG.info("Wrote %s", path)


def _write_csv(table: _Table, path: Path) -> None:
    write_text(path, csv_text(table.columns, table.rows))


def _write_parquet(table: _Table, path: Path) -> None:
    geopandas = import_optional("geopandas", "Tables as GeoParquet", "requirements.txt")
    pandas = import_optional("pandas", "Tables as GeoParquet", "requirements.txt")
    types = get_type_hints(table.row_type)
    columns = {
        name: pandas.array([cell(getattr(row, name)) for row in table.rows], dtype=_pandas_type(types[name]))
        for name in table.columns
    }
    buffer = io.BytesIO()
    geopandas.GeoDataFrame(columns, geometry=table.geometries(), crs="EPSG:4326").to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def _pandas_type(hint: Any) -> str:
    """Nullable type of pandas of an attribute, such as "Int64" of ``int | None``."""
    plain = next(part for part in get_args(hint) if part is not type(None)) if isinstance(hint, UnionType) else hint
    return _PANDAS_TYPES[str if issubclass(plain, str) else plain]


_WRITERS: Mapping[str, Callable[[_Table, Path], None]] = {".csv": _write_csv, ".parquet": _write_parquet}
