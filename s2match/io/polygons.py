"""Geometries of vector files in a bounding box."""

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.bounds import Bounds
from s2match.core.image_path import ImagePath, gdal_name, local_file
from s2match.core.polygons import Polygons
from s2match.core.projection import crs_named, reproject, reproject_bounds, wrapped
from s2match.errors import MaskError
from s2match.io.borders import reading
from s2match.io.cloud_polygons import GML_SUFFIX, read_clouds
from s2match.io.geojson import crs_name, geometries_of, read_geojson
from s2match.io.quiet import without_warnings
from s2match.io.remote import retried
from s2match.io.remote_vectors import forget_vectors, vector_settings
from s2match.io.vector_files import check_vector_content

_GEOJSON = (".geojson", ".json")
SUFFIXES = (".gpkg", *_GEOJSON, ".shp", GML_SUFFIX)

# Drivers of GDAL by which a remote file may be read, whatever its content.
_DRIVERS = ("GPKG", "GeoJSON", "ESRI Shapefile", "GeoJSONSeq", "TopoJSON", "ESRIJSON", "JSONFG")

# Longest piece of a side before it is reprojected, and the margin around the box, relative to the longer side of the
# box. Straight sides bend: on a full tile the middle of such a piece is 0.1 m off.
_PIECE, _MARGIN = 1 / 64, 1 / 64

# Errors of pyogrio, and of Python for text of a wrong encoding, after which a remote file is read again.
_ERRORS = (RuntimeError, ValueError)


def read_polygons(path: ImagePath, bounds: Bounds, crs: CRS) -> Polygons:
    """Read the geometries of a vector file in a box with a spatial index, see :func:`read_geometries`."""
    return Polygons(bounds, crs, shapely.STRtree(read_geometries(path, bounds, crs)))


def read_geometries(path: ImagePath, bounds: Bounds, crs: CRS, what: str = "mask") -> list[Any]:
    """Read the geometries of all layers of a vector file in a box.

    Args:
        path: GeoPackage, GeoJSON or Shapefile.
        bounds: The box.
        crs: CRS of the box and of the geometries returned.
        what: What the file is, for messages.

    Returns:
        Valid Shapely geometries that intersect the box, clipped to a somewhat larger one.

    Raises:
        MaskError: The file cannot be read, or a layer has no CRS.
    """
    if path.suffix.lower() == GML_SUFFIX:
        geometries = _clouds(path, bounds, crs)
    elif path.suffix.lower() in _GEOJSON and local_file(path) is not None:
        geometries = _features(path, bounds, crs, what)
    else:
        geometries = _layers(path, bounds, crs, what)
    box = shapely.box(*bounds)
    return [geometry for geometry in geometries if shapely.intersects(geometry, box)]


def _layers(path: ImagePath, bounds: Bounds, crs: CRS, what: str) -> list[Any]:
    """The geometries of all layers of a file of GDAL near a box."""
    # pyogrio takes a third of a second to import, and most matches need no polygons
    import pyogrio

    def read() -> list[Any]:
        layers = [name for name, kind in pyogrio.list_layers(gdal_name(path)) if kind is not None]
        return [geometry for layer in layers for geometry in _read_layer(path, layer, bounds, crs, what)]

    check_vector_content(path, MaskError, f"the {what} ")
    # what is wrong with a file raises an error, too
    with reading(path, MaskError, f"the {what} "), without_warnings(RuntimeWarning), vector_settings(path):
        return retried(path, read, _ERRORS, forget_vectors)


def _features(path: ImagePath, bounds: Bounds, crs: CRS, what: str) -> list[Any]:
    """The geometries of a GeoJSON near a box."""
    document = read_geojson(path, MaskError, f"the {what} ")
    with reading(path, MaskError, f"the {what} ", text=True):
        valid = _valid(geometries_of(document))
        system = _layer_crs(path, crs_name(document), what)
        return clip_and_reproject(_touching(valid), system, bounds, crs)


def _clouds(path: ImagePath, bounds: Bounds, crs: CRS) -> list[Any]:
    """The polygons of a cloud mask of a product near a box."""
    polygons, name = read_clouds(path)
    if not polygons:
        return []
    with reading(path, MaskError, "the mask ", text=True):
        return clip_and_reproject(_touching(_valid(polygons)), _layer_crs(path, name, "mask"), bounds, crs)


def _valid(geometries: Any) -> NDArray[Any]:
    """(N,) valid geometries; ground that a ring covers twice is kept."""
    return np.asarray(shapely.make_valid(np.array(geometries, object), method="structure", keep_collapsed=True))


def _touching(geometries: NDArray[Any]) -> Callable[[Bounds], NDArray[Any]]:
    """Function that returns those of the geometries that intersect a box."""
    return lambda outer: np.asarray(geometries[shapely.intersects(geometries, shapely.box(*outer))])


def clip_and_reproject(
    geometries_in: Callable[[Bounds], NDArray[Any]], source: CRS, bounds: Bounds, crs: CRS
) -> list[Any]:
    """Geometries near a box, reprojected to the CRS of the box.

    Args:
        geometries_in: Returns geometries of the source that intersect a box of it.
        source: CRS of these geometries.
        bounds: The box.
        crs: CRS of the box and of the geometries returned.
    """

    def to_crs(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return wrapped(reproject(xy, source, crs), crs, (bounds[0] + bounds[2]) / 2)

    reprojected = []
    for box in reproject_bounds(bounds, crs, source):
        side = max(box[2] - box[0], box[3] - box[1])
        margin = _MARGIN * side
        outer = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
        clipped = shapely.segmentize(shapely.intersection(geometries_in(outer), shapely.box(*outer)), _PIECE * side)
        reprojected += list(shapely.transform(clipped, to_crs))
    return [geometry for geometry in reprojected if geometry is not None and not geometry.is_empty]


def _read_layer(path: ImagePath, layer: str, bounds: Bounds, crs: CRS, what: str) -> list[Any]:
    """The geometries of a layer near a box, reprojected to the CRS of the box."""
    import pyogrio

    info = pyogrio.read_info(gdal_name(path), layer=layer)
    if info["driver"] not in _DRIVERS:
        raise MaskError(f"Cannot read the {what} {path}: it is none of {', '.join(_DRIVERS[:3])}.")
    layer_crs = _layer_crs(path, info["crs"], what)

    def read(outer: Bounds) -> NDArray[Any]:
        _, _, stored, _ = pyogrio.raw.read(gdal_name(path), layer=layer, columns=[], bbox=outer)
        return _valid(shapely.from_wkb(stored))

    return clip_and_reproject(read, layer_crs, bounds, crs)


def _layer_crs(path: ImagePath, name: str | None, what: str) -> CRS:
    if name is None:
        raise MaskError(f"The {what} {path} has no coordinate reference system, so its position is unknown.")
    crs = crs_named(name)
    if crs is None:
        raise MaskError(f"The {what} {path} has a coordinate reference system that is unknown.")
    return crs
