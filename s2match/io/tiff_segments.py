"""Tiles and strips of a TIFF, found without GDAL, which reads a tile that was never written as nodata.

By the specifications TIFF 6.0 and BigTIFF.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

# Tags of the places and of the lengths of strips and of tiles.
_OFFSETS, _LENGTHS = (273, 324), (279, 325)

# NumPy's types of the types that places and lengths have.
_TYPES = {3: "u2", 4: "u4", 16: "u8"}


@dataclass(frozen=True)
class _Format:
    """The numbers of a kind of TIFF.

    Attributes:
        order: Byte order for struct.
        count: Format of the number of entries of a directory.
        value: Format of a place in the file.
        first: Place of the first directory's place.
    """

    order: str
    count: str
    value: str
    first: int

    @property
    def entry(self) -> struct.Struct:
        """Tag, type, number of values, and the values or their place, as bytes."""
        return struct.Struct(f"{self.order}HH{self.value}{struct.calcsize(self.order + self.value)}s")


def segments_damage(path: Path) -> str | None:
    """Why the tiles or strips of a TIFF, of all its images and masks, cannot be whole; None if they can.

    Each lies within the file, none is empty, and no two overlap.

    Args:
        path: The file.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            images = list(_segments(file))
    except (struct.error, ValueError, KeyError, OSError):
        return "its directories are damaged"
    offsets, lengths = (np.concatenate(arrays) for arrays in zip(*images, strict=True))
    order = np.argsort(offsets)
    ends = (offsets + lengths)[order]
    if not len(offsets) or (lengths == 0).any() or (offsets == 0).any():
        return "tiles are missing"
    if ends[-1] > size or (ends[:-1] > offsets[order][1:]).any():
        return "tiles are cut off"
    return None


def _segments(file: BinaryIO) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Places and lengths of the segments of each directory of a TIFF."""
    kind = _format_of(file.read(4))
    place = _read(file, kind.first, kind.order + kind.value)
    seen: set[int] = set()
    while place:
        if place in seen:
            raise ValueError("a directory follows itself")
        seen.add(place)
        count = _read(file, place, kind.order + kind.count)
        entries = file.read(count * kind.entry.size)
        (place,) = struct.unpack(kind.order + kind.value, file.read(struct.calcsize(kind.order + kind.value)))
        tags = {tag: rest for tag, *rest in kind.entry.iter_unpack(entries)}
        yield _values(file, kind, tags, _OFFSETS), _values(file, kind, tags, _LENGTHS)


def _format_of(head: bytes) -> _Format:
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    (version,) = struct.unpack(order + "H", head[2:4])
    return {42: _Format(order, "H", "L", 4), 43: _Format(order, "Q", "Q", 8)}[version]


def _values(
    file: BinaryIO, kind: _Format, tags: dict[int, list[int | bytes]], names: tuple[int, int]
) -> NDArray[np.uint64]:
    """The values of one of two tags of a directory."""
    number, count, inline = next(tags[name] for name in names if name in tags)
    assert isinstance(number, int) and isinstance(count, int) and isinstance(inline, bytes)
    dtype = np.dtype(kind.order + _TYPES[number])
    content = inline
    if count * dtype.itemsize > len(inline):
        file.seek(struct.unpack(kind.order + kind.value, inline)[0])
        content = file.read(count * dtype.itemsize)
    return np.frombuffer(content, dtype, count).astype(np.uint64)


def _read(file: BinaryIO, place: int, form: str) -> int:
    file.seek(place)
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])
