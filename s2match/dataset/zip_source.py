"""The images in a zip of SAFE products, which is opened once and never unpacked as a whole.

A zip is not trusted: what its directory says is checked before anything is unpacked, and no more is unpacked than it
says. No path in it is used, but for the file names of images.
"""

import bz2
import copy
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PureWindowsPath

from s2match.dataset.offers import Offer, Offers, Rejected, name_problem, printable, sorted_offers
from s2match.errors import PreparationError, UnreadableImageError
from s2match.io.file_tree import ZIP_SUFFIX
from s2match.io.scene_files import is_finest

# Largest image; the largest possible at 10 m, without compression, has 360 MB.
_MOST_BYTES = 1 << 30

# Largest ratio of the sizes unpacked and packed, of files above a size. JPEG 2000 hardly becomes smaller in a zip.
_MOST_RATIO, _SMALL_BYTES = 100, 10_000_000

# Bytes that are unpacked at once. zipfile unpacks whole pieces of LZMA, which may become 7000 times as large.
_CHUNK_BYTES, _LZMA_CHUNK_BYTES = 1 << 20, 1 << 12

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)

_ENCRYPTED = 0x1


@contextmanager
def zip_offers(path: Path) -> Iterator[Offers]:
    """The true-colour images of a zip, which can be read within the block.

    Args:
        path: The zip.

    Raises:
        PreparationError: It is damaged, or of a newer format.
    """
    with _opened(path) as archive:
        images: list[Offer] = []
        rejected: list[Rejected] = []
        zips: list[str] = []
        for member in archive.infolist():
            origin, name = printable(f"{path}:{member.filename}"), PureWindowsPath(member.filename).name
            if name.lower().endswith(ZIP_SUFFIX):
                zips.append(origin)
            if member.filename.endswith("/") or not is_finest(name):
                continue
            reason = name_problem(name) or _reason_against(member)
            if reason is None:
                images.append(Offer(name, origin, member.file_size, partial(_read, archive, member)))
            else:
                rejected.append(Rejected(origin, reason))
        yield sorted_offers(images, rejected, zips)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except UnicodeDecodeError as error:
        raise PreparationError(f"Cannot read the zip {path}: a name in it is not UTF-8.") from error
    except NotImplementedError as error:
        raise PreparationError(f"Cannot read the zip {path}: its format is not known ({error}).") from error
    except OSError as error:
        raise PreparationError(f"Cannot read the zip {path}: {error.strerror or error}.") from error
    except Exception as error:
        # zipfile raises many unrelated classes for damaged directories
        raise PreparationError(f"The zip {path} is damaged: {error}.") from error


def _reason_against(member: zipfile.ZipInfo) -> str | None:
    """Why a member is not unpacked, by the directory alone; None if it is."""
    # also the separators of Windows, which some programs write
    place = PureWindowsPath(member.filename)
    if place.anchor or ".." in place.parts:
        return "its path leads out of the zip."
    if stat.S_ISLNK(member.external_attr >> 16):
        return "it is a link."
    if member.flag_bits & _ENCRYPTED:
        return "it is encrypted: unpack the zip with its password, and give the folder."
    if member.compress_type not in _METHODS:
        return f"it is compressed by a method that is not known ({member.compress_type})."
    if member.file_size > _MOST_BYTES:
        return f"it would unpack to {member.file_size / 1e9:.1f} GB, which no image has."
    if member.file_size > max(_SMALL_BYTES, _MOST_RATIO * member.compress_size):
        return f"it would unpack to more than {_MOST_RATIO} times its size, which no image does."
    return None


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member; at the end its CRC is checked."""
    try:
        yield from (_bzip2_chunks if member.compress_type == zipfile.ZIP_BZIP2 else _chunks)(archive, member)
    except OSError as error:
        # bz2 raises an OSError without a number
        reason = error.strerror or f"it is damaged: {error}"
        raise UnreadableImageError(f"it cannot be unpacked ({reason}).") from error
    except Exception as error:
        # zipfile and its decoders raise many unrelated classes for damaged members
        raise UnreadableImageError(f"it cannot be unpacked (it is damaged: {error}).") from error


def _chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    size = _LZMA_CHUNK_BYTES if member.compress_type == zipfile.ZIP_LZMA else _CHUNK_BYTES
    with archive.open(member) as stream:
        while chunk := stream.read(size):
            yield chunk


def _bzip2_chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member in bzip2, of which zipfile would unpack a piece to any size at once."""
    packed = copy.copy(member)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, member.compress_size
    # zipfile checks no CRC then
    packed.CRC = None  # type: ignore[assignment]
    crc, count = 0, 0
    with archive.open(packed) as raw, bz2.BZ2File(raw) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            crc, count = zlib.crc32(chunk, crc), count + len(chunk)
            if count > member.file_size:
                raise zipfile.BadZipFile(f"it is larger than its {member.file_size} bytes")
            yield chunk
    if crc != member.CRC:
        raise zipfile.BadZipFile("Bad CRC-32")
