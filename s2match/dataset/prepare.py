"""Fill the dataset folder from Kaggle, from a folder or zip of SAFE products, or with the bundled sample.

Every source is listed as offers: a file name and a function that opens the bytes. Images that are complete in the
dataset folder are skipped. The others are copied to a temporary file, checked and renamed.
"""

import hashlib
import logging
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from tqdm import tqdm

from s2match.dataset.catalog import SAMPLE_FOLDER, open_dataset
from s2match.dataset.kaggle import (
    KAGGLE_HANDLE,
    Kaggle,
    KaggleError,
    download_kaggle_set,
    list_kaggle_images,
    opened_kaggle_image,
)
from s2match.errors import DatasetError, PreparationError, UnreadableImageError
from s2match.io.jp2_integrity import image_damage, is_complete
from s2match.io.scene_files import FINEST_PATTERNS, is_finest, list_scenes
from s2match.util.atomic_write import atomic_write

KAGGLE_SOURCE = "kaggle"
_CHUNK_BYTES = 1 << 20

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """An image of a source.

    Attributes:
        name: Its file name, in the dataset folder, too.
        origin: Its path in the source, for messages.
        size: Its size in bytes; None if the source does not give it.
        open: Opens it for reading; raises UnreadableImageError where that fails.
    """

    name: str
    origin: str
    size: int | None
    open: Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Rejected:
    """An image that was not copied to the dataset folder.

    Attributes:
        origin: Its path in the source.
        reason: Why it was not copied.
    """

    origin: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """The result of a preparation.

    Attributes:
        folder: The folder of the images: the dataset folder, or the sample below it.
        copied: File names of the images that were copied.
        skipped: File names of the images that were there already.
        rejected: Images that are damaged in the source.
        note: A sentence on the source; empty where a source was given.
    """

    folder: Path
    copied: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    note: str = ""

    @property
    def summary(self) -> str:
        """The result as a few lines of text."""
        count = len(self.copied) + len(self.skipped)
        lines = [self.note] if self.note else []
        lines.append(
            f"{self.folder.as_posix()}: {count} images, {len(self.copied)} copied now and "
            f"{len(self.skipped)} there already."
        )
        lines += [f"Not copied: {image.origin}: {image.reason}" for image in self.rejected]
        return "\n".join(lines)


def prepare(
    source: str | Path | None,
    folder: Path,
    *,
    full_download: bool = False,
    progress: bool = True,
    kaggle: Kaggle | None = None,
) -> Prepared:
    """Copy the true-colour images of a source to the dataset folder.

    A second run copies only the images that are missing or incomplete.

    Args:
        source: ``"kaggle"``, or a folder or zip of SAFE products, nested in any way. None uses the images of
            ``folder``, or the synthetic sample if it has none.
        folder: The dataset folder; created if it is missing.
        full_download: Download the whole Kaggle dataset (more than 30 GB, kept in kagglehub's cache) where its images
            cannot be downloaded one by one.
        progress: Show a progress bar.
        kaggle: The calls to Kaggle; None for the real ones.

    Returns:
        The images that were copied, skipped and rejected.

    Raises:
        PreparationError: The source cannot be used, or contains different files of the same name.
        OutputError: The dataset folder cannot be written to.
    """
    if source is None:
        return use_present(folder)
    if str(source) == KAGGLE_SOURCE:
        return _prepare_kaggle(folder, kaggle or Kaggle(), full_download=full_download, progress=progress)
    return _prepare_files(Path(source).expanduser(), folder, progress=progress)


def use_present(folder: Path) -> Prepared:
    """Use the images of the dataset folder; where it has none, those of the sample, which is written where missing."""
    try:
        present = _present(folder)
    except DatasetError:
        # imported only where the sample is missing
        from s2match.synthetic import write_sample

        write_sample(folder / SAMPLE_FOLDER)
        present = _present(folder)
        present = replace(present, copied=present.skipped, skipped=())
    kind = "images already there" if present.folder == folder else "bundled synthetic images"
    return replace(present, note=f"No source is set, so nothing was downloaded: these are the {kind}.")


def find_offers(source: Path, folder: Path) -> tuple[Offer, ...]:
    """Find the true-colour images of a folder or a zip, sorted by name.

    Args:
        source: A folder, searched with its subfolders, or a zip.
        folder: The dataset folder; its own images are left out if it lies in ``source``.

    Returns:
        An offer for each image.

    Raises:
        PreparationError: ``source`` is missing, or is neither a folder nor a zip.
    """
    if source.is_dir():
        offers = _folder_offers(source, folder)
    elif source.is_file() and zipfile.is_zipfile(source):
        offers = _zip_offers(source)
    elif source.is_file():
        raise PreparationError(f"The source {source} is neither a folder nor a complete zip.")
    else:
        raise PreparationError(f"The source {source} does not exist.")
    return tuple(sorted(offers, key=lambda offer: (offer.name, offer.origin)))


def place_offers(offers: tuple[Offer, ...], folder: Path, *, progress: bool = True) -> Prepared:
    """Copy the images that the dataset folder lacks; each is checked before it is renamed to its final name.

    Args:
        offers: The images of a source.
        folder: The dataset folder; created if it is missing.
        progress: Show a progress bar.

    Returns:
        The images that were copied, skipped and rejected.

    Raises:
        PreparationError: Two different files share a name, a download failed, or every image is damaged.
        OutputError: The folder cannot be written to.
    """
    _make_folder(folder)
    offers = merge_duplicates(offers)
    present = {offer.name for offer in offers if _is_present(offer, folder / offer.name)}
    missing = [offer for offer in offers if offer.name not in present]
    copied, rejected = [], []
    _LOG.info("%d images in the source, %d of them already in %s", len(offers), len(present), folder)
    for offer in tqdm(missing, desc="Preparing", unit="image", disable=not progress or not missing):
        reason = _copy(offer, folder / offer.name)
        if reason is None:
            _LOG.info("Copied %s", offer.origin)
            copied.append(offer.name)
        else:
            _LOG.info("Rejected %s: %s", offer.origin, reason)
            rejected.append(Rejected(offer.origin, reason))
    if offers and len(rejected) == len(offers):
        first = rejected[0]
        raise PreparationError(
            f"None of the {len(offers)} images can be used. The first is {first.origin}: {first.reason}"
        )
    return Prepared(folder, tuple(copied), tuple(sorted(present)), tuple(rejected))


def merge_duplicates(offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Keep one of the images that a source lists more than once with the same name and content.

    Args:
        offers: The images of a source.

    Returns:
        The images, each name once.

    Raises:
        PreparationError: Two files of the same name differ, or cannot be read to compare them.
    """
    by_name: dict[str, Offer] = {}
    for offer in offers:
        first = by_name.setdefault(offer.name, offer)
        if first is offer:
            continue
        try:
            same = first.size == offer.size and _digest(first) == _digest(offer)
        except UnreadableImageError as error:
            raise PreparationError(f"Cannot compare {first.origin} and {offer.origin}: {error}") from error
        if not same:
            raise PreparationError(f"Two different files share a name: {first.origin} and {offer.origin}.")
    return tuple(by_name.values())


def _prepare_files(source: Path, folder: Path, *, progress: bool) -> Prepared:
    offers = find_offers(source, folder)
    if not offers and source.resolve() == folder.resolve() and list_scenes(folder):
        return _present(folder)
    if not offers:
        raise PreparationError(f"There is no {' or '.join(FINEST_PATTERNS)} image in {source}.")
    return place_offers(offers, folder, progress=progress)


def _prepare_kaggle(folder: Path, kaggle: Kaggle, *, full_download: bool, progress: bool) -> Prepared:
    try:
        return place_offers(_kaggle_offers(folder, kaggle), folder, progress=progress)
    except KaggleError:
        if not full_download:
            raise
    return _prepare_files(download_kaggle_set(kaggle), folder, progress=progress)


def _present(folder: Path) -> Prepared:
    opened, scenes = open_dataset(folder)
    return Prepared(opened, skipped=tuple(scene.path.name for scene in scenes))


def _kaggle_offers(folder: Path, kaggle: Kaggle) -> tuple[Offer, ...]:
    # no size: kagglehub checks the length against the headers of the download
    return tuple(
        Offer(
            PurePosixPath(name).name,
            f"{KAGGLE_HANDLE}/{name}",
            None,
            partial(opened_kaggle_image, name, folder, kaggle),
        )
        for name in list_kaggle_images(kaggle)
    )


def _folder_offers(source: Path, folder: Path) -> list[Offer]:
    excluded = _dataset_folders(source.resolve(), folder.resolve())
    return [
        Offer(path.name, str(path), path.stat().st_size, partial(_open_file, path))
        for path in source.rglob("*.jp2")
        if is_finest(path.name)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
        and path.resolve().parent not in excluded
    ]


def _dataset_folders(source: Path, folder: Path) -> tuple[Path, ...]:
    """The folders of the dataset itself, which a search of ``source`` leaves out."""
    sample = folder / SAMPLE_FOLDER
    return (folder,) if source == sample else (folder, sample)


def _zip_offers(archive: Path) -> list[Offer]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise PreparationError(f"Cannot read the zip {archive}: {error}.") from error
    return [
        Offer(
            PurePosixPath(member.filename).name,
            f"{archive}:{member.filename}",
            member.file_size,
            partial(_open_member, archive, member),
        )
        for member in members
        if not member.is_dir() and is_finest(member.filename)
    ]


@contextmanager
def _open_file(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UnreadableImageError(f"it cannot be opened ({error.strerror}).") from error
    with stream:
        yield stream


@contextmanager
def _open_member(archive: Path, member: zipfile.ZipInfo) -> Iterator[BinaryIO]:
    """Open a file of a zip; reading to the end checks its CRC."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as stream:
            yield cast(BinaryIO, stream)
    # RuntimeError: a password or an unknown compression
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UnreadableImageError(f"the zip is damaged or cannot be unpacked ({error}).") from error


def _digest(offer: Offer) -> bytes:
    hasher = hashlib.sha256()
    with offer.open() as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.digest()


def _is_present(offer: Offer, target: Path) -> bool:
    """Whether the dataset folder has the complete image; an incomplete file is replaced."""
    if not target.is_file() or not is_complete(target):
        return False
    size = target.stat().st_size
    if offer.size is not None and offer.size != size:
        raise PreparationError(
            f"Two different files share a name: {target} ({size} bytes) and {offer.origin} ({offer.size} bytes)."
        )
    return True


def _copy(offer: Offer, target: Path) -> str | None:
    """Copy an image and check it; return why it was rejected, or None."""
    try:
        with atomic_write(target) as copy:
            with offer.open() as stream, copy.open("wb") as out:
                shutil.copyfileobj(stream, out, _CHUNK_BYTES)
            size = copy.stat().st_size
            if offer.size is not None and size != offer.size:
                raise UnreadableImageError(f"{size} bytes arrived instead of {offer.size}.")
            damage = image_damage(copy)
            if damage is not None:
                raise UnreadableImageError(damage)
    except UnreadableImageError as error:
        return str(error)
    return None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PreparationError(f"Cannot make the folder {folder}: {error.strerror}.") from error
