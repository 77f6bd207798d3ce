"""Records on disk that survive the end of a process: a line of JSON behind its checksum for each."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from s2match.errors import OutputError

_LOG = logging.getLogger(__name__)

# Hexadecimal digits of the checksum in front of each line.
_CHECKSUM_DIGITS = 16


class JsonLines:
    """A file of records, to which records are appended.

    A record is on the disk when :meth:`append` returns. A line that was cut off or damaged is ignored.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which need not exist; its folder must.

        Raises:
            OutputError: The file cannot be written to.
        """
        self._path = path
        try:
            self._begin_line()
        except OSError as error:
            raise OutputError(f"Cannot write to {path}: {error.strerror or error}.") from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record, so that it is kept even if the machine fails.

        Raises:
            OutputError: It cannot be written.
        """
        text = json.dumps(record)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{_checksum(text)} {text}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"Cannot write to {self._path.parent}: {error.strerror or error}.") from error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Records of the lines that are complete."""
        if not self._path.exists():
            return
        for number, line in enumerate(self._path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            checksum, _, text = line.partition(" ")
            record = _object_of(text) if checksum == _checksum(text) else None
            if record is not None:
                yield record
            elif line:
                _LOG.info("line %d of %s is damaged: it is ignored", number, self._path)

    def _begin_line(self) -> None:
        """End a line that was cut off, so that the next one is not appended to it."""
        if self._path.exists() and not self._path.read_bytes().endswith(b"\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")


def _object_of(text: str) -> dict[str, Any] | None:
    """The object of a line of JSON; None if it is none, as in a line that was edited by hand."""
    try:
        record = json.loads(text)
    # brackets that are nested too deeply are the second
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _checksum(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_CHECKSUM_DIGITS // 2).hexdigest()
