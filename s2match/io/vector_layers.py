"""Layers of GeoPackages, read and written with all attributes, without pandas."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.errors import OutputError, UnreadableImageError
from s2match.io.borders import reading
from s2match.io.missing_paths import no_image_message
from s2match.io.quiet import without_warnings
from s2match.io.vector_files import check_vector_content
from s2match.io.written_layers import check_geopackage
from s2match.util.atomic_write import atomic_write
from s2match.util.optional import import_optional
from s2match.util.output_place import NO_UTF8, write_failure

# GDAL's option for the date is one for the whole process.
_DATE_LOCK = threading.Lock()


@dataclass(frozen=True)
class Layer:
    """A layer of a GeoPackage.

    Attributes:
        name: Its name.
        crs: Its CRS as text; None without one.
        geometry_type: Such as ``"MultiPolygon Z"``; None for a table without geometries.
        wkb: (N,) geometries as WKB, None where a feature has none; None for a table.
        columns: Names of the attributes.
        values: (N,) values of each attribute.
        missing: (N,) bool for each attribute, True where the value is NULL; None where NULL has a value of its own.
    """

    name: str
    crs: str | None
    geometry_type: str | None
    wkb: NDArray[np.object_] | None
    columns: list[str]
    values: list[NDArray[Any]]
    missing: list[NDArray[np.bool_] | None]

    @property
    def rows(self) -> int:
        """Number of features."""
        return len(self.values[0] if self.wkb is None else self.wkb)


def layer_systems(path: Path) -> dict[str, str | None]:
    """The CRS of every layer with geometries of a GeoPackage, as text by the name of the layer.

    Raises:
        UnreadableImageError: The file is missing or cannot be read.
    """
    pyogrio = _pyogrio()
    with _reading(path):
        layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        return {name: pyogrio.read_info(path, layer=name)["crs"] for name in layers}


def read_layers(path: Path) -> list[Layer]:
    """All layers of a GeoPackage.

    Raises:
        UnreadableImageError: The file is missing or cannot be read.
    """
    pyogrio = _pyogrio()
    with _reading(path):
        return [_read_layer(path, str(name)) for name, _ in pyogrio.list_layers(path)]


def write_layers(path: Path, layers: list[Layer]) -> None:
    """Write a GeoPackage atomically.

    Args:
        path: The file.
        layers: Its layers.

    Raises:
        OutputError: The file cannot be written.
    """
    pyogrio = _pyogrio()
    rows = {layer.name: layer.rows for layer in layers}
    with atomic_write(path, partial(check_geopackage, rows=rows)) as file:
        # GDAL creates files, and does not fill empty ones
        file.unlink()
        # a map may have no reference system
        with writing_layers(path), fixed_date(), without_warnings(UserWarning, "'crs' was not provided"):
            for number, layer in enumerate(layers):
                pyogrio.raw.write(
                    file,
                    layer.wkb,
                    layer.values,
                    np.array(layer.columns, object),
                    field_mask=layer.missing,
                    layer=layer.name,
                    driver="GPKG",
                    geometry_type=layer.geometry_type,
                    crs=layer.crs,
                    append=number > 0,
                )


@contextmanager
def writing_layers(path: Path) -> Iterator[None]:
    """Turn errors of pyogrio within the block into the error of an output.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise OutputError(f"Cannot write {path}: {NO_UTF8}.") from error
    # the base class of pyogrio's errors
    except RuntimeError as error:
        raise write_failure(path, " ".join(str(error).split()).rstrip(".")) from error


@contextmanager
def fixed_date() -> Iterator[None]:
    """Make GDAL write a fixed date into files instead of the current time, so that equal runs write equal files."""
    pyogrio = _pyogrio()
    # a thread that ends first must not take the option from another one
    with _DATE_LOCK:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "1970-01-01T00:00:00.000Z"})
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _read_layer(path: Path, name: str) -> Layer:
    meta, _, wkb, read = _pyogrio().raw.read(path, layer=name)
    values: list[NDArray[Any]] = []
    missing: list[NDArray[np.bool_] | None] = []
    for kind, column in zip(meta["dtypes"], read, strict=True):
        # whole numbers with NULL are read as numbers with a fraction
        null = np.isnan(column) if np.dtype(kind).kind in "iub" and column.dtype.kind == "f" else None
        values.append(column if null is None else np.where(null, 0, column).astype(kind))
        missing.append(null)
    return Layer(name, meta["crs"], meta["geometry_type"], wkb, list(meta["fields"]), values, missing)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise UnreadableImageError(no_image_message(path))
    check_vector_content(path, UnreadableImageError)
    # what is wrong with a file raises an error, too
    with reading(path), without_warnings(RuntimeWarning):
        yield


def _pyogrio() -> Any:
    return import_optional("pyogrio", "GeoPackages", "requirements.txt")
