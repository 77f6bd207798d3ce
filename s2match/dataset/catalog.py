"""The images of a folder: list them, name them, pick them by index."""

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from s2match.core.scene import Scene, scene_of
from s2match.errors import DatasetError, ImageIndexError, SameImageError
from s2match.io.missing_paths import why_no_dataset

SAMPLE_FOLDER = "sample"

# ESA names the 10 m image of Level-1C products "*_TCI.jp2" and those of Level-2A "*_TCI_10m.jp2" and so on.
_PATTERNS = ("*_TCI.jp2", "*_TCI_[126]0m.jp2")

# What a source is searched for: the 20 m and 60 m images are the 10 m one again, coarser.
FINEST_PATTERNS = ("*_TCI.jp2", "*_TCI_10m.jp2")


def is_finest(path: str) -> bool:
    """Whether a path, in a folder or an archive, names a true-colour image at the finest resolution there is."""
    name = PurePosixPath(path).name
    return any(_fits(name, pattern) for pattern in FINEST_PATTERNS)


def list_scenes(folder: str | Path) -> tuple[Scene, ...]:
    """List the true-colour images of a folder, sorted by file name.

    ``*_TCI.jp2`` are listed; only where there is none, ``*_TCI_10m.jp2``, ``*_TCI_20m.jp2`` and ``*_TCI_60m.jp2``, so
    that an index always counts files of one kind.

    Args:
        folder: The folder to look in; subfolders are not searched.

    Returns:
        The scenes, possibly none.

    Raises:
        DatasetError: The folder does not exist or is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(why_no_dataset(folder))
    for pattern in _PATTERNS:
        found = (path for path in folder.iterdir() if _fits(path.name, pattern) and path.is_file())
        paths = sorted(found, key=lambda path: path.name)
        if paths:
            return tuple(scene_of(path) for path in paths)
    return ()


def _fits(name: str, pattern: str) -> bool:
    """Whether a file name fits a pattern, in any case; hidden files, such as macOS's "._" companions, fit none."""
    return not name.startswith(".") and fnmatchcase(name.lower(), pattern.lower())


def open_dataset(folder: str | Path) -> tuple[Path, tuple[Scene, ...]]:
    """List a dataset folder, or the sample bundled below it when it holds no image of its own.

    Returns:
        The folder the scenes were found in (``folder`` or ``folder/sample``) and the scenes, at least one.

    Raises:
        DatasetError: The folder does not exist, or neither it nor a sample below it holds an image.
    """
    folder = Path(folder)
    scenes = list_scenes(folder)
    if scenes:
        return folder, scenes
    sample = folder / SAMPLE_FOLDER
    scenes = list_scenes(sample) if sample.is_dir() else ()
    if not scenes:
        raise DatasetError(why_no_dataset(folder))
    return sample, scenes


def pick_pair(scenes: tuple[Scene, ...], first: int, second: int) -> tuple[Scene, Scene]:
    """Pick two different scenes by their index, counted from 0.

    Raises:
        ImageIndexError: An index is negative or too large; the message says the range.
        SameImageError: Both indexes are equal.
    """
    if len(scenes) < 2:
        raise DatasetError("The dataset has one image only, and a pair needs two.")
    for index in (first, second):
        if not 0 <= index < len(scenes):
            raise ImageIndexError(
                f"Image index {index} is out of range: the dataset has {len(scenes)} images, 0 to {len(scenes) - 1}."
            )
    if first == second:
        raise SameImageError(f"Both indexes are {first}: choose two different images.")
    return scenes[first], scenes[second]
