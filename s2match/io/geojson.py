"""GeoJSON without GDAL, whose driver asks servers that a file names, and takes other JSON for other formats."""

import json
from collections.abc import Iterator
from typing import Any

import shapely

from s2match.core.image_path import ImagePath
from s2match.errors import S2MatchError
from s2match.io.file_tree import read_bytes

# The CRS of a GeoJSON that names none, by RFC 7946.
DEFAULT_CRS = "OGC:CRS84"

_GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection")
_TYPES = (*_GEOMETRIES, "Feature", "FeatureCollection")


def read_geojson(path: ImagePath, failure: type[S2MatchError], what: str = "") -> dict[str, Any]:
    """The document of a GeoJSON, a local file or one in a local zip.

    Args:
        path: The file.
        failure: Class of the error.
        what: What the file is, for messages, with a blank at its end.

    Raises:
        S2MatchError: The file is no GeoJSON; of the class ``failure``.
    """
    content = read_bytes(path, failure, what)
    if content is None:
        raise failure(f"Cannot read {what}{path}: it is remote; download it, and give that file.")
    try:
        document = json.loads(content.decode("utf-8-sig"))
    # text of another encoding, no JSON, or brackets that are nested too deeply
    except (ValueError, RecursionError) as error:
        raise failure(f"{_sentence(what, path)} is not GeoJSON: it is not JSON.") from error
    if not isinstance(document, dict) or document.get("type") not in _TYPES:
        raise failure(f"{_sentence(what, path)} is not GeoJSON.")
    return document


def _sentence(what: str, path: ImagePath) -> str:
    """The beginning of a sentence about a file."""
    return f"{what[:1].upper()}{what[1:]}{path}"


def crs_name(document: dict[str, Any]) -> str:
    """The CRS of a GeoJSON: the member of GeoJSON 2008, which GDAL still writes, or longitude and latitude.

    Raises:
        ValueError: It has such a member without a name.
    """
    crs = document.get("crs")
    if crs is None:
        return DEFAULT_CRS
    try:
        return str(crs["properties"]["name"])
    except (KeyError, TypeError) as error:
        raise ValueError("its crs has no name") from error


def geometries_of(document: dict[str, Any]) -> list[Any]:
    """The Shapely geometries of a GeoJSON, as they are: they need not be valid.

    Raises:
        ValueError: An object is none of GeoJSON.
        shapely.errors.GEOSException: A geometry is damaged, such as by a ring that is not closed.
    """
    texts = [json.dumps(_bare(geometry)) for geometry in _geometries(document)]
    return list(shapely.from_geojson(texts))


def _geometries(node: Any) -> Iterator[dict[str, Any]]:
    """The objects of the geometries of a GeoJSON object."""
    if not isinstance(node, dict) or node.get("type") not in _TYPES:
        raise ValueError("one of its objects has no type of GeoJSON")
    if node["type"] in _GEOMETRIES:
        yield node
        return
    if node["type"] == "Feature":
        if node.get("geometry") is not None:
            yield from _geometries(node["geometry"])
        return
    features = node.get("features")
    if not isinstance(features, list):
        raise ValueError("it has no list of features")
    for feature in features:
        yield from _geometries(feature)


def _bare(geometry: dict[str, Any]) -> dict[str, Any]:
    """A geometry without members of other kinds."""
    kind = geometry["type"]
    inner = "geometries" if kind == "GeometryCollection" else "coordinates"
    if not isinstance(geometry.get(inner), list):
        raise ValueError(f"a {kind} has no {inner}")
    if kind != "GeometryCollection":
        return {"type": kind, inner: geometry[inner]}
    children = [child for part in geometry[inner] for child in _geometries(part)]
    return {"type": kind, inner: [_bare(child) for child in children]}
