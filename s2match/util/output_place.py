"""Where an output leads: to a file, behind a link or not, or to a device or pipe."""

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from s2match.errors import OutputError
from s2match.util.urls import shown_url

# URLs and names of GDAL's virtual file systems, also as paths, which have one slash for two. Schemes of one letter are
# drives of Windows.
_REMOTE = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>.*)|^/vsi[a-z0-9_]+[/?]", re.IGNORECASE)

# Names of open files of this process. They are links, but the file behind them must be written where it is open.
_DESCRIPTOR = re.compile(r"^/(?:dev/(?P<name>stdout|stderr)|(?:dev|proc/self)/fd/(?P<number>\d+))$")
_STANDARD = {"stdout": 1, "stderr": 2}

# Free space below which a failure is put down to it.
_LITTLE_BYTES = 1 << 20

# Why a file is neither read nor written whose name or folder has other bytes.
NO_UTF8 = "its name is not UTF-8, which this format needs: rename it"

# Why other kinds of files are not written to.
_REFUSED = {stat.S_IFDIR: "it is a folder", stat.S_IFBLK: "it is a disk", stat.S_IFSOCK: "it is a socket"}


@dataclass(frozen=True)
class Place:
    """Where an output leads.

    Attributes:
        file: The file that is written: at the end of a link, the link's target.
        is_stream: Whether it is a device, a pipe or an open file, which is written to and never replaced.
        descriptor: Number of the open file; None for others.
    """

    file: Path
    is_stream: bool = False
    descriptor: int | None = None


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn errors of the operating system within the block into the error of an output.

    Raises:
        OutputError: The operating system refuses something.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error


def place_of(path: Path) -> Place:
    """Where an output leads.

    Raises:
        OutputError: It is a folder, a disk or a URL, or its name is not one that the file system can have.
    """
    check_local(path)
    match = _DESCRIPTOR.match(str(path))
    if match is not None:
        return Place(path, is_stream=True, descriptor=_STANDARD.get(match["name"]) or int(match["number"]))
    try:
        file = Path(os.path.realpath(path)) if path.is_symlink() else path
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return Place(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not one of the file system"
        raise OutputError(f"Cannot write {path}: {reason}.") from error
    if kind in _REFUSED:
        raise OutputError(f"Cannot write {path}: {_REFUSED[kind]}.")
    return Place(file, is_stream=kind != stat.S_IFREG)


def write_failure(path: Path, reason: str) -> OutputError:
    """The error of an output that a library could not write; it tells if the disk is full, which libraries do not.

    Args:
        path: The output, in a folder that exists.
        reason: What the library says, without a full stop.
    """
    free = shutil.disk_usage(path.parent).free
    space = f"; only {free >> 10} kB are free on its disk" if free < _LITTLE_BYTES else ""
    return OutputError(f"Cannot write {path}: {reason}{space}.")


@contextmanager
def opened_stream(place: Place) -> Iterator[BinaryIO]:
    """Open a device, a pipe or an open file to write to; a pipe waits for its reader.

    Raises:
        OSError: It cannot be opened or written to.
    """
    if place.descriptor is None:
        number = os.open(place.file, os.O_WRONLY)
    else:
        # what was printed comes first
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        number = os.dup(place.descriptor)
    with os.fdopen(number, "wb") as file:
        yield file


def check_utf8(path: Path) -> None:
    """Check that an output has a name that GDAL and SQLite can write to.

    Raises:
        OutputError: It is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise OutputError(f"Cannot write {path}: {NO_UTF8}.") from error


def check_local(path: str | Path) -> None:
    """Check that an output is a file or folder of the file system.

    Raises:
        OutputError: It is a URL, or a name of GDAL's virtual file systems.
    """
    match = _REMOTE.match(str(path))
    if match is not None:
        # a path has one slash of the two behind the scheme
        shown = shown_url(f"{match['scheme']}://{match['rest']}") if match["scheme"] else path
        raise OutputError(f"Cannot write {shown}: results are files of this computer, not behind URLs.")
