"""Vector files moved from the georeference of the target to that of the reference."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.georeference import comparable, to_pixels
from s2match.core.image_path import ImagePath
from s2match.core.point_maps import PointMap
from s2match.core.projection import apply_transform, crs_named, reproject, wrapped
from s2match.errors import CorrectionError, UnreadableImageError
from s2match.io.borders import reading
from s2match.io.geojson import crs_name, read_geojson
from s2match.io.missing_paths import no_image_message
from s2match.io.vector_layers import Layer, layer_systems, read_layers, write_layers
from s2match.registration.file_model import FileModel
from s2match.util.atomic_write import write_text

# Vector files that are moved, and the suffix of the moved file.
VECTORS = {".gpkg": ".gpkg", ".geojson": ".geojson", ".json": ".geojson"}

# Vector files of other formats, which are no images either.
_OTHERS = (".shp", ".fgb", ".kml", ".gml", ".parquet")

# Decimals of coordinates in a GeoJSON: a millimetre on the ground, if they are degrees.
_DECIMALS = 8


def is_vector(path: ImagePath) -> bool:
    """Whether a file is a vector file, by its suffix.

    Raises:
        UnreadableImageError: It is one of a format that is not moved.
    """
    suffix = path.suffix.lower()
    if suffix in _OTHERS:
        raise UnreadableImageError(
            f"{path} is a vector file of another format than GeoPackage and GeoJSON: convert it, such as by ogr2ogr."
        )
    return suffix in VECTORS


def check_vector(model: FileModel, path: ImagePath) -> None:
    """Refuse a vector file that cannot be moved, before it is read as a whole.

    Args:
        model: The model of the pair.
        path: A GeoPackage or GeoJSON.

    Raises:
        CorrectionError: An image has no georeference, or the CRS of a layer is unknown.
        UnreadableImageError: The file is missing or cannot be read.
    """
    if not comparable(model.reference, model.target):
        raise CorrectionError(f"{path.name} cannot be moved: coordinates are moved between two georeferenced images.")
    local = _local(path)
    if _is_geopackage(local):
        systems = layer_systems(local)
    else:
        document = read_geojson(local, UnreadableImageError)
        systems = {"": _geojson_crs(local, document)}
        _positions_of(local, document)
    for layer, crs in systems.items():
        _system(model, crs, f"{path.name} {layer}".rstrip())


def move_vector(model: FileModel, path: ImagePath, out: Path) -> None:
    """Write a vector file with its coordinates moved from the target's georeference to that of the reference.

    A point of the ground that the target shows is moved to where the reference shows it. Each layer keeps its CRS, its
    attributes and the heights of its points. Only vertices are moved: a long side is as straight as before.

    Args:
        model: The model of the pair.
        path: A GeoPackage or GeoJSON that :func:`check_vector` accepts.
        out: The file to write, of the same format.

    Raises:
        CorrectionError: A point cannot be moved.
        UnreadableImageError: The file cannot be read.
        OutputError: ``out`` cannot be written.
    """
    local = _local(path)
    if _is_geopackage(local):
        layers = [_moved_layer(model, layer, local) for layer in read_layers(local)]
        write_layers(out, layers)
        return
    document = read_geojson(local, UnreadableImageError)
    move = _mover(model, _system(model, _geojson_crs(local, document), path.name), path.name)
    positions, xy = _positions_of(local, document)
    moved = move(xy) if positions else xy
    for position, place in zip(positions, np.round(moved, _DECIMALS).tolist(), strict=True):
        position[:2] = place
    write_text(out, json.dumps(document, ensure_ascii=False) + "\n")


def _moved_layer(model: FileModel, layer: Layer, path: Path) -> Layer:
    if layer.wkb is None:
        return layer
    name = f"{path.name} {layer.name}"
    move = _mover(model, _system(model, layer.crs, name), name)
    with reading(path, text=True):
        geometries = shapely.from_wkb(layer.wkb)
    moved = np.array(geometries, object)
    for high in (False, True):
        chosen = (shapely.has_z(geometries) == high) & ~shapely.is_missing(geometries)
        moved[chosen] = shapely.transform(moved[chosen], move, include_z=high)
    return replace(layer, wkb=shapely.to_wkb(moved, flavor="iso"))


def _mover(model: FileModel, crs: CRS | None, name: str) -> PointMap:
    """The map of coordinates in a CRS, (N, 2) or (N, 3) with heights, from the target's place to the reference's."""
    reference, target = model.reference, model.target
    place = reference.transform
    assert place is not None, "both images are georeferenced"

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        xy = points[:, :2]
        pixels = to_pixels(target, reproject(xy, crs, target.crs))
        on_map = reproject(apply_transform(place, model.invert(pixels)), reference.crs, crs)
        if not np.isfinite(on_map).all():
            raise CorrectionError(f"{name} has points that cannot be moved: they are too far from the target.")
        return np.concatenate([wrapped(on_map, crs, xy[:, 0]), points[:, 2:]], axis=1)

    return move


def _system(model: FileModel, text: str | None, name: str) -> CRS | None:
    """The CRS of a layer.

    Raises:
        CorrectionError: It is unknown, or the images have none that it could be related to.
    """
    crs = None if text is None else crs_named(text)
    if (crs is None) != (model.target.crs is None):
        missing = "it has no known reference system" if crs is None else "the target has no reference system"
        raise CorrectionError(f"{name} cannot be moved: {missing}.")
    return crs


def _local(path: ImagePath) -> Path:
    if not isinstance(path, Path):
        raise UnreadableImageError(f"{path} is a remote vector file: download it first.")
    if not path.is_file():
        raise UnreadableImageError(no_image_message(path))
    return path


def _is_geopackage(path: Path) -> bool:
    return path.suffix.lower() == ".gpkg"


def _geojson_crs(path: Path, document: dict[str, Any]) -> str:
    with reading(path, text=True):
        return crs_name(document)


def _positions_of(path: Path, document: dict[str, Any]) -> tuple[list[list[Any]], NDArray[np.float64]]:
    """All positions of a GeoJSON document, lists to change in place, and (N, 2) coordinates (x, y) of them.

    Bounding boxes, which the move makes wrong, are removed from the document.

    Raises:
        UnreadableImageError: The file is no GeoJSON.
    """
    try:
        positions = list(_positions(document))
        return positions, np.array([position[:2] for position in positions], np.float64).reshape(-1, 2)
    # objects of other kinds than GeoJSON has at their place, and numbers without an end
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnreadableImageError(f"{path} is not GeoJSON: its geometries cannot be read.") from error


def _positions(node: dict[str, Any]) -> Iterator[list[Any]]:
    """All positions of a GeoJSON object, each a list of two numbers or more."""
    node.pop("bbox", None)
    for key in ("features", "geometries"):
        for child in node.get(key) or ():
            yield from _positions(child)
    if node.get("geometry"):
        yield from _positions(node["geometry"])
    if "coordinates" in node:
        yield from _leaves(node["coordinates"])


def _leaves(coordinates: list[Any]) -> Iterator[list[Any]]:
    if coordinates and not isinstance(coordinates[0], list):
        yield coordinates
        return
    for child in coordinates:
        yield from _leaves(child)
