"""Standard output and standard error that may be closed, full, or read by nobody."""

import io
import os
import sys
from typing import Any

from s2match.errors import OutputError

_OUTPUT, _ERROR = 1, 2


class _Output(io.FileIO):
    def write(self, data: Any, /) -> int | None:  # type: ignore[override]
        """Write to standard output.

        Raises:
            BrokenPipeError: Nobody reads it any more.
            OutputError: It cannot be written to.
        """
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"Cannot write to standard output: {error.strerror}.") from error


class _Error(io.FileIO):
    def write(self, data: Any, /) -> int | None:  # type: ignore[override]
        """Write to standard error; what it does not take is lost, because there is nobody to tell."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def use_safe_streams() -> None:
    """Give the process a standard output and a standard error that always exist, and whose errors are those of outputs.

    Characters that a stream cannot show are replaced: a terminal that cannot spell a file's name is no reason to lose a
    result.
    """
    for number in (0, _OUTPUT, _ERROR):
        try:
            os.fstat(number)
        except OSError:
            # the next file would get the number, and what libraries print
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    sys.stdout = _stream(_Output(_OUTPUT, "w", closefd=False), sys.stdout)
    sys.stderr = _stream(_Error(_ERROR, "w", closefd=False), sys.stderr)


def discard_output() -> None:
    """Write standard output to nowhere from now on: its reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _OUTPUT)


def _stream(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    encoding = getattr(before, "encoding", None) or "utf-8"
    lines = raw.isatty() or raw.fileno() == _ERROR
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="replace", line_buffering=lines)
