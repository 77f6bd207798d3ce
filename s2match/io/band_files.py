"""Names of bands, and the files of bands by their names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from s2match.core.image_path import ImagePath

# Folders of a granule: of its images, at each resolution in Level-2A, and of its masks.
IMAGES, QUALITY = "IMG_DATA", "QI_DATA"
_RESOLUTIONS = ("R10m", "R20m", "R60m")

# Files of bands: T36UXA_20180820T083601_B04.jp2, L2A_T36UXA_20180820T083601_B04_10m.jp2,
# S2A_OPER_MSI_L1C_TL_EPA__20160605T113933_A000734_T31TCJ_B04.jp2, and B04.jp2 of the archive of AWS.
_BAND_FILE = re.compile(
    r"(?P<stem>.*?)(?:^|_)(?P<band>B0[1-9]|B1[0-2]|B8A|TCI|SCL|AOT|WVP)(?:_(?P<pixel_m>10|20|60)m)?\.jp2$",
    re.IGNORECASE,
)
# The classifications of the first products of Level-2A:
# S2A_USER_SCL_L2A_TL_MPS__20160624T154312_A005252_T31TCJ_20m.jp2.
_LONG_BAND_FILE = re.compile(
    r"(?P<stem>S2[A-D]_(?:OPER|USER)_)(?P<band>SCL|AOT|WVP)_L2A_TL_.*_(?P<pixel_m>10|20|60)m\.jp2$", re.IGNORECASE
)
# Masks have the names of bands, too, such as MSK_DETFOO_B04.jp2.
_NOT_A_BAND = re.compile(r"MSK_|S2[A-D]_(?:OPER|USER)_MSK_", re.IGNORECASE)

_PIXEL_M = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "TCI": 10, "B01": 60, "B09": 60, "B10": 60}
_OTHER_PIXEL_M = 20


@dataclass(frozen=True)
class BandFile:
    """The file of a band.

    Attributes:
        band: Such as ``B04``, ``TCI`` or ``SCL``.
        pixel_m: Side of a pixel in metres.
        name: Its name in the tree.
    """

    band: str
    pixel_m: int
    name: str


def parse_band_file(name: str) -> tuple[tuple[str, str], BandFile] | None:
    """The granule (folder and, where a folder has several, name) and the band of a file; None for another file."""
    path = PurePosixPath(name)
    match = None if _NOT_A_BAND.match(path.name) else _BAND_FILE.match(path.name) or _LONG_BAND_FILE.match(path.name)
    folders = path.parts[:-1]
    if match is None or {QUALITY, "AUX_DATA", "HTML"} & set(folders):
        return None
    band = match["band"].upper()
    pixel_m = int(match["pixel_m"] or _PIXEL_M.get(band, _OTHER_PIXEL_M))
    file = BandFile(band, pixel_m, name)
    if folders and folders[-1] in _RESOLUTIONS:
        folders = folders[:-1]
    if folders and folders[-1] == IMAGES:
        return ("/".join(folders[:-1]), ""), file
    return ("/".join(folders), match["stem"]), file


def band_name(text: str) -> str:
    """The name of a band as ESA writes it in names of files: ``B04`` for 4, ``b4`` and ``B04``, ``B8A`` for ``8a``."""
    name = text.strip().upper()
    match = re.fullmatch(r"B?0*(\d{1,2}A?)", name)
    return name if match is None else f"B{match[1]:0>2}"


def band_of(path: ImagePath) -> str | None:
    """The band of a file by its name; None if it is not named as a band of a product."""
    parsed = parse_band_file(path.name)
    return None if parsed is None else parsed[1].band


def in_order(bands: Iterable[str]) -> list[str]:
    """Names of bands by wavelength, and then the others."""
    return sorted(bands, key=band_order)


def band_order(band: str) -> tuple[bool, float, str]:
    """Key that sorts names of bands by wavelength, and puts the others behind."""
    if not band.startswith("B"):
        return True, 0.0, band
    return False, 8.5 if band == "B8A" else float(band[1:]), band
