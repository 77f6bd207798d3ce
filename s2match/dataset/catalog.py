"""The true-colour images of a folder, and pairs of them by index."""

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from s2match.core.scene import Scene, scene_of
from s2match.errors import DatasetError, ImageIndexError, SameImageError
from s2match.io.missing_paths import no_dataset_message

SAMPLE_FOLDER = "sample"

# ESA names the 10 m image of Level-1C products "*_TCI.jp2" and those of Level-2A "*_TCI_10m.jp2" and so on.
_PATTERNS = ("*_TCI.jp2", "*_TCI_[126]0m.jp2")

# Images that are searched for in a source; those at 20 m and 60 m are the 10 m image, resampled.
FINEST_PATTERNS = ("*_TCI.jp2", "*_TCI_10m.jp2")


def is_finest(path: str) -> bool:
    """Whether a path in a folder or an archive names a true-colour image at 10 m."""
    name = PurePosixPath(path).name
    return any(_matches(name, pattern) for pattern in FINEST_PATTERNS)


def list_scenes(folder: str | Path) -> tuple[Scene, ...]:
    """List the true-colour images of a folder, sorted by file name.

    Level-1C images (``*_TCI.jp2``) are listed. A folder without any lists its Level-2A images (``*_TCI_10m.jp2``,
    ``*_TCI_20m.jp2`` and ``*_TCI_60m.jp2``). So an index counts files of the same level.

    Args:
        folder: The folder; subfolders are not searched.

    Returns:
        The scenes; empty if there are none.

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
            return tuple(scene_of(path) for path in paths)
    return ()


def _matches(name: str, pattern: str) -> bool:
    """Whether a file name matches a pattern, in upper or lower case; hidden files (macOS's "._" files) never do."""
    return not name.startswith(".") and fnmatchcase(name.lower(), pattern.lower())


def open_dataset(folder: str | Path) -> tuple[Path, tuple[Scene, ...]]:
    """List the images of a dataset folder, or those of the sample below it if it contains none.

    Args:
        folder: The dataset folder.

    Returns:
        The folder of the images (``folder`` or ``folder/sample``), and at least one scene.

    Raises:
        DatasetError: The folder does not exist, or neither it nor its sample holds an image.
    """
    folder = Path(folder)
    scenes = list_scenes(folder)
    if scenes:
        return folder, scenes
    sample = folder / SAMPLE_FOLDER
    scenes = list_scenes(sample) if sample.is_dir() else ()
    if not scenes:
        raise DatasetError(no_dataset_message(folder))
    return sample, scenes


def pick_pair(scenes: tuple[Scene, ...], first: int, second: int) -> tuple[Scene, Scene]:
    """Pick two different scenes by their indexes.

    Args:
        scenes: The scenes of a dataset.
        first: Index of the reference, from 0.
        second: Index of the target, from 0.

    Returns:
        The reference and the target.

    Raises:
        DatasetError: The dataset has fewer than two images.
        ImageIndexError: An index is negative or too large; the message gives the range.
        SameImageError: Both indexes are equal.
    """
    if len(scenes) < 2:
        raise DatasetError("The dataset has only one image. A pair needs two.")
    for index in (first, second):
        if not 0 <= index < len(scenes):
            raise ImageIndexError(
                f"Image index {index} is out of range: the dataset has {len(scenes)} images, 0 to {len(scenes) - 1}."
            )
    if first == second:
        raise SameImageError(f"Both indexes are {first}: choose two different images.")
    return scenes[first], scenes[second]
