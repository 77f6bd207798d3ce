"""Scale of reflectance in the metadata of Sentinel-2 products."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from s2match.core.image_path import ImagePath

# Of Level-1C and Level-2A: the file, the element of the offset that is added to a pixel value, and that of the divisor.
_METADATA = (
    ("MTD_MSIL1C.xml", "RADIO_ADD_OFFSET", "QUANTIFICATION_VALUE"),
    ("MTD_MSIL2A.xml", "BOA_ADD_OFFSET", "BOA_QUANTIFICATION_VALUE"),
)

# Largest number of folders from an image up to its product: GRANULE/…/IMG_DATA/R10m.
_FOLDERS = 5


@dataclass(frozen=True)
class ReflectanceScale:
    """Linear scale of reflectance: ``(number - offset) / quantification_value``.

    Attributes:
        offset: Pixel value of reflectance 0.
        quantification_value: Difference of the pixel values of reflectance 1 and 0.
    """

    offset: float
    quantification_value: float


def product_scale(image: ImagePath) -> ReflectanceScale | None:
    """Scale of reflectance in the metadata of the product that an image lies in; None without such metadata.

    Products from before processing baseline 04.00 do not contain an offset: it is 0.
    """
    if not isinstance(image, Path):
        return None
    for folder in list(image.resolve().parents)[:_FOLDERS]:
        for name, added, divisor in _METADATA:
            if (folder / name).is_file():
                return _read_scale(folder / name, added, divisor)
    return None


def _read_scale(path: Path, added: str, divisor: str) -> ReflectanceScale | None:
    try:
        root = ElementTree.parse(path).getroot()
        quantification_value = float(root.findtext(f".//{divisor}") or "")
        # all bands of a product have the same offset
        offset = 0.0 - float(root.findtext(f".//{added}") or 0)
    except (ElementTree.ParseError, OSError, ValueError):
        return None
    return ReflectanceScale(offset, quantification_value) if quantification_value > 0 else None
