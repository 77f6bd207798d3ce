"""Tile size in the header of a JPEG 2000 codestream, which GDAL does not pass on."""

import struct
from typing import BinaryIO

# SOC and SIZ, the first two markers of a codestream (ISO/IEC 15444-1, annex A).
_START = b"\xff\x4f\xff\x51"
# The SIZ segment: length, capabilities, then width, height, left and top of the image and of its first tile.
_SIZES = struct.Struct(">HH8I")


def tile_size(stream: BinaryIO) -> tuple[int, int] | None:
    """(width, height) of the tiles of a codestream, which are encoded independently; None without a codestream.

    The blocks that GDAL reports are the whole image where tiles are small.

    Args:
        stream: The file, open for reading.
    """
    if not _find_codestream(stream):
        return None
    header = stream.read(_SIZES.size)
    if len(header) < _SIZES.size:
        return None
    _, _, _, _, _, _, width, height, _, _ = _SIZES.unpack(header)
    return width, height


def _find_codestream(stream: BinaryIO) -> bool:
    """Move to the SIZ segment of the codestream, after its marker; whether there is one."""
    position = 0
    while True:
        stream.seek(position)
        header = stream.read(16)
        if header.startswith(_START):
            stream.seek(position + len(_START))
            return True
        if len(header) < 16:
            return False
        length, kind = struct.unpack(">I4s", header[:8])
        begin = 16 if length == 1 else 8
        if kind == b"jp2c":
            position += begin
            continue
        if length == 1:
            (length,) = struct.unpack(">Q", header[8:])
        if length < begin:
            return False
        position += length
