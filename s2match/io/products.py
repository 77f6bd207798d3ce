"""Files of Sentinel-2 products: granules, bands at each resolution, Scene Classification and cloud masks.

Products of Level-1C and Level-2A, as a folder or a zip, in the names of ESA's product definition since 2016 and before:
https://sentiwiki.copernicus.eu/web/s2-products.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from s2match.core.image_path import ImagePath, VirtualFile
from s2match.core.scene import Scene, scene_of
from s2match.io.band_files import IMAGES, QUALITY, BandFile, band_order, parse_band_file
from s2match.io.file_tree import ZIP_SUFFIX, FileTree, folder_tree, zip_tree

TRUE_COLOUR = "TCI"
RED_GREEN_BLUE = ("B04", "B03", "B02")
SCENE_CLASSIFICATION = "SCL"

# Cloud masks since processing baseline 04.00, with the bands opaque cloud, cirrus and snow, and before.
_CLOUD_MASKS = (
    re.compile(r"(?:^|_)MSK_CLASSI_B00\.jp2$", re.IGNORECASE),
    re.compile(r"(?:^|_)MSK_CLOUDS_(?:.*_)?B00(?:_MSIL1C)?\.gml$", re.IGNORECASE),
)

_METADATA = re.compile(r"(?:MTD_MSIL(?:1C|2A)|S2[A-D]_(?:OPER|USER)_MTD_SAFL(?:1C|2A)_.*)\.xml$", re.IGNORECASE)
_GRANULE_METADATA = re.compile(r"(?:MTD_TL|S2[A-D]_(?:OPER|USER)_MTD_L(?:1C|2A)_TL_.*)\.xml$", re.IGNORECASE)

# Levels of folders from a product to its files: GRANULE/…/IMG_DATA/R10m. A folder without metadata may be a part of it.
_PRODUCT_DEPTH, _PART_DEPTH = 4, 2


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
        for file in sorted(self.files, key=lambda file: (band_order(file.band), file.pixel_m, file.name)):
            finest.setdefault(file.band, file)
        return finest

    @property
    def cloud_masks(self) -> tuple[ImagePath, ...]:
        """Masks of cloud beside the images, the best first: Scene Classification, then masks of Level-1C."""
        names = [self.bands[SCENE_CLASSIFICATION].name] if SCENE_CLASSIFICATION in self.bands else []
        inside = [name for name in self.tree.names if _is_in(name, self.folder) and QUALITY in name.split("/")]
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
        if _is_in(name, folder) and (parsed := parse_band_file(name)) is not None:
            granule, file = parsed
            files.setdefault(granule, []).append(file)
    return tuple(Granule(tree, granule, tuple(bands)) for (granule, _), bands in sorted(files.items()))


def product_of(path: ImagePath) -> tuple[FileTree, str] | None:
    """The files of the product that a file or folder belongs to, and its name in them.

    Returns:
        The tree and the name, empty for the tree itself; None without a product, and for a remote file.

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
    return None


def product_tree(path: ImagePath) -> tuple[FileTree, str] | None:
    """The files of a product as :func:`product_of`; without a product, those of a granule, or of a folder.

    Returns:
        The tree and the name; None for a remote file.

    Raises:
        UnreadableImageError: A zip cannot be read.
    """
    place = product_of(path)
    if place is not None or isinstance(path, VirtualFile):
        return place
    images = next((folder for folder in (path, *path.absolute().parents[:2]) if folder.name == IMAGES), None)
    if images is not None and images.is_dir():
        return folder_tree(images.absolute().parent, _PART_DEPTH), _relative(path.absolute(), images.absolute().parent)
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


def _is_in(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")


def _relative(path: Path, folder: Path) -> str:
    return "" if path == folder else path.relative_to(folder).as_posix()
