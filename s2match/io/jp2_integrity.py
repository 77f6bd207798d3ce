"""Check that a JPEG 2000 file is complete and can be decoded."""

import struct
from pathlib import Path

from s2match.errors import UnreadableImageError
from s2match.io.open_file import opened

_CHECK_SIDE_PX = 64
_END_OF_CODESTREAM = b"\xff\xd9"


def image_damage(path: Path) -> str | None:
    """Damage of a JPEG 2000 file as a sentence; None if it is complete and can be decoded.

    Decoding is not a sufficient test: GDAL reads a truncated tiled image without an error.
    """
    if not is_complete(path):
        return "it is cut short or is no JPEG 2000 file."
    try:
        with opened(path) as file:
            shape = (min(file.height, _CHECK_SIDE_PX), min(file.width, _CHECK_SIDE_PX))
            file.read(1, out_shape=shape)
    except UnreadableImageError:
        return "it cannot be decoded."
    return None


def is_complete(path: Path) -> bool:
    """Whether the boxes of a JPEG 2000 file fill it exactly and its codestream has an end; nothing is decoded."""
    size = path.stat().st_size
    position, ended = 0, False
    with path.open("rb") as stream:
        while position < size:
            stream.seek(position)
            header = stream.read(16)
            if len(header) < 8:
                return False
            length, kind = struct.unpack(">I4s", header[:8])
            if (position == 0) != (kind == b"jP  "):
                return False
            if length == 1 and len(header) == 16:
                (length,) = struct.unpack(">Q", header[8:])
            elif length == 0:
                # ISO/IEC 15444-1, annex I: the last box may leave its length to the end of the file
                length = size - position
            if length < 8 or position + length > size:
                return False
            position += length
            if kind == b"jp2c":
                stream.seek(position - len(_END_OF_CODESTREAM))
                ended = stream.read(len(_END_OF_CODESTREAM)) == _END_OF_CODESTREAM
    return ended
