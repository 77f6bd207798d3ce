"""Files below a folder or in a zip, which is not unpacked."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from s2match.core.image_path import ImagePath, VirtualFile, zip_member
from s2match.errors import S2MatchError, UnreadableImageError
from s2match.io.borders import reading

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ZIP_SUFFIX = ".zip"


@dataclass(frozen=True)
class FileTree:
    """The files below a folder or in a zip.

    Attributes:
        root: The folder, or the zip.
        names: Names of the files relative to it, with slashes, sorted.
        zipped: Whether ``root`` is a zip.
    """

    root: Path
    names: tuple[str, ...]
    zipped: bool = False

    def path(self, name: str) -> ImagePath:
        """Path of a file, or of a folder; the root itself for an empty name."""
        if not name:
            return self.root
        return zip_member(self.root, name) if self.zipped else self.root / name


def folder_tree(folder: Path, depth: int) -> FileTree:
    """The files of a folder and of its folders; hidden ones are left out.

    Args:
        folder: The folder.
        depth: Levels of folders below it that are searched.
    """
    names = []
    for place, folders, files in os.walk(folder, followlinks=True):
        inner = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not name.startswith(".") and len(inner.parts) < depth]
        names += [(inner / name).as_posix() for name in files if not name.startswith(".")]
    return FileTree(folder, tuple(sorted(names)))


def zip_tree(archive: Path) -> FileTree:
    """The files in a zip.

    Raises:
        UnreadableImageError: It is missing or is not a complete zip.
    """
    # most runs read no zip
    import zipfile

    with reading(archive, what="the zip ", text=True), zipfile.ZipFile(archive) as file:
        names = [member.filename for member in file.infolist() if not member.is_dir()]
    visible = (name for name in names if not any(part.startswith(".") for part in PurePosixPath(name).parts))
    return FileTree(archive, tuple(sorted(visible)), zipped=True)


def open_stream(path: ImagePath, failure: type[S2MatchError] = UnreadableImageError, what: str = "") -> BinaryIO | None:
    """The bytes of a file, open for reading, in the file system or in a zip; None for a remote file.

    Args:
        path: The file.
        failure: Class of the error.
        what: What the file is, for messages, with a blank at its end.

    Raises:
        S2MatchError: It cannot be opened; of the class ``failure``.
    """
    if isinstance(path, VirtualFile) and path.in_zip is None:
        return None
    import zipfile

    with reading(path, failure, what, text=True):
        if isinstance(path, Path):
            return path.open("rb")
        assert path.in_zip is not None
        archive, member = path.in_zip
        with zipfile.ZipFile(archive) as file:
            # the member keeps the file open until it is closed itself
            return cast(BinaryIO, file.open(member))


def read_bytes(
    path: ImagePath, failure: type[S2MatchError] = UnreadableImageError, what: str = "", most: int = -1
) -> bytes | None:
    """The bytes of a file in the file system or in a zip; None for a remote file.

    Args:
        path: The file.
        failure: Class of the error.
        what: What the file is, for messages, with a blank at its end.
        most: Most bytes that are read; -1 for all.

    Raises:
        S2MatchError: It cannot be read; of the class ``failure``.
    """
    stream = open_stream(path, failure, what)
    if stream is None:
        return None
    with reading(path, failure, what, text=True), stream:
        return stream.read(most)


def read_xml(path: ImagePath) -> "Element | None":
    """The root element of an XML file in the file system or in a zip; None for a remote file.

    Raises:
        UnreadableImageError: It cannot be read.
    """
    stream = open_stream(path)
    if stream is None:
        return None
    # most runs read no XML
    from xml.etree import ElementTree

    with reading(path, text=True), stream:
        return ElementTree.parse(stream).getroot()


def local_path(path: ImagePath) -> ImagePath:
    """The path of what a user names in the file system: inside of a zip, or a product without its suffix.

    Args:
        path: Such as ``S2A_….zip/GRANULE/…/IMG_DATA`` or ``S2A_MSIL1C_…``; other paths are returned as they are.

    Raises:
        UnreadableImageError: It is no name of a file.
    """
    # a name may be too long, or not allowed
    with reading(path, text=True):
        if isinstance(path, VirtualFile) or path.exists():
            return path
        safe = path.with_name(f"{path.name}.SAFE") if path.name else path
        if safe.is_dir():
            return safe
        for parent in path.parents:
            if parent.suffix.lower() == ZIP_SUFFIX and parent.is_file():
                return zip_member(parent, path.relative_to(parent).as_posix())
        return path
