"""Cloud masks of Sentinel-2 products before processing baseline 04.00, MSK_CLOUDS_B00.gml.

GDAL reads neither a mask without clouds nor the reference system, which is named at the bounding box alone.
"""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from s2match.core.image_path import ImagePath
from s2match.errors import MaskError, UnreadableImageError
from s2match.io.borders import reading
from s2match.io.file_tree import read_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

GML_SUFFIX = ".gml"

_EOP, _GML = "{http://www.opengis.net/eop/2.0}", "{http://www.opengis.net/gml/3.2}"

# Such as urn:ogc:def:crs:EPSG:8.7:32631 and urn:ogc:def:crs:EPSG::32631.
_EPSG = re.compile(r"EPSG:[\d.]*:(\d+)$")


def read_clouds(path: ImagePath) -> tuple[list[Any], str | None]:
    """The polygons of a cloud mask: opaque cloud and cirrus.

    Args:
        path: The mask, a local file or in a local zip.

    Returns:
        Shapely polygons in map coordinates, and the name of their CRS; None if there is no polygon.

    Raises:
        MaskError: The file cannot be read, or is no such mask.
    """
    try:
        root = read_xml(path)
    except UnreadableImageError as error:
        raise MaskError(f"The mask {path} is damaged. {error}") from error
    if root is None:
        raise MaskError(f"The mask {path} is remote: download it, and give that file.")
    if root.tag != f"{_EOP}Mask":
        raise MaskError(f"The mask {path} is not a cloud mask of Sentinel-2: write its polygons to a GeoPackage.")
    with reading(path, MaskError, "the mask ", text=True):
        polygons = [_polygon(element) for element in root.iter(f"{_GML}Polygon")]
    envelope = root.find(f".//{_GML}Envelope")
    match = None if envelope is None else _EPSG.search(envelope.get("srsName", ""))
    if polygons and match is None:
        raise MaskError(f"The mask {path} has no coordinate reference system, so its position is unknown.")
    return polygons, None if match is None else f"EPSG:{match[1]}"


def _polygon(element: "Element") -> Any:
    exterior = _ring(element.find(f"{_GML}exterior"))
    return shapely.Polygon(exterior, [_ring(hole) for hole in element.findall(f"{_GML}interior")])


def _ring(element: "Element | None") -> Any:
    """(N, 2) corners of a ring."""
    positions = None if element is None else element.find(f".//{_GML}posList")
    numbers = np.array((positions.text or "").split() if positions is not None else [], float)
    dimension = 2 if positions is None else int(positions.get("srsDimension", "2"))
    return numbers.reshape(-1, dimension)[:, :2]
