"""What the metadata of a Sentinel-2 product say of the numbers in its images."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

# Of Level-1C and Level-2A: the file, its element for what is added to the number, and the one for what the sum is
# divided by.
_METADATA = (
    ("MTD_MSIL1C.xml", "RADIO_ADD_OFFSET", "QUANTIFICATION_VALUE"),
    ("MTD_MSIL2A.xml", "BOA_ADD_OFFSET", "BOA_QUANTIFICATION_VALUE"),
)

# Folders between an image and the metadata of its product, at most: GRANULE/…/IMG_DATA/R10m.
_FOLDERS = 5


@dataclass(frozen=True)
class Reflectance:
    """How numbers tell reflectance: ``(number - zero) / steps``.

    Attributes:
        zero: The number that means reflectance 0.
        steps: Numbers from reflectance 0 to 1.
    """

    zero: float
    steps: float


def product_reflectance(image: Path) -> Reflectance | None:
    """What the metadata of the product that holds an image say; None where there are none, or they do not say.

    Products from before processing baseline 04.00 name no offset: it is 0.
    """
    for folder in list(image.resolve().parents)[:_FOLDERS]:
        for name, added, divisor in _METADATA:
            if (folder / name).is_file():
                return _reflectance(folder / name, added, divisor)
    return None


def _reflectance(path: Path, added: str, divisor: str) -> Reflectance | None:
    try:
        root = ElementTree.parse(path).getroot()
        steps = float(root.findtext(f".//{divisor}") or "")
        # the bands of a product have one offset
        zero = 0.0 - float(root.findtext(f".//{added}") or 0)
    except (ElementTree.ParseError, OSError, ValueError):
        return None
    return Reflectance(zero, steps) if steps > 0 else None
