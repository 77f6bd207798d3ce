"""Copy the images of a source to the dataset folder: each is checked before it gets its final name."""

import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from s2match.dataset.offers import Offer, Offers, Rejected
from s2match.errors import PreparationError, UnreadableImageError
from s2match.io.jp2_integrity import image_damage, is_complete
from s2match.util.atomic_write import publish, staging_folder
from s2match.util.output_place import writing

_CHUNK_BYTES = 1 << 20

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The result of a preparation.

    Attributes:
        folder: The folder of the images: the dataset folder, or the sample below it.
        copied: File names of the images that were copied.
        skipped: File names of the images that were there already.
        rejected: Files of the source that were not copied.
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


def place_offers(offers: Offers, folder: Path, *, progress: bool = True) -> Prepared:
    """Copy the images that the dataset folder lacks.

    A file in the folder is replaced only if it is the begin of the image, which an interrupted copy has left.

    Args:
        offers: The images of a source.
        folder: The dataset folder; created if it is missing.
        progress: Show a progress bar.

    Returns:
        The images that were copied, skipped and rejected.

    Raises:
        PreparationError: Two different files share a name, a download failed, no image can be used, or the disk has
            too little space.
        OutputError: The folder cannot be written to.
    """
    _make_folder(folder)
    images = merge_duplicates(offers.images)
    present = {offer.name for offer in images if _is_present(offer, folder / offer.name)}
    missing = [offer for offer in images if offer.name not in present]
    _check_space(missing, folder)
    copied, rejected = [], list(offers.rejected)
    _LOG.info("%d images in the source, %d of them already in %s", len(images), len(present), folder)
    # one folder for all, because each looks for what dead processes have left
    with staging_folder(folder / "images") as staging:
        for offer in tqdm(missing, desc="Preparing", unit="image", disable=not progress or not missing):
            reason = _copy(offer, folder / offer.name, staging / offer.name)
            if reason is None:
                _LOG.info("Copied %s", offer.origin)
                copied.append(offer.name)
            else:
                _LOG.info("Rejected %s: %s", offer.origin, reason)
                rejected.append(Rejected(offer.origin, reason))
    if rejected and not copied and not present:
        first = rejected[0]
        raise PreparationError(
            f"None of the {len(rejected)} images can be used. The first is {first.origin}: {first.reason}"
        )
    return Prepared(folder, tuple(copied), tuple(sorted(present)), tuple(rejected))


def merge_duplicates(images: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Keep one of the images that a source lists more than once with the same name and content.

    Args:
        images: The images of a source.

    Returns:
        The images, each name once.

    Raises:
        PreparationError: Two files of the same name differ, or cannot be read to compare them.
    """
    by_name: dict[str, Offer] = {}
    for offer in images:
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


def _digest(offer: Offer) -> bytes:
    hasher = hashlib.sha256()
    for chunk in offer.read():
        hasher.update(chunk)
    return hasher.digest()


def _is_present(offer: Offer, target: Path) -> bool:
    """Whether the dataset folder has the complete image."""
    if not target.is_file() or not is_complete(target):
        return False
    size = target.stat().st_size
    if offer.size is not None and offer.size != size:
        raise PreparationError(
            f"Two different files share a name: {target} ({size} bytes) and {offer.origin} ({offer.size} bytes)."
        )
    return True


def _check_space(images: list[Offer], folder: Path) -> None:
    """Refuse images that do not fit on the disk.

    Raises:
        PreparationError: They do not fit.
    """
    needed, free = sum(offer.size or 0 for offer in images), shutil.disk_usage(folder).free
    if needed > free:
        raise PreparationError(
            f"The {len(images)} images need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in {folder}."
        )


def _copy(offer: Offer, target: Path, copy: Path) -> str | None:
    """Copy an image and check it; return why it was rejected, or None.

    Args:
        offer: The image.
        target: Its place.
        copy: Where it lies until it is checked.
    """
    if target.exists() and not target.is_file() and not target.is_dir():
        return f"{target} is no regular file."
    try:
        with writing(target):
            with copy.open("wb") as out:
                for chunk in offer.read():
                    out.write(chunk)
            _check_copy(offer, copy, target)
            publish([copy], [target])
    except UnreadableImageError as error:
        return str(error)
    finally:
        copy.unlink(missing_ok=True)
    return None


def _check_copy(offer: Offer, copy: Path, target: Path) -> None:
    """Check a copy before it gets its name.

    Raises:
        UnreadableImageError: It is damaged, or would replace another file.
    """
    size = copy.stat().st_size
    if offer.size is not None and size != offer.size:
        raise UnreadableImageError(f"{size} bytes arrived instead of {offer.size}.")
    damage = image_damage(copy)
    if damage is not None:
        raise UnreadableImageError(damage)
    if target.is_file() and not _begins_with(copy, target):
        raise UnreadableImageError(f"another file has its name, and is kept: move {target}, and run it again.")


def _begins_with(whole: Path, part: Path) -> bool:
    """Whether a file begins with all the bytes of another one."""
    with whole.open("rb") as one, part.open("rb") as other:
        while expected := other.read(_CHUNK_BYTES):
            if one.read(len(expected)) != expected:
                return False
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PreparationError(f"Cannot make the folder {folder}: {error.strerror}.") from error
