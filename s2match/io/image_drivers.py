"""Formats of images that are read, by a list: GDAL would choose among all of its drivers by the content of a file.

Some of these are no images, but descriptions of other files or of servers. They are read where the user names one.
"""

import errno
import os
from pathlib import Path
from typing import Any

from s2match.core.image_path import ImagePath
from s2match.errors import S2MatchError

# Drivers of GDAL for JPEG 2000, GeoTIFF, PNG, JPEG and other images that lie in a single file or beside it.
_IMAGES = (
    *("JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID", "JP2Lura"),
    *("GTiff", "PNG", "JPEG", "WEBP", "GIF", "BMP", "HFA", "ENVI", "EHdr", "PCIDSK", "GPKG"),
)

# Virtual images of GDAL: XML that names other files.
_VIRTUAL, _VIRTUAL_SUFFIX = "VRT", ".vrt"

# Files beside an image that GDAL reads with all of its drivers.
_BESIDE = (".ovr", ".msk", ".OVR", ".MSK")

# First bytes of XML, such as virtual images and descriptions of servers.
_XML = b"<"

# Bytes that may precede it, with the mark of UTF-8, and bytes that are looked at.
_BLANKS, _BEGIN_BYTES = b"\xef\xbb\xbf \t\r\n", 64


def drivers_of(path: ImagePath) -> list[str]:
    """Drivers that may read an image; a virtual image is one by its name only."""
    return [*_IMAGES, _VIRTUAL] if _is_virtual(path) else list(_IMAGES)


def refuse_descriptions(path: ImagePath, failure: type[S2MatchError], what: str) -> None:
    """Refuse a local file, or one beside it, whose content is a description of other files or servers.

    Args:
        path: The file.
        failure: Class of the error.
        what: What the file is, for messages, with a blank at its end.

    Raises:
        S2MatchError: It is one; of the class ``failure``.
    """
    if not isinstance(path, Path):
        return
    if not _is_virtual(path) and _begins_with_xml(str(path)):
        raise failure(
            f"Cannot read {what}{path}: it is a description of other files or of a server; name a virtual image of "
            "your own .vrt."
        )
    for suffix in _BESIDE:
        if _begins_with_xml(f"{path}{suffix}"):
            raise failure(
                f"Cannot read {what}{path}: {path.name}{suffix} is a description of other files or of a server."
            )


def refuse_foreign_overviews(file: Any) -> None:
    """Refuse an image whose tags say that its overviews lie in any other file, which may be one of a server.

    Raises:
        S2MatchError: They say so; of the class of the file's errors.
    """
    if "OVERVIEW_FILE" in file.tags(ns="OVERVIEWS"):
        raise file.refused("its tags refer to overviews in another file; write it anew, such as with gdal_translate")


def _is_virtual(path: ImagePath) -> bool:
    return path.suffix.lower() == _VIRTUAL_SUFFIX


def _begins_with_xml(name: str) -> bool:
    # without the classes of pathlib and io: images are opened for every window
    try:
        file = os.open(name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        # beside a file of a long name there may be no longer name
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return False
        raise
    try:
        return os.read(file, _BEGIN_BYTES).lstrip(_BLANKS).startswith(_XML)
    finally:
        os.close(file)
