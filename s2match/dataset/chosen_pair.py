"""The pair of a dataset that was chosen to match: a list of pairs with one row, beside the images."""

import csv
import io
from pathlib import Path

from s2match.core.image_path import ImagePath
from s2match.core.scene import Scene
from s2match.io.csv_rows import PAIR_NEEDS, read_rows
from s2match.util.atomic_write import write_text

PAIR_FILE = "pair.csv"

_COLUMNS = ("reference", "target")


def choose_pair(folder: str | Path, reference: Scene, target: Scene) -> Path:
    """Write the pair that is to be matched, as a list that ``--pairs`` reads, too.

    Args:
        folder: The dataset folder; paths of images in it are relative to it in the list.
        reference: The reference.
        target: The target.

    Returns:
        The list, ``pair.csv`` in the folder.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(folder) / PAIR_FILE
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_COLUMNS, [_listed(scene.path, Path(folder)) for scene in (reference, target)]])
    write_text(path, text.getvalue())
    return path


def chosen_pair(folder: str | Path) -> tuple[Scene, Scene] | None:
    """The pair that was chosen in a dataset folder; None if none was.

    Raises:
        DatasetError: The list cannot be read, or an image of it does not exist.
    """
    path = Path(folder) / PAIR_FILE
    if not path.is_file():
        return None
    row = read_rows(path)[0]
    reference, target = (row.image(row.required(column, PAIR_NEEDS)) for column in _COLUMNS)
    return reference, target


def _listed(path: ImagePath, folder: Path) -> str:
    """A path or URL as text for a list in a folder."""
    if not isinstance(path, Path):
        return str(path)
    whole = path.resolve()
    return str(whole.relative_to(folder.resolve()) if whole.is_relative_to(folder.resolve()) else whole)
