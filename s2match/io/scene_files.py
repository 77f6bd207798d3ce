"""The images of a folder: true-colour images by ESA's file names, or products."""

import logging
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from s2match.core.band_choice import check_bands
from s2match.core.scene import Scene
from s2match.errors import DatasetError, OptionError, UnreadableImageError
from s2match.io.missing_paths import no_dataset_message
from s2match.io.products import Granule, granules_in, is_product, product_tree, products_in
from s2match.io.sources import Bands, granule_scene, open_source

_LOG = logging.getLogger(__name__)

# ESA names the 10 m image of Level-1C products "*_TCI.jp2" and those of Level-2A "*_TCI_10m.jp2" and so on.
_PATTERNS = ("*_TCI.jp2", "*_TCI_[126]0m.jp2")

# Images that are searched for in a source; those at 20 m and 60 m are the 10 m image, resampled.
FINEST_PATTERNS = ("*_TCI.jp2", "*_TCI_10m.jp2")


def is_finest(path: str) -> bool:
    """Whether a path in a folder or an archive names a true-colour image at 10 m."""
    name = PurePosixPath(path).name
    return any(_matches(name, pattern) for pattern in FINEST_PATTERNS)


def list_scenes(folder: str | Path, bands: Bands = None) -> tuple[Scene, ...]:
    """List the images of a folder, sorted by file name.

    Level-1C images (``*_TCI.jp2``) are listed. A folder without any lists its Level-2A images (``*_TCI_10m.jp2``,
    ``*_TCI_20m.jp2`` and ``*_TCI_60m.jp2``). So an index counts files of the same level. A folder without any lists
    the images of its products (:func:`product_scenes`).

    Args:
        folder: The folder; subfolders are not searched, except those of products.
        bands: Bands of each image, see :func:`s2match.io.sources.open_source`.

    Returns:
        The scenes; empty if there are none.

    Raises:
        DatasetError: The folder does not exist or is not a folder.
        OptionError: A product does not have the bands.
    """
    return true_colour_scenes(folder, bands) or product_scenes(Path(folder), bands)


def true_colour_scenes(folder: str | Path, bands: Bands = None) -> tuple[Scene, ...]:
    """List the true-colour images of a folder, see :func:`list_scenes`.

    Raises:
        DatasetError: The folder does not exist or is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(no_dataset_message(folder))
    for pattern in _PATTERNS:
        images = (path for path in folder.iterdir() if _matches(path.name, pattern) and path.is_file())
        paths = sorted(images, key=lambda path: path.name)
        if paths:
            return tuple(open_source(path, bands) for path in paths)
    return ()


def product_scenes(folder: Path, bands: Bands = None) -> tuple[Scene, ...]:
    """List the images of the products in a folder, sorted by file name: of SAFE folders, zips, or the folder itself.

    Each granule is an image: its true-colour image, or the bands. What holds no image is left out, with a warning.

    Args:
        folder: The folder.
        bands: Bands of each image.

    Raises:
        OptionError: A product does not have the bands.
    """
    chosen = check_bands(bands)
    granules: list[Granule] = []
    for product in products_in(folder) or ((folder,) if is_product(folder) else ()):
        try:
            place = product_tree(product)
        except UnreadableImageError as error:
            _LOG.warning("%s", error)
            continue
        assert place is not None, "only remote files have no tree"
        granules += granules_in(*place)
    scenes = []
    for granule in granules:
        try:
            scenes.append(granule_scene(granule, chosen))
        except OptionError as error:
            # bands of the user's choice must be in all products
            if chosen:
                raise
            _LOG.warning("%s", error)
    return tuple(sorted(scenes, key=lambda scene: (scene.path.name, str(scene.path))))


def _matches(name: str, pattern: str) -> bool:
    """Whether a file name matches a pattern, in upper or lower case; hidden files (macOS's "._" files) never do."""
    return not name.startswith(".") and fnmatchcase(name.lower(), pattern.lower())
