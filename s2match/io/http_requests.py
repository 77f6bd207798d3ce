"""HTTP requests with limits on their time: on connecting, on the speed, and on all attempts together.

A timeout of a socket alone is no limit: a server that sends a byte every few seconds keeps a connection for ever.
"""

import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import IO, Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from s2match.core.image_path import without_credentials

T = TypeVar("T")

# Statuses of a server that is busy.
_BUSY = (408, 425, 429, 500, 502, 503, 504)

# Retries of a server that is busy, and of one that cannot be reached or cuts the connection off.
_BUSY_RETRIES, _UNREACHABLE_RETRIES = 4, 2

_CHUNK_BYTES = 1 << 16

_AUTHORIZATION = "Authorization"


@dataclass(frozen=True)
class Limits:
    """Limits on the time of a request and its retries.

    Attributes:
        connect_s: Most seconds to connect, and to send the request.
        window_s: Seconds in which the speed is measured. A server that sends nothing is left after this time.
        least_speed: Least bytes per second in each window.
        patience_s: Most seconds of all attempts together. They begin anew when an attempt has received new bytes at
            the least speed.
        delays_s: Seconds before each retry.
    """

    connect_s: float = 10.0
    window_s: float = 30.0
    least_speed: float = 1000.0
    patience_s: float = 50.0
    delays_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)

    @property
    def least_bytes(self) -> float:
        """Least bytes of a window."""
        return self.least_speed * self.window_s


LIMITS = Limits()


class RequestError(Exception):
    """Why a request failed, without a full stop and without credentials."""

    def __init__(self, reason: str, retries: int = 0, status: int | None = None) -> None:
        """Store the reason.

        Args:
            reason: The reason.
            retries: How often it is worth to try again.
            status: HTTP status of the answer; None without one.
        """
        super().__init__(reason)
        self.retries, self.status = retries, status


@dataclass
class Pace:
    """The speed at which the bytes of a request arrive.

    Attributes:
        limits: The limits.
        deadline: When the attempts end that receive nothing new, by ``time.monotonic``.
    """

    limits: Limits
    deadline: float
    _begun: float = field(default_factory=time.monotonic)
    _bytes: int = 0
    _windows: int = 0

    def seconds_left(self) -> float:
        """Seconds to wait for the next bytes.

        Raises:
            RequestError: The server is too slow.
        """
        now = time.monotonic()
        if now >= self._begun + self.limits.window_s and self._bytes >= self.limits.least_bytes:
            self._begun, self._bytes, self.deadline = now, 0, now + self.limits.patience_s
            self._windows += 1
        left = min(self._begun + self.limits.window_s, self.deadline) - now
        if left <= 0:
            sent = f"only {self._bytes} bytes" if self._bytes else "nothing"
            # a server that has sent a part before may send the rest
            retries = 1 if self._windows or self._bytes >= self.limits.least_bytes else 0
            raise RequestError(f"the server has sent {sent} for {now - self._begun:.0f} s", retries)
        return left

    def add(self, count: int) -> None:
        """Count bytes that have arrived."""
        self._bytes += count


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        status: Its status, 200 or 206.
        headers: Its headers; names in any case.
        linked_etag: Header ``X-Linked-ETag`` of the redirections before it; None without one.
        chunks: The body; raises RequestError where the connection fails.
    """

    status: int
    headers: Mapping[str, str]
    linked_etag: str | None
    chunks: Iterator[bytes]

    @property
    def length(self) -> int | None:
        """Bytes of the body; None if the server does not say."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() else None


@contextmanager
def opened_url(request: Request, pace: Pace) -> Iterator[Answer]:
    """Send a request and open the answer.

    Args:
        request: The request.
        pace: Limits the time of the headers and of the body.

    Raises:
        RequestError: The server cannot be reached, is too slow, or answers with an error.
    """
    redirects = _Redirects()
    opener = build_opener(_PacedHTTP(pace), _PacedHTTPS(pace), redirects)
    with _network_errors():
        answer = opener.open(request, timeout=min(pace.limits.connect_s, pace.seconds_left()))
    with answer:
        yield Answer(answer.status, answer.headers, redirects.linked_etag, _chunks(answer))


def attempts(attempt: Callable[[Pace], T], limits: Limits, begun: float, received: Callable[[], int] = lambda: 0) -> T:
    """Result of a request, tried again where that may help.

    Args:
        attempt: Sends the request.
        limits: The limits.
        begun: When the attempts began, by ``time.monotonic``; also those at other addresses.
        received: Bytes that all attempts together have received and kept.

    Raises:
        RequestError: The last attempt failed.
    """
    retries, kept = 0, received()
    while True:
        try:
            return attempt(Pace(limits, begun + limits.patience_s))
        except RequestError as error:
            if received() - kept >= limits.least_bytes:
                retries, kept, begun = 0, received(), time.monotonic()
            if retries >= min(error.retries, len(limits.delays_s)):
                raise
            delay_s = limits.delays_s[retries]
            if time.monotonic() + delay_s >= begun + limits.patience_s:
                raise
        retries += 1
        time.sleep(delay_s)


def _chunks(answer: HTTPResponse) -> Iterator[bytes]:
    """The body of an answer, as it arrives."""
    while True:
        with _network_errors():
            chunk = answer.read1(_CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


@contextmanager
def _network_errors() -> Iterator[None]:
    """Turn errors of a connection within the block into RequestError."""
    try:
        yield
    except HTTPError as error:
        with error:
            retries = _BUSY_RETRIES if error.code in _BUSY else 0
            raise RequestError(f"HTTP status {error.code} {error.reason}", retries, error.code) from error
    # ValueError: a URL of a redirection that is none
    except (OSError, HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        reason = getattr(cause, "strerror", None) or str(cause) or type(error).__name__
        raise RequestError(
            f"the server cannot be reached ({without_credentials(reason)})", _UNREACHABLE_RETRIES
        ) from error


class _PacedHTTP(HTTPHandler):
    """Opens http URLs at a pace."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_connection, HTTPConnection, self._pace), req)


class _PacedHTTPS(HTTPSHandler):
    """Opens https URLs at a pace."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_connection, HTTPSConnection, self._pace), req)


class _Redirects(HTTPRedirectHandler):
    """Follows redirections; credentials stay at their server."""

    def __init__(self) -> None:
        self.linked_etag: str | None = None

    def redirect_request(  # noqa: PLR0913, the parameters are those of urllib
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        self.linked_etag = headers.get("X-Linked-ETag", self.linked_etag)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            request.remove_header(_AUTHORIZATION)
        return request


class _PacedResponse(HTTPResponse):
    """An answer whose headers and body are read at a pace."""

    def __init__(self, pace: Pace, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(_PacedSocket(pace, sock), *arguments, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _PacedSocket:
    """What HTTPResponse needs of a socket."""

    pace: Pace
    sock: socket.socket

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_PacedFile(self.pace, self.sock))


class _PacedFile(io.RawIOBase):
    """The bytes that arrive at a socket, as long as they arrive fast enough."""

    def __init__(self, pace: Pace, sock: socket.socket) -> None:
        super().__init__()
        # a file keeps the connection open, which urllib closes once the headers are there
        self._pace, self._sock, self._file = pace, sock, sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._pace.seconds_left())
        try:
            count = self._file.readinto(buffer)
        except TimeoutError:
            self._pace.seconds_left()
            raise
        self._pace.add(count or 0)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _connection(kind: type[HTTPConnection], pace: Pace, host: str, **options: Any) -> HTTPConnection:
    connection = kind(host, **options)
    connection.response_class = partial(_PacedResponse, pace)  # type: ignore[assignment]
    connection._create_connection = _connected  # type: ignore[attr-defined]
    return connection


def _connected(address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
    """A connection to one of the addresses of a host; ``timeout`` is that of all of them together."""
    deadline = time.monotonic() + timeout
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _name, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(left)
        try:
            sock.connect(place)
        except OSError as error:
            failure = error
            sock.close()
        else:
            sock.settimeout(timeout)
            return sock
    raise failure
