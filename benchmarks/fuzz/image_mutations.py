"""Mutations of TIFF and JPEG 2000 at their tags, boxes and markers, besides those of their bytes."""

import struct
from collections.abc import Iterator
from random import Random

from benchmarks.fuzz.byte_mutations import mutate_bytes, put_integer

# Bytes of a value of each TIFF type, by its number.
_TIFF_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

# Longest chain of directories that is followed.
_MOST_DIRECTORIES = 20

# Doubles in georeferences and statistics.
_DOUBLES = (0.0, -0.0, 1e-300, 1e300, float("nan"), float("inf"), -1.0, 1e9)

# Boxes of JPEG 2000 that contain boxes.
_PARENTS = (b"jp2h", b"asoc", b"res ", b"uuid")

_GEOTIFF_BOX = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")


def mutate_tiff(rng: Random, data: bytes) -> bytes:
    """A TIFF with changed entries of its directories or changed values, or with changed bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        entries = list(_tiff_entries(bytes(content)))
        if not entries:
            return mutate_bytes(rng, bytes(content))
        _change_entry(rng, content, *rng.choice(entries))
    return bytes(content)


def mutate_jp2(rng: Random, data: bytes) -> bytes:
    """A JPEG 2000 file with a changed box, marker or embedded GeoTIFF, or with changed bytes."""
    change = rng.random()
    content = bytearray(data)
    boxes = list(_boxes(data, 0, len(data)))
    if change < 0.25 or not boxes:
        return mutate_bytes(rng, data)
    if change < 0.55:
        place, _, _ = rng.choice(boxes)
        put_integer(rng, content, place + rng.choice((0, 4)), 4, ">")
        return bytes(content)
    geotiffs = [
        (place + 24, end)
        for place, end, kind in boxes
        if kind == b"uuid" and data[place + 8 : place + 24] == _GEOTIFF_BOX
    ]
    if change < 0.75 and geotiffs:
        begin, end = geotiffs[0]
        # the size of the box stays
        inner = mutate_tiff(rng, data[begin:end])[: end - begin].ljust(end - begin, b"\0")
        return data[:begin] + inner + data[end:]
    leaves = [(place + 8, end) for place, end, kind in boxes if kind not in _PARENTS and end > place + 12]
    begin, end = rng.choice(leaves)
    # headers of the code stream lie at its begin
    place = rng.randrange(begin, min(end - 4, begin + 120)) if end - 4 > begin else begin
    put_integer(rng, content, place, rng.choice((1, 2, 4)), ">")
    return bytes(content)


def _tiff_entries(data: bytes) -> Iterator[tuple[int, str, bool]]:
    """Place, byte order and whether it is a BigTIFF, of each entry of the directories of a TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    place = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    for _ in range(_MOST_DIRECTORIES):
        head, step, link = (8, 20, 8) if big else (2, 12, 4)
        if not 0 < place <= len(data) - head:
            return
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
        end = place + head + min(count, 100) * step
        if end + link > len(data):
            return
        yield from ((place + head + number * step, order, big) for number in range(min(count, 100)))
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, end)


def _change_entry(rng: Random, content: bytearray, place: int, order: str, big: bool) -> None:
    """Change the tag, type, count or value of an entry, or numbers that it points to."""
    kind = struct.unpack_from(order + "H", content, place + 2)[0]
    count = struct.unpack_from(order + ("Q" if big else "I"), content, place + 4)[0]
    width = _TIFF_WIDTHS.get(kind, 1)
    inline, value = (8, place + 12) if big else (4, place + 8)
    if rng.random() < 0.5:
        field, size = rng.choice(
            ((0, 2), (2, 2), (4, inline), (value - place, min(width, inline)), (value - place, inline))
        )
        put_integer(rng, content, place + field, size, order)
        return
    begin = value
    if width * count > inline:
        (begin,) = struct.unpack_from(order + ("Q" if big else "I"), content, value)
    begin += width * rng.randrange(min(count, 10_000) or 1)
    if begin + width > len(content):
        put_integer(rng, content, value, inline, order)
    elif kind == 12:
        struct.pack_into(order + "d", content, begin, rng.choice(_DOUBLES))
    else:
        put_integer(rng, content, begin, width, order)


def _boxes(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Begin, end and type of each box of a JPEG 2000 file."""
    place = begin
    while place + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, place)
        stop = end if length == 0 else place + length
        if length == 1 or stop > end or stop < place + 8:
            return
        yield place, stop, kind
        if kind in _PARENTS and kind != b"uuid":
            yield from _boxes(data, place + 8, stop)
        place = stop
