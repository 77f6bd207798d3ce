"""Write files atomically: a reader sees the old file or the complete new one."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from s2match.errors import OutputError
from s2match.util.output_place import check_local, opened_stream, place_of, writing
from s2match.util.partial_files import partial_folder

# Files that a message names.
_MOST_NAMES = 3

# Longest suffix that a temporary file takes over; the formats of s2match have shorter ones.
_LONGEST_SUFFIX = 16


@contextmanager
def atomic_write(path: str | Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Temporary path to write to; the file replaces ``path`` at the end of the block, when it is safe on the disk.

    If the block or the check raises, the temporary file is removed and ``path`` stays as it was. A link stays, and the
    file that it leads to is replaced.

    Args:
        path: File to write. The temporary file lies in a folder beside it, and has its suffix, because writers choose
            their format by it.
        check: Opens the written file and raises OutputError if it is not whole; None if the block does so.

    Raises:
        OutputError: The folder does not exist or cannot be written to, the disk is full, or ``path`` is a folder, a
            device or a pipe.
    """
    path = Path(path)
    file = _file_of(path)
    with writing(path), partial_folder(file.parent) as folder:
        partial = folder / f"file{file.suffix if len(file.suffix) <= _LONGEST_SUFFIX else ''}"
        partial.touch()
        try:
            yield partial
            if check is not None:
                check(partial)
        except OutputError as error:
            # the user knows the file by its place
            raise OutputError(str(error).replace(str(partial), str(path))) from error
        _replace(partial, file)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file atomically, and compare what the disk has with what was to be written.

    Args:
        path: The file. A device or a pipe is written to as it is.
        data: Its content.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(path)
    place = place_of(path)
    if place.is_stream:
        with writing(path), opened_stream(place) as stream:
            stream.write(data)
        return
    with atomic_write(path) as partial:
        partial.write_bytes(data)
        _sync(partial)
        if partial.read_bytes() != data:
            raise OutputError(f"Cannot write {path}: the disk does not keep what is written.")


def write_text(path: str | Path, text: str) -> None:
    r"""Write text in UTF-8 atomically, see :func:`write_bytes`; line ends are written as they are.

    Bytes of file names that are no UTF-8 are written as escapes such as ``\udcff``, which JSON has for them.

    Raises:
        OutputError: It cannot be written.
    """
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


@contextmanager
def staging_folder(path: str | Path) -> Iterator[Path]:
    """Temporary folder beside ``path`` for files that may be discarded; removed at the end of the block.

    Args:
        path: File that may be written in the end.

    Raises:
        OutputError: The folder of ``path`` does not exist or cannot be written to. An error of the block names files of
            the temporary folder as if they lay beside ``path``.
    """
    path = Path(path)
    with writing(path), partial_folder(_file_of(path).parent) as folder:
        try:
            yield folder
        except OutputError as error:
            # the user knows the files by their places
            raise OutputError(str(error).replace(str(folder), str(path.parent))) from error


def publish(staged: Iterable[Path], paths: Iterable[Path]) -> None:
    """Move files of a staging folder to their places, where they replace files of the same name.

    Args:
        staged: The files, complete and closed.
        paths: Their places; a link stays, and the file that it leads to is replaced.

    Raises:
        OutputError: A file cannot be moved.
    """
    for source, path in zip(staged, paths, strict=True):
        file = _file_of(path)
        if source.stat().st_dev == file.parent.stat().st_dev:
            with writing(path):
                _replace(source, file)
            continue
        # a link that leads to another file system
        with atomic_write(file) as partial:
            shutil.copyfile(source, partial)


def check_writable(path: str | Path, to_stream: bool = False) -> None:
    """Check that a file can be written, before the work on its content starts.

    Args:
        path: The file; if it exists, it stays as it is.
        to_stream: Whether it may be a device or a pipe.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(path)
    place = place_of(path)
    if to_stream and place.is_stream:
        if place.descriptor is None and not os.access(path, os.W_OK):
            raise OutputError(f"Cannot write {path}: Permission denied.")
        return
    with writing(path), partial_folder(_file_of(path).parent):
        pass


def check_outputs_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Check that no output would overwrite an input or another output.

    Args:
        outputs: Files to write.
        inputs: Files to read.

    Raises:
        OutputError: An output is an input or another output.
    """
    # links that lead to themselves are errors of Path.resolve
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        place = os.path.realpath(path)
        if place in taken:
            raise OutputError(f"Cannot write {path}: it is an input or another output.")
        taken.add(place)


def check_absent(paths: Iterable[Path], overwrite: bool) -> None:
    """Check that no output exists already, unless outputs may be replaced.

    Args:
        paths: Files to write. Devices and pipes are no files that could be lost.
        overwrite: Whether existing files may be replaced.

    Raises:
        OutputError: There are some; the message names the first ones.
    """
    existing = [] if overwrite else [str(path) for path in paths if _would_be_lost(path)]
    if len(existing) == 1:
        raise OutputError(f"{existing[0]} exists: --overwrite replaces it.")
    if existing:
        more = len(existing) - _MOST_NAMES
        names = [*existing[:_MOST_NAMES], *([f"{more} more"] if more > 0 else [])]
        raise OutputError(f"{', '.join(names[:-1])} and {names[-1]} exist: --overwrite replaces them.")


def create_folder(folder: Path) -> None:
    """Create a folder of results and its parents, if they do not exist.

    Raises:
        OutputError: It cannot be created, or is a file.
    """
    check_local(folder)
    try:
        # a link may lead to a folder that does not exist
        Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not one of the file system"
        raise OutputError(f"Cannot create the folder {folder}: {reason}.") from error


def check_folder(path: str | Path) -> None:
    """Check that files can be written to a folder, before the work on their content starts.

    Args:
        path: The folder; it may not exist yet, if its parent does.

    Raises:
        OutputError: Files cannot be written to it.
    """
    path = Path(path)
    check_local(path)
    try:
        folder = Path(os.path.realpath(path))
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"Cannot write to {path}: it is not a folder.")
        with partial_folder(folder if folder.is_dir() else folder.parent):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not one of the file system"
        raise OutputError(f"Cannot write to {path}: {reason}.") from error


def _file_of(path: Path) -> Path:
    """The file that an output leads to.

    Raises:
        OutputError: It is no file.
    """
    place = place_of(path)
    if place.is_stream:
        raise OutputError(f"Cannot write {path}: its format needs a file, not a device or a pipe.")
    return place.file


def _would_be_lost(path: Path) -> bool:
    """Whether a path is something that writing to it would replace."""
    try:
        return path.is_dir() or (path.exists() and not place_of(path).is_stream)
    except (OSError, ValueError):
        # a name that the file system cannot have
        return False


def _replace(partial: Path, file: Path) -> None:
    """Give a file its name, when it is on the disk, so that a failure of the power leaves the old or the new file."""
    _sync(partial)
    partial.replace(file)
    # Windows has no handles of folders
    with suppress(OSError):
        number = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _sync(path: Path) -> None:
    """Wait until a file is on the disk.

    Raises:
        OSError: The disk cannot take it.
    """
    with path.open("rb+") as file:
        os.fsync(file.fileno())
