"""Temporary folders beside outputs. Their names tell their process, so that later runs remove those of dead ones."""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from s2match.util.signals import held

# Computer, process and its start time. The random part that follows is tempfile's.
_NAME = re.compile(r"^\.s2match-(?P<computer>[0-9a-f]{8})-(?P<pid>\d+)-(?P<started>\d+)-")

# Position of the start time in the statistics of a process of Linux, behind its name: proc_pid_stat(5).
_STATE, _STARTED = 0, 19

# States of processes that have ended, and wait for their parent.
_ENDED = "ZX"


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Temporary folder in another one for files that are not complete; removed at the end of the block.

    Folders that dead processes of this computer have left in ``parent`` are removed.

    Args:
        parent: Folder of the complete files.

    Raises:
        OSError: The folder cannot be created.
    """
    remove_leftovers(parent)
    folder = None
    try:
        # a signal in between would leave the folder
        with held():
            folder = Path(tempfile.mkdtemp(dir=parent, prefix=_own_prefix()))
        yield folder
    finally:
        try:
            with held():
                _remove(folder)
        except KeyboardInterrupt:
            # the signal came before it was held; later ones are ignored
            _remove(folder)
            raise


def remove_leftovers(parent: Path) -> None:
    """Remove the temporary folders of dead processes of this computer.

    Args:
        parent: Folder that they lie in.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        for name in [entry.name for entry in entries]:
            match = _NAME.match(name)
            if match is not None and match["computer"] == _computer() and not _is_alive(match):
                shutil.rmtree(parent / name, ignore_errors=True)


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _own_prefix() -> str:
    return f".s2match-{_computer()}-{os.getpid()}-{_started(os.getpid()) or 0}-"


def _computer() -> str:
    """Text of the computer, or of the container, within which the numbers of processes are unique."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return blake2b(f"{socket.gethostname()} {namespace}".encode(), digest_size=4).hexdigest()


def _is_alive(name: re.Match[str]) -> bool:
    """Whether the process that a folder is named by still runs; True if that is not known."""
    pid = int(name["pid"])
    import psutil

    if not psutil.pid_exists(pid):
        return False
    try:
        started = _started(pid)
    except (OSError, psutil.Error):
        # a process of another user
        return True
    # another process may have the number by now
    return started is not None and name["started"] in (str(started), "0")


def _started(pid: int) -> int | None:
    """Start time of a process, as a number that setting the clock does not change; None if it has ended.

    Raises:
        OSError: It is not known.
        psutil.Error: It is not known.
    """
    statistics = Path(f"/proc/{pid}/stat")
    if statistics.parent.is_dir():
        fields = statistics.read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[_STATE] in _ENDED else int(fields[_STARTED])
    import psutil

    return int(psutil.Process(pid).create_time())
