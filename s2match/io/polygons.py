"""Geometries of vector files on a part of the ground."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2match.core.bounds import Bounds
from s2match.core.polygons import Polygons
from s2match.core.projection import crs_named, reproject, reproject_bounds, wrapped
from s2match.errors import MaskError
from s2match.io.quiet import without_warnings
from s2match.util.optional import import_optional

SUFFIXES = (".gpkg", ".geojson", ".json", ".shp")

# Straight sides bend in another CRS: they are cut into pieces of this share of the ground that is asked for, whose
# middles are 0.1 m off on a whole tile; and a margin of this share keeps what bends into it.
_PIECE, _MARGIN = 1 / 64, 1 / 64


def read_drawing(path: Path, bounds: Bounds, crs: CRS) -> Polygons:
    """Read what a vector file draws on a box of ground, see :func:`read_geometries`."""
    return Polygons(bounds, crs, _library("shapely").STRtree(read_geometries(path, bounds, crs)))


def read_geometries(path: Path, bounds: Bounds, crs: CRS) -> list[Any]:
    """Read what a vector file draws on a box of ground, in all of its layers.

    Args:
        path: GeoPackage, GeoJSON or Shapefile.
        bounds: The box.
        crs: Of the box, and of the answer.

    Returns:
        Shapely geometries that touch the box, valid, cut off not far outside of it.

    Raises:
        MaskError: The file cannot be read, or a layer has no CRS.
        MissingExtraError: The extra is not installed.
    """
    pyogrio, shapely = _library("pyogrio"), _library("shapely")
    try:
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        found = [geometry for layer in layers for geometry in _read_layer(path, layer, bounds, crs)]
    # all that pyogrio raises of itself, and what text of a wrong encoding makes Python raise
    except (RuntimeError, ValueError, shapely.errors.ShapelyError) as error:
        raise MaskError(f"Cannot read the mask {path}: {' '.join(str(error).split()).rstrip('.')}.") from error
    return [geometry for geometry in found if shapely.intersects(geometry, shapely.box(*bounds))]


def _library(name: str) -> Any:
    return import_optional(name, "Masks of polygons", "requirements.txt")


def _read_layer(path: Path, layer: str, bounds: Bounds, crs: CRS) -> list[Any]:
    """The geometries of a layer, carried into the CRS of the box."""
    pyogrio, shapely = _library("pyogrio"), _library("shapely")
    own = _crs_of(path, pyogrio.read_info(path, layer=layer)["crs"])
    carried = []
    for box in reproject_bounds(bounds, crs, own):
        side = max(box[2] - box[0], box[3] - box[1])
        around = (box[0] - _MARGIN * side, box[1] - _MARGIN * side, box[2] + _MARGIN * side, box[3] + _MARGIN * side)
        # such a ring is an error two lines further down
        with without_warnings(RuntimeWarning, "Non closed ring"):
            _, _, stored, _ = pyogrio.raw.read(path, layer=layer, columns=[], bbox=around)
        # rings that run over ground twice must not cancel out
        geometries = shapely.make_valid(shapely.from_wkb(stored), method="structure", keep_collapsed=True)
        cut = shapely.segmentize(shapely.intersection(geometries, shapely.box(*around)), _PIECE * side)
        carried += list(shapely.transform(cut, lambda xy: _carried(xy, own, crs, bounds)))
    return [geometry for geometry in carried if geometry is not None and not geometry.is_empty]


def _carried(xy: NDArray[np.float64], source: CRS, crs: CRS, bounds: Bounds) -> NDArray[np.float64]:
    """(N, 2) places in the CRS of a box, with longitudes of the turn that the box is of."""
    return wrapped(reproject(xy, source, crs), crs, (bounds[0] + bounds[2]) / 2)


def _crs_of(path: Path, name: str | None) -> CRS:
    if name is None:
        raise MaskError(f"The mask {path} has no coordinate reference system: nobody knows where it lies.")
    crs = crs_named(name)
    if crs is None:
        raise MaskError(f"The mask {path} has a coordinate reference system that is unknown.")
    return crs
