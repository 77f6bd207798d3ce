"""HTTP requests with limits on their time, tried again where that may help."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from s2match.core.image_path import without_credentials
from s2match.io.paced_http import PacedHTTP, PacedHTTPS
from s2match.io.request_limits import Limits, Pace, RequestError

T = TypeVar("T")

# Statuses of a server that is busy.
_BUSY = (408, 425, 429, 500, 502, 503, 504)

# Retries of a server that is busy, and of one that cannot be reached or cuts the connection off.
_BUSY_RETRIES, _UNREACHABLE_RETRIES = 4, 2

_CHUNK_BYTES = 1 << 16

_AUTHORIZATION = "Authorization"


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
    opener = build_opener(PacedHTTP(pace), PacedHTTPS(pace), redirects)
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
