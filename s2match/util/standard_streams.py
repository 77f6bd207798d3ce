"""Standard output and standard error that may be closed, full, or read by nobody."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from s2match.errors import OutputError

_OUTPUT, _ERROR = 1, 2


class ReaderGoneError(Exception):
    """Nobody reads standard output any more; no OSError, which argparse would ignore."""


class _Output(io.FileIO):
    def write(self, data: Any, /) -> int | None:  # type: ignore[override]
        """Write to standard output.

        Raises:
            ReaderGoneError: Nobody reads it any more.
            OutputError: It cannot be written to.
        """
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderGoneError from error
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
    output, error = _Output(_OUTPUT, "w", closefd=False), _Error(os.dup(_ERROR), "w")
    sys.stdout = _stream(output, sys.stdout, output.isatty())
    sys.stderr = _stream(error, sys.stderr, lines=True)


@contextmanager
def without_library_messages() -> Iterator[None]:
    """Hide what C libraries print to standard error within the block; an error follows.

    It has an effect after :func:`use_safe_streams` alone, which gives Python a way of its own to standard error.
    """
    if not isinstance(getattr(getattr(sys.stderr, "buffer", None), "raw", None), _Error):
        yield
        return
    before, nowhere = os.dup(_ERROR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _ERROR)
    try:
        yield
    finally:
        os.dup2(before, _ERROR)
        os.close(before)
        os.close(nowhere)


def discard_output() -> None:
    """Write standard output to nowhere from now on: its reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _OUTPUT)


def _stream(raw: io.FileIO, before: Any, lines: bool) -> io.TextIOWrapper:
    """A stream in the place of another; it is flushed after each line, or when it is full."""
    encoding = getattr(before, "encoding", None) or "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="replace", line_buffering=lines)
