"""Tiles and strips of a TIFF, found without GDAL, which reads a tile that was never written as nodata.

By the specifications TIFF 6.0 and BigTIFF.
"""

import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from s2match.util.threads import pool_threads

# Tags of the places and of the lengths of strips and of tiles.
_OFFSETS, _LENGTHS = (273, 324), (279, 325)

# The tag of the compression, and the numbers of Deflate.
_COMPRESSION, _DEFLATE = 259, (8, 32946)

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


def segments_damage(path: Path, decode: bool = False) -> str | None:
    """Why the tiles or strips of a TIFF, of all its images and masks, are not whole; None if they are.

    Each lies within the file, none is empty, and no two overlap.

    Args:
        path: The file.
        decode: Whether those that are compressed by Deflate are compared with their checksums, which GDAL does not do.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            images = list(_images(file))
    except (struct.error, ValueError, KeyError, OSError):
        return "its directories are damaged"
    offsets = np.concatenate([image.offsets for image in images])
    lengths = np.concatenate([image.lengths for image in images])
    order = np.argsort(offsets)
    ends = (offsets + lengths)[order]
    if not len(offsets) or (lengths == 0).any() or (offsets == 0).any():
        return "tiles are missing"
    if ends[-1] > size or (ends[:-1] > offsets[order][1:]).any():
        return "tiles are cut off"
    if decode and not all(_is_sound(path, image) for image in images if image.deflated):
        return "tiles are damaged"
    return None


@dataclass(frozen=True)
class _Image:
    """Places and lengths of the segments of an image, an overview or a mask, bytes."""

    offsets: NDArray[np.uint64]
    lengths: NDArray[np.uint64]
    deflated: bool


def _is_sound(path: Path, image: _Image) -> bool:
    """Whether the segments of an image have their checksums."""

    def sound(segments: NDArray[np.uint64]) -> bool:
        with path.open("rb") as file:
            for offset, length in segments.tolist():
                file.seek(offset)
                try:
                    zlib.decompress(file.read(length))
                except zlib.error:
                    return False
        return True

    threads = pool_threads()
    with ThreadPoolExecutor(threads) as pool:
        return all(pool.map(sound, np.array_split(np.stack([image.offsets, image.lengths], axis=1), threads)))


def _images(file: BinaryIO) -> Iterator[_Image]:
    """The images of a TIFF, one for each directory."""
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
        offsets, lengths = (_values(file, kind, tags, names) for names in (_OFFSETS, _LENGTHS))
        yield _Image(offsets, lengths, bool(_values(file, kind, tags, (_COMPRESSION,))[0] in _DEFLATE))


def _format_of(head: bytes) -> _Format:
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    (version,) = struct.unpack(order + "H", head[2:4])
    return {42: _Format(order, "H", "L", 4), 43: _Format(order, "Q", "Q", 8)}[version]


def _values(
    file: BinaryIO, kind: _Format, tags: dict[int, list[int | bytes]], names: tuple[int, ...]
) -> NDArray[np.uint64]:
    """The values of the first of some tags that a directory has."""
    number, count, inline = tags[next((name for name in names if name in tags), names[0])]
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
