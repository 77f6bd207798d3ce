"""Scale of reflectance in the metadata of Sentinel-2 products."""

import math
from datetime import datetime
from typing import TYPE_CHECKING

from s2match.core.image_path import ImagePath
from s2match.core.radiometry import ReflectanceScale
from s2match.errors import UnreadableImageError
from s2match.io.band_files import band_name, band_of
from s2match.io.file_tree import FileTree, read_xml
from s2match.io.products import Granule, metadata_names, product_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Elements of Level-1C and of Level-2A: the divisor, and the offset of each band that is added to a pixel value.
_DIVISORS = ("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
_ADDED = ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")

# Aerosol and water vapour have divisors of their own, and no offset.
_OTHER_DIVISORS = {
    "AOT": ("AOT_QUANTIFICATION_VALUE", "L2A_AOT_QUANTIFICATION_VALUE"),
    "WVP": ("WVP_QUANTIFICATION_VALUE", "L2A_WVP_QUANTIFICATION_VALUE"),
}

# Bands in the order of their identifiers in the metadata.
_BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")


def product_scale(image: ImagePath) -> ReflectanceScale | None:
    """Scale of reflectance in the metadata of the product that an image lies in; None without such metadata.

    The offset is that of the band, or else that of all bands. Products from before processing baseline 04.00 do not
    contain an offset: it is 0.
    """
    try:
        place = product_of(image)
    except UnreadableImageError:
        return None
    if place is None:
        return None
    tree, name = place
    for metadata in metadata_names(tree, name):
        root = _read(tree, metadata)
        return None if root is None else _scale(root, band_of(image))
    return None


def sensing_time(granule: Granule) -> datetime | None:
    """Sensing time (UTC) in the metadata of a granule; None without it."""
    root = None if granule.metadata is None else _read(granule.tree, granule.metadata)
    text = None if root is None else root.findtext(".//SENSING_TIME")
    try:
        return None if text is None else datetime.fromisoformat(text.strip()).replace(microsecond=0, tzinfo=None)
    except ValueError:
        return None


def _read(tree: FileTree, name: str) -> "Element | None":
    try:
        return read_xml(tree.path(name))
    except UnreadableImageError:
        return None


def _scale(root: "Element", band: str | None) -> ReflectanceScale | None:
    other = _OTHER_DIVISORS.get(band or "")
    text = next((text for name in other or _DIVISORS if (text := root.findtext(f".//{name}"))), "")
    try:
        quantification_value = float(text)
        # subtracted from 0, as -0.0 is printed with its sign
        offset = 0.0 if other else 0.0 - _added(root, band)
    except ValueError:
        return None
    usable = 0 < quantification_value < math.inf and math.isfinite(offset)
    return ReflectanceScale(offset, quantification_value) if usable else None


def _added(root: "Element", band: str | None) -> float:
    """The offset that is added to the pixel values of a band; of a band without its own, that of the first one."""
    elements = [element for name in _ADDED for element in root.iterfind(f".//{name}")]
    offsets = {_named(root, element.get("band_id", "")): float(element.text or 0) for element in elements}
    if band in offsets:
        return offsets[band]
    return next(iter(offsets.values()), 0.0)


def _named(root: "Element", identifier: str) -> str | None:
    """The band of an identifier, by the metadata or else by the order of the bands."""
    for element in root.iterfind(".//Spectral_Information"):
        if element.get("bandId") == identifier and element.get("physicalBand"):
            return band_name(element.get("physicalBand", ""))
    number = int(identifier) if identifier.isdecimal() else -1
    return _BAND_IDS[number] if 0 <= number < len(_BAND_IDS) else None
