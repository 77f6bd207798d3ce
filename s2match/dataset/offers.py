"""What a source of images has: a file name and a function that reads the bytes for each image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Offer:
    """An image of a source.

    Attributes:
        name: Its file name, in the dataset folder, too.
        origin: Its path in the source, for messages.
        size: Its size in bytes; None if the source does not give it.
        read: Reads it in pieces; raises UnreadableImageError where that fails.
    """

    name: str
    origin: str
    size: int | None
    read: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Rejected:
    """A file that is not copied to the dataset folder.

    Attributes:
        origin: Its path in the source.
        reason: Why it is not copied, a sentence without its subject.
    """

    origin: str
    reason: str


@dataclass(frozen=True)
class Offers:
    """What a source has.

    Attributes:
        images: The images, sorted by name.
        rejected: Files with the name of an image that cannot be used, and zips.
    """

    images: tuple[Offer, ...]
    rejected: tuple[Rejected, ...] = ()


def name_problem(name: str) -> str | None:
    """Why a file of this name is not copied; None if it is."""
    # bytes that are not UTF-8 are surrogates, which cannot be printed either
    return None if name.isprintable() else "its name is not UTF-8, or has control characters: rename it."


def printable(path: str) -> str:
    """A path of a source with escapes for what cannot be printed."""
    if path.isprintable():
        return path
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in path)


def sorted_offers(images: list[Offer], rejected: list[Rejected], zips: list[str]) -> Offers:
    """The offers of a source, in an order that does not depend on the file system.

    Args:
        images: The images.
        rejected: Files that cannot be used.
        zips: Paths of zips in the source, which are not opened.
    """
    if zips:
        others = f" So are {len(zips) - 1} others." if len(zips) > 1 else ""
        reason = f"it is a zip inside the source, which is not opened: give it as a source of its own.{others}"
        rejected = [*rejected, Rejected(min(zips), reason)]
    return Offers(
        tuple(sorted(images, key=lambda offer: (offer.name, offer.origin))),
        tuple(sorted(rejected, key=lambda one: one.origin)),
    )
