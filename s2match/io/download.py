"""Download a file: what has arrived is kept, and a later attempt or run goes on from there.

Until a file is complete it lies beside its place as ``.name.part``, with the server's description of it as JSON. It is
continued only if the server says that the file is still the same (ETag and If-Range, RFC 9110).
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from urllib.request import Request

from s2match.io.http_requests import Answer, attempts, opened_url
from s2match.io.request_limits import LIMITS, Limits, Pace, RequestError
from s2match.util.atomic_write import atomic_write
from s2match.util.urls import shown_url

# Is told the bytes that are there, and those of the whole file, or None where the server does not say.
Report = Callable[[int, int | None], object]

_SHA256 = re.compile(r'"([0-9a-f]{64})"')
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class DownloadError(Exception):
    """Why a file cannot be downloaded from any address, without a full stop."""


def download(
    urls: Sequence[str],
    target: Path,
    report: Report | None = None,
    limits: Limits = LIMITS,
    most_bytes: int = 1 << 30,
) -> None:
    """Download a file from the first of several addresses that has it.

    Its size is compared with what the server said, and its SHA-256 where the server names it (the header
    ``X-Linked-ETag`` of Hugging Face).

    Args:
        urls: The addresses, tried in order.
        target: The file to write; its folder exists.
        report: Is told the progress; None for nobody.
        limits: Limits on the time.
        most_bytes: Largest file.

    Raises:
        DownloadError: No address has it, or the limits are exceeded.
        OutputError: The file cannot be written.
    """
    with atomic_write(target) as partial:
        begun = _taken_up(target, partial)
        try:
            _download_any(urls, _Receiver(partial, begun, report, most_bytes), limits)
        except BaseException:
            _leave(target, partial, begun)
            raise
    for path in _part_of(target):
        path.unlink(missing_ok=True)


@dataclass
class _Begun:
    """A file of which a part has arrived.

    Attributes:
        received: Bytes that have arrived.
        url: Address that they came from.
        etag: ETag of the server's file; None if it cannot be continued.
        size: Bytes of the whole file; None if the server does not say.
        sha256: SHA-256 of the whole file; None if the server does not say.
    """

    received: int = 0
    url: str = ""
    etag: str | None = None
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class _Receiver:
    """Writes what a server sends.

    Attributes:
        path: The file.
        begun: What of it has arrived.
        report: Is told the progress.
        most_bytes: Largest file.
    """

    path: Path
    begun: _Begun
    report: Report | None
    most_bytes: int

    def receive(self, url: str, pace: Pace) -> None:
        """Receive what is missing, or the whole file if the server has another one now.

        Raises:
            RequestError: It is not complete, or not what the server described.
        """
        begun, request = self.begun, Request(url)
        if begun.received and begun.etag is not None and begun.url == url:
            request.add_header("Range", f"bytes={begun.received}-")
            request.add_header("If-Range", begun.etag)
        try:
            with opened_url(request, pace) as answer:
                self._check_answer(url, answer)
                self._write(answer)
        except RequestError as error:
            if error.status == 416:
                raise self._begin_again("the server does not have the rest of the file") from error
            raise
        self._check_file()

    def _check_answer(self, url: str, answer: Answer) -> None:
        """Go on, or begin again, as the answer says."""
        begun = self.begun
        if answer.status == 206:
            match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != begun.received or answer.headers.get("ETag") != begun.etag:
                raise self._begin_again("the server has sent another part of the file")
            return
        etag, linked = answer.headers.get("ETag"), _SHA256.fullmatch(answer.linked_etag or "")
        self.path.write_bytes(b"")
        begun.received, begun.url, begun.size = 0, url, answer.length
        # a weak ETag does not promise the same bytes
        begun.etag = None if etag is None or etag.startswith("W/") else etag
        begun.sha256 = None if linked is None else linked[1]

    def _write(self, answer: Answer) -> None:
        begun = self.begun
        with self.path.open("ab") as file:
            for chunk in answer.chunks:
                file.write(chunk)
                begun.received += len(chunk)
                if self.report is not None:
                    self.report(begun.received, begun.size)
                if begun.received > self.most_bytes:
                    raise RequestError(f"the file is larger than {self.most_bytes} bytes")

    def _check_file(self) -> None:
        begun = self.begun
        if begun.size is not None and begun.received < begun.size:
            raise RequestError(f"the connection was cut off after {begun.received} of {begun.size} bytes", 2)
        if begun.sha256 is not None:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != begun.sha256:
                raise self._begin_again(f"its SHA-256 is {found} and should be {begun.sha256}")

    def _begin_again(self, reason: str) -> RequestError:
        """Forget what has arrived; the error of an attempt that may be repeated once."""
        self.begun.received, self.begun.etag = 0, None
        return RequestError(reason, 1)


def _download_any(urls: Sequence[str], receiver: _Receiver, limits: Limits) -> None:
    begun, failures = time.monotonic(), []
    for url in urls:
        try:
            attempts(partial(receiver.receive, url), limits, begun, lambda: receiver.begun.received)
            return
        except RequestError as error:
            failures.append(f"{shown_url(url)}: {error}")
    raise DownloadError("; ".join(failures))


def _part_of(target: Path) -> tuple[Path, Path]:
    """Where a begun file lies, and its description."""
    return target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.part.json")


def _taken_up(target: Path, partial: Path) -> _Begun:
    """Move a file that an earlier run has begun to ``partial``; an empty one if there is none that can be continued."""
    part, description = _part_of(target)
    try:
        # only one process moves it
        part.replace(partial)
        begun = _Begun(**json.loads(description.read_text(encoding="utf-8")))
        if begun.etag is not None and partial.stat().st_size == begun.received:
            return begun
    except (OSError, ValueError, TypeError):
        pass
    partial.write_bytes(b"")
    return _Begun()


def _leave(target: Path, partial: Path, begun: _Begun) -> None:
    """Keep a begun file for a later run."""
    if begun.received == 0 or begun.etag is None:
        return
    part, description = _part_of(target)
    # what cannot be kept is downloaded again
    with suppress(OSError):
        partial.replace(part)
        description.write_text(json.dumps(asdict(begun)), encoding="utf-8")
