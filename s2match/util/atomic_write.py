"""Write files atomically: a reader sees the old file or the complete new one."""

import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from s2match.errors import OutputError
from s2match.util.urls import shown_url

# URLs and names of GDAL's virtual file systems, also as paths, which have one slash for two. Schemes of one letter are
# drives of Windows.
_REMOTE = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>.*)|^/vsi[a-z0-9_]+[/?]", re.IGNORECASE)

# Files that a message names.
_MOST_NAMES = 3


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Temporary path beside ``path`` to write to; it replaces ``path`` at the end of the block.

    If the block raises, the temporary file is removed and ``path`` stays as it was.

    Args:
        path: File to write. The temporary file has its suffix, because writers choose their format by it.

    Raises:
        OutputError: The folder does not exist or cannot be written to, or ``path`` is a folder.
    """
    path = Path(path)
    partial = _create_partial(path)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


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
    try:
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-")
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}.") from error
    with folder as name:
        try:
            yield Path(name)
        except OutputError as error:
            # the user knows the files by their places
            raise OutputError(str(error).replace(name, str(path.parent))) from error


def publish(staged: Iterable[Path], paths: Iterable[Path]) -> None:
    """Move files of a staging folder to their places, where they replace files of the same name.

    Args:
        staged: The files, complete and closed.
        paths: Their places, in the same file system.

    Raises:
        OutputError: A file cannot be moved.
    """
    for source, path in zip(staged, paths, strict=True):
        try:
            source.replace(path)
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from error


def check_writable(path: str | Path) -> None:
    """Check that a file can be written, before the work on its content starts.

    Args:
        path: The file; if it exists, it stays as it is.

    Raises:
        OutputError: It cannot be written.
    """
    _create_partial(Path(path)).unlink()


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


def check_outputs_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Check that no output would overwrite an input or another output.

    Args:
        outputs: Files to write.
        inputs: Files to read.

    Raises:
        OutputError: An output is an input or another output.
    """
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in taken:
            raise OutputError(f"Cannot write {path}: it is an input or another output.")
        taken.add(path.resolve())


def check_absent(paths: Iterable[Path], overwrite: bool) -> None:
    """Check that no output exists already, unless outputs may be replaced.

    Args:
        paths: Files to write.
        overwrite: Whether existing files may be replaced.

    Raises:
        OutputError: There are some; the message names the first ones.
    """
    existing = [] if overwrite else [str(path) for path in paths if path.exists()]
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
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot create the folder {folder}: {error.strerror}.") from error


def check_folder(path: str | Path) -> None:
    """Check that files can be written to a folder, before the work on their content starts.

    Args:
        path: The folder; it may not exist yet, if its parent does.

    Raises:
        OutputError: Files cannot be written to it.
    """
    path = Path(path)
    check_local(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"Cannot write to {path}: it is not a folder.")
    try:
        Path(tempfile.mkdtemp(dir=path if path.is_dir() else path.parent, prefix=".s2match-")).rmdir()
    except OSError as error:
        raise OutputError(f"Cannot write to {path}: {error.strerror}.") from error


def _create_partial(path: Path) -> Path:
    """Create an empty temporary file beside ``path``."""
    check_local(path)
    if path.is_dir():
        raise OutputError(f"Cannot write {path}: it is a folder.")
    while True:
        partial = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
        try:
            # as any new file by the umask; tempfile creates files that only their owner may read
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from error
        return partial
