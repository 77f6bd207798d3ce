"""Limits of what is decoded of an image file: its header may claim any size, in a few bytes.

What needs more memory than there is, is refused before it is read. So is much more than formats can hold in the bytes
of the file: only a file without content is as small, and to decode it takes minutes.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2match.core.image_path import VirtualFile, local_file
from s2match.util.containers import available_memory

# Bytes of pixels that any file may decode to, more than those of a full tile of three bands, and the largest ratio of
# others to the bytes of the file. Real images have a ratio of 1 to 50; DEFLATE cannot exceed 1032.
_ANY_BYTES, _LARGEST_RATIO = 1 << 29, 500

# Reads that need less memory are not compared with what is free, which takes time.
_SMALL_BYTES = 1 << 28

# OpenJPEG decodes to numbers of 32 bits.
_JPEG_2000_BYTES = 4

_GB = 1 << 30


@dataclass(frozen=True)
class Decoding:
    """What is decoded of a file, and what of it is kept at once.

    Attributes:
        bands: Number of bands.
        columns: Number of columns.
        rows: Number of rows.
        kept: Numbers in the array that is returned.
    """

    bands: int
    columns: int
    rows: int
    kept: int


def refusal_of(file: Any, decoding: Decoding) -> str | None:
    """Why a part of an image file is not decoded, without a full stop; None if it is.

    Args:
        file: The file, open with rasterio.
        decoding: The part.
    """
    number_bytes = np.dtype(file.dtypes[0]).itemsize
    height, width = file.block_shapes[0]
    # whole blocks are decoded, and the bands of a block that has all of them
    columns, rows = (
        min(side, math.ceil(count / block) * block + block)
        for side, count, block in (
            (file.width, decoding.columns, width),
            (file.height, decoding.rows, height),
        )
    )
    decoded = columns * rows * decoding.bands * number_bytes
    in_block = width * height * file.count * (_JPEG_2000_BYTES if file.driver.startswith("JP2") else number_bytes)
    # a block is decoded, and then kept in the cache
    needed = decoding.kept * number_bytes + 2 * in_block
    if max(decoded, needed) > _ANY_BYTES:
        stored = _stored_bytes(file)
        if stored is not None and stored * _LARGEST_RATIO < max(decoded, needed):
            return (
                f"it claims to have {file.width} x {file.height} pixels, which its {_size_text(stored)} cannot hold; "
                "if most of it is empty, crop it, or add overviews with gdaladdo -r average"
            )
    if needed > _SMALL_BYTES and needed > (free := available_memory()):
        return f"that takes about {needed / _GB:.1f} GB of memory, and {free / _GB:.1f} GB are free"
    return None


def _stored_bytes(file: Any) -> int | None:
    """Size of a file and of those that it refers to; None where it is unknown."""
    path = file.path
    if isinstance(path, VirtualFile):
        archive = local_file(path)
        return None if archive is None else archive.stat().st_size
    parts = [path, *(path.__class__(name) for name in file.files)]
    # sources behind a network, or in archives
    if not all(part.is_file() for part in parts):
        return None
    return sum(int(part.stat().st_size) for part in dict.fromkeys(parts))


def _size_text(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{math.ceil(count / 1000)} kB"
