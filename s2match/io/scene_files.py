"""The true-colour images of a folder, by ESA's file names."""

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from s2match.core.scene import Scene, scene_of
from s2match.errors import DatasetError
from s2match.io.missing_paths import no_dataset_message

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
