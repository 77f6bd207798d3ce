"""Write files so that nobody ever meets half of one."""

import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from s2match.errors import OutputError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; move it into place when the block ends well.

    The temporary file carries the suffix of ``path``, because writers choose their format by it. When the block raises,
    the temporary file is removed and ``path`` stays as it was.

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


def check_writable(path: str | Path) -> None:
    """Find out whether ``path`` can be written, before the work that would be lost if not.

    Raises:
        OutputError: It cannot.
    """
    _create_partial(Path(path)).unlink()


def check_outputs_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse outputs that are inputs, or one another.

    Raises:
        OutputError: One is.
    """
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in taken:
            raise OutputError(f"Cannot write {path}: it is an input or another output.")
        taken.add(path.resolve())


def check_folder(path: str | Path) -> None:
    """Find out whether files can be written to a folder, which may be missing in its parent, before the work.

    Raises:
        OutputError: They cannot.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"Cannot write to {path}: it is no folder.")
    try:
        Path(tempfile.mkdtemp(dir=path if path.is_dir() else path.parent, prefix=".s2match-")).rmdir()
    except OSError as error:
        raise OutputError(f"Cannot write to {path}: {error.strerror}.") from error


def _create_partial(path: Path) -> Path:
    if path.is_dir():
        raise OutputError(f"Cannot write {path}: it is a folder.")
    while True:
        partial = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
        try:
            # the kernel gives it the permissions of any new file; tempfile's are private
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from error
        return partial
