"""The images in a folder of SAFE products, nested in any way."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from s2match.dataset.catalog import SAMPLE_FOLDER
from s2match.dataset.offers import Offer, Offers, Rejected, name_problem, printable, sorted_offers
from s2match.errors import PreparationError, UnreadableImageError
from s2match.io.file_tree import ZIP_SUFFIX
from s2match.io.scene_files import is_finest

_CHUNK_BYTES = 1 << 20


def folder_offers(source: Path, dataset: Path) -> Offers:
    """The true-colour images of a folder.

    Args:
        source: The folder, searched with its subfolders; links to folders are not followed.
        dataset: The dataset folder; its own images are left out if it lies in ``source``.

    Raises:
        PreparationError: A folder cannot be listed.
    """
    excluded = _dataset_folders(source.resolve(), dataset.resolve())
    images: list[Offer] = []
    rejected: list[Rejected] = []
    zips: list[str] = []
    for path in _files(source):
        if path.suffix.lower() == ZIP_SUFFIX:
            zips.append(printable(str(path)))
        elif is_finest(path.name) and path.parent.resolve() not in excluded:
            found = _offer(path)
            if isinstance(found, Offer):
                images.append(found)
            else:
                rejected.append(found)
    return sorted_offers(images, rejected, zips)


def _dataset_folders(source: Path, dataset: Path) -> tuple[Path, ...]:
    """The folders of the dataset itself, which a search of ``source`` leaves out."""
    sample = dataset / SAMPLE_FOLDER
    return (dataset,) if source == sample else (dataset, sample)


def _files(source: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder; hidden ones are left out."""

    def refuse(error: OSError) -> None:
        raise PreparationError(f"Cannot list the folder {error.filename}: {error.strerror}.") from error

    for place, folders, names in os.walk(source, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _offer(path: Path) -> Offer | Rejected:
    """The offer of a file with the name of an image, or why there is none."""
    origin, problem = printable(str(path)), name_problem(path.name)
    if problem is not None:
        return Rejected(origin, problem)
    if not path.is_file():
        return Rejected(origin, "it is no file, or a link to nothing.")
    try:
        return Offer(path.name, origin, path.stat().st_size, partial(_read, path))
    except OSError as error:
        return Rejected(origin, f"it cannot be read ({error.strerror}).")


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise UnreadableImageError(f"it cannot be read ({error.strerror}).") from error
