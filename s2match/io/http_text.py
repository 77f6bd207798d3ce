"""Texts behind http(s) URLs, read with retries."""

import base64
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from s2match.core.image_path import without_credentials
from s2match.errors import UnreadableImageError

if TYPE_CHECKING:
    from urllib.request import Request

    from s2match.io.request_limits import Limits, Pace

# Longest text; the answer of a catalogue has a few hundred kB.
_MOST_BYTES = 1 << 26


def read_url(url: str, body: bytes | None = None, limits: "Limits | None" = None) -> str:
    """Text behind an http(s) URL; a user and a password in it are sent as basic authentication.

    Args:
        url: The URL.
        body: JSON to post; None to get the URL.
        limits: Limits on the time; None for :data:`s2match.io.request_limits.LIMITS`.

    Raises:
        UnreadableImageError: It cannot be read, also after retries.
    """
    # takes a fiftieth of a second to import
    from s2match.io.http_requests import attempts
    from s2match.io.request_limits import LIMITS, RequestError

    try:
        request = _request(url, body)
        return attempts(lambda pace: _text(request, pace), limits or LIMITS, time.monotonic())
    except (RequestError, ValueError) as error:
        raise UnreadableImageError(f"Cannot read {without_credentials(url)}: {error}.") from None


def _request(url: str, body: bytes | None) -> "Request":
    """The request of a URL."""
    from urllib.request import Request

    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    request = Request(urlunsplit(parts._replace(netloc=host, fragment="")), body)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if credentials:
        token = base64.b64encode(unquote(credentials).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    return request


def _text(request: "Request", pace: "Pace") -> str:
    """The text that a server answers."""
    from s2match.io.http_requests import opened_url
    from s2match.io.request_limits import RequestError

    received = bytearray()
    with opened_url(request, pace) as answer:
        for chunk in answer.chunks:
            received += chunk
            if len(received) > _MOST_BYTES:
                raise RequestError(f"it is longer than {_MOST_BYTES >> 20} MB")
    if answer.length is not None and len(received) < answer.length:
        raise RequestError("the connection was cut off", 2)
    try:
        return received.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError("it is not text") from error
