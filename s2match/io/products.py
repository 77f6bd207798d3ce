"""Files of Sentinel-2 products: granules, bands at each resolution, Scene Classification and cloud masks.

Products of Level-1C and Level-2A, as a folder or a zip, in the names of ESA's product definition since 2016 and before:
https://sentiwiki.copernicus.eu/web/s2-products.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from s2match.core.image_path import ImagePath, VirtualFile
from s2match.core.scene import Scene, scene_of
from s2match.io.file_tree import ZIP_SUFFIX, FileTree, folder_tree, zip_tree

TRUE_COLOUR = "TCI"
RED_GREEN_BLUE = ("B04", "B03", "B02")
SCENE_CLASSIFICATION = "SCL"

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

# Cloud masks since processing baseline 04.00, with the bands opaque cloud, cirrus and snow, and before.
_CLOUD_MASKS = (
    re.compile(r"(?:^|_)MSK_CLASSI_B00\.jp2$", re.IGNORECASE),
    re.compile(r"(?:^|_)MSK_CLOUDS_(?:.*_)?B00(?:_MSIL1C)?\.gml$", re.IGNORECASE),
)

_METADATA = re.compile(r"(?:MTD_MSIL(?:1C|2A)|S2[A-D]_(?:OPER|USER)_MTD_SAFL(?:1C|2A)_.*)\.xml$", re.IGNORECASE)
_GRANULE_METADATA = re.compile(r"(?:MTD_TL|S2[A-D]_(?:OPER|USER)_MTD_L(?:1C|2A)_TL_.*)\.xml$", re.IGNORECASE)

_PIXEL_M = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "TCI": 10, "B01": 60, "B09": 60, "B10": 60}
_OTHER_PIXEL_M = 20

_IMAGES, _QUALITY = "IMG_DATA", "QI_DATA"
_RESOLUTIONS = ("R10m", "R20m", "R60m")

# Levels of folders from a product to its files: GRANULE/…/IMG_DATA/R10m. A folder without metadata may be a part of it.
_PRODUCT_DEPTH, _PART_DEPTH = 4, 2


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


@dataclass(frozen=True)
class Granule:
    """The files of a tile in a product, or in a part of one.

    Attributes:
        tree: The files that the tile is in.
        folder: Folder of the granule in the tree; empty for the root.
        files: Its files of bands.
    """

    tree: FileTree
    folder: str
    files: tuple[BandFile, ...]

    @property
    def path(self) -> ImagePath:
        """The folder of the granule."""
        return self.tree.path(self.folder)

    @property
    def first_file(self) -> ImagePath:
        """One of its files."""
        return self.tree.path(self.files[0].name)

    @property
    def title(self) -> str:
        """Tile and date; the name of a file if no name gives them."""
        return scene_of(self.first_file).title

    @property
    def bands(self) -> dict[str, BandFile]:
        """The file of each band at its finest resolution, by the name of the band, in order."""
        finest: dict[str, BandFile] = {}
        for file in sorted(self.files, key=lambda file: (_order(file.band), file.pixel_m, file.name)):
            finest.setdefault(file.band, file)
        return finest

    @property
    def cloud_masks(self) -> tuple[ImagePath, ...]:
        """Masks of cloud beside the images, the best first: Scene Classification, then masks of Level-1C."""
        names = [self.bands[SCENE_CLASSIFICATION].name] if SCENE_CLASSIFICATION in self.bands else []
        inside = [name for name in self.tree.names if _is_in(name, self.folder) and _QUALITY in name.split("/")]
        for pattern in _CLOUD_MASKS:
            names += [name for name in inside if pattern.search(PurePosixPath(name).name)]
        return tuple(map(self.tree.path, names))

    @property
    def classifications(self) -> tuple[ImagePath, ...]:
        """The cloud masks that are rasters."""
        return tuple(path for path in self.cloud_masks if path.suffix.lower() == ".jp2")

    @property
    def metadata(self) -> str | None:
        """Name of the granule's metadata; None without it."""
        names = (name for name in self.tree.names if str(PurePosixPath(name).parent) == (self.folder or "."))
        return next((name for name in names if _GRANULE_METADATA.match(PurePosixPath(name).name)), None)


def granules_in(tree: FileTree, folder: str = "") -> tuple[Granule, ...]:
    """The granules of a tree, with the files of bands in a folder of it.

    Args:
        tree: The tree.
        folder: The folder; empty for all files.
    """
    files: dict[tuple[str, str], list[BandFile]] = {}
    for name in tree.names:
        if _is_in(name, folder) and (parsed := _band_file(name)) is not None:
            granule, file = parsed
            files.setdefault(granule, []).append(file)
    return tuple(Granule(tree, granule, tuple(bands)) for (granule, _), bands in sorted(files.items()))


def product_tree(path: ImagePath) -> tuple[FileTree, str] | None:
    """The files of the product that a file or folder belongs to, and its name in them.

    Without a product around it, the files of the folder that it lies in.

    Returns:
        The tree and the name, empty for the tree itself; None for a remote file.

    Raises:
        UnreadableImageError: A zip cannot be read.
    """
    if isinstance(path, VirtualFile):
        return None if path.in_zip is None else (zip_tree(path.in_zip[0]), path.in_zip[1])
    if path.suffix.lower() == ZIP_SUFFIX and path.is_file():
        return zip_tree(path), ""
    # a link leads to its product, if it does not lie in one itself
    for place in dict.fromkeys((path.absolute(), path.resolve())):
        for folder in [place, *list(place.parents)[: _PRODUCT_DEPTH + 1]]:
            if is_product(folder):
                return folder_tree(folder, _PRODUCT_DEPTH), _relative(place, folder)
    if path.is_dir():
        return folder_tree(path, _PART_DEPTH), ""
    return folder_tree(path.parent, 0), path.name


def granule_of(path: ImagePath) -> Granule | None:
    """The granule of a product that a file of a band lies in, or the files of bands beside it; None without them.

    Raises:
        UnreadableImageError: A zip cannot be read.
    """
    place = product_tree(path)
    if place is None:
        return None
    tree, name = place
    return next((granule for granule in granules_in(tree) if name in [file.name for file in granule.files]), None)


def product_path(scene: Scene) -> ImagePath:
    """What a user names to choose the bands of an image again: its file, or the granule of its files of bands."""
    granule = granule_of(scene.path) if scene.band_files else None
    return scene.path if granule is None else granule.path


def products_in(folder: Path) -> tuple[Path, ...]:
    """The products in a folder, sorted by name: folders of products, and zips."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return tuple(
        sorted(
            (
                entry
                for entry in entries
                if (entry.suffix.lower() == ZIP_SUFFIX and entry.is_file()) or (entry.is_dir() and is_product(entry))
            ),
            key=lambda entry: entry.name,
        )
    )


def is_product(folder: Path) -> bool:
    """Whether a folder is a product, by its suffix, its metadata or its granules."""
    if not folder.is_dir():
        return False
    if folder.suffix.upper() == ".SAFE" or (folder / "GRANULE").is_dir():
        return True
    return any((folder / name).is_file() for name in ("MTD_MSIL1C.xml", "MTD_MSIL2A.xml"))


def is_metadata(path: ImagePath) -> bool:
    """Whether a file is the metadata of a product or of a granule, by its name."""
    return bool(_METADATA.match(path.name) or _GRANULE_METADATA.match(path.name))


def metadata_names(tree: FileTree, name: str) -> list[str]:
    """Names of the metadata of the products that a file of a tree lies in, the nearest first."""
    folders = [str(folder) for folder in PurePosixPath(name).parents]
    metadata = [other for other in tree.names if _METADATA.match(PurePosixPath(other).name)]
    above = [other for other in metadata if str(PurePosixPath(other).parent) in folders]
    return sorted(above, key=len, reverse=True)


def band_name(text: str) -> str:
    """The name of a band as ESA writes it in names of files: ``B04`` for 4, ``b4`` and ``B04``, ``B8A`` for ``8a``."""
    name = text.strip().upper()
    match = re.fullmatch(r"B?0*(\d{1,2}A?)", name)
    return name if match is None else f"B{match[1]:0>2}"


def band_of(path: ImagePath) -> str | None:
    """The band of a file by its name; None if it is not named as a band of a product."""
    parsed = _band_file(path.name)
    return None if parsed is None else parsed[1].band


def in_order(bands: Iterable[str]) -> list[str]:
    """Names of bands by wavelength, and then the others."""
    return sorted(bands, key=_order)


def _order(band: str) -> tuple[bool, float, str]:
    if not band.startswith("B"):
        return True, 0.0, band
    return False, 8.5 if band == "B8A" else float(band[1:]), band


def _band_file(name: str) -> tuple[tuple[str, str], BandFile] | None:
    """The granule (folder and, where a folder has several, name) and the band of a file; None for another file."""
    path = PurePosixPath(name)
    match = None if _NOT_A_BAND.match(path.name) else _BAND_FILE.match(path.name) or _LONG_BAND_FILE.match(path.name)
    folders = path.parts[:-1]
    if match is None or {_QUALITY, "AUX_DATA", "HTML"} & set(folders):
        return None
    band = match["band"].upper()
    pixel_m = int(match["pixel_m"] or _PIXEL_M.get(band, _OTHER_PIXEL_M))
    file = BandFile(band, pixel_m, name)
    if folders and folders[-1] in _RESOLUTIONS:
        folders = folders[:-1]
    if folders and folders[-1] == _IMAGES:
        return ("/".join(folders[:-1]), ""), file
    return ("/".join(folders), match["stem"]), file


def _is_in(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")


def _relative(path: Path, folder: Path) -> str:
    return "" if path == folder else path.relative_to(folder).as_posix()
