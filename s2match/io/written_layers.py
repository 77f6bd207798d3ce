"""Check that a GeoPackage is whole, after it was written."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from s2match.util.output_place import write_failure


def check_geopackage(path: Path, rows: Mapping[str, int]) -> None:
    """Refuse a GeoPackage that was not written as a whole.

    Its database is sound, it has the layers with their rows, and every layer with geometries has a spatial index of all
    of them. GDAL only logs that it could not write an index.

    Args:
        path: The file, which is closed.
        rows: Number of rows of each layer that was written.

    Raises:
        OutputError: It is not whole.
    """
    with _reading(path), closing(sqlite3.connect(path)) as database:
        if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise write_failure(path, "its database is damaged")
        written = {str(name) for (name,) in database.execute("SELECT table_name FROM gpkg_contents")}
        for layer, count in rows.items():
            if layer not in written or _count(database, layer) != count:
                raise write_failure(path, f"its layer {layer} is not complete")
        columns = database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall()
        for layer, column in columns:
            if not _is_indexed(database, layer, column):
                raise write_failure(path, f"its layer {layer} has no spatial index")


def _is_indexed(database: sqlite3.Connection, layer: str, column: str) -> bool:
    """Whether the spatial index of a layer has all of its geometries that are not empty."""
    index = f"rtree_{layer}_{column}"
    tables = "SELECT COUNT(*) FROM sqlite_master WHERE name IN (?, ?)"
    if database.execute(tables, (index, f"{index}_rowid")).fetchone() != (2,):
        return False
    # the fifth bit of the flags marks a geometry that is empty: OGC 12-128r15, 2.1.3
    header = f"hex(substr({_quoted(column)}, 4, 1))"
    empty = f"(instr('0123456789ABCDEF', substr({header}, 1, 1)) - 1) & 1"
    filled = f"SELECT COUNT(*) FROM {_quoted(layer)} WHERE {_quoted(column)} IS NOT NULL AND NOT {empty}"
    return bool(database.execute(filled).fetchone() == (_count(database, f"{index}_rowid"),))


def _count(database: sqlite3.Connection, table: str) -> int:
    return int(database.execute(f"SELECT COUNT(*) FROM {_quoted(table)}").fetchone()[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise write_failure(path, str(error)) from error
