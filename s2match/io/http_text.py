"""Texts behind http(s) URLs, read with retries."""

import base64
import time
from urllib.parse import unquote, urlsplit, urlunsplit

from s2match.core.image_path import without_credentials
from s2match.errors import UnreadableImageError

# Statuses of a server that is busy, and the delays before it is asked again; a server that cannot be reached is asked
# again after the first ones only.
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_DELAYS_S = (0.5, 1.0, 2.0, 4.0)
_UNREACHABLE_RETRIES = 2
_TIMEOUT_S = 30


def read_url(url: str, body: bytes | None = None) -> str:
    """Text behind an http(s) URL; a user and a password in it are sent as basic authentication.

    Args:
        url: The URL.
        body: JSON to post; None to get the URL.

    Raises:
        UnreadableImageError: It cannot be read, also after retries.
    """
    for attempt, delay_s in enumerate((*_DELAYS_S, None)):
        try:
            return _request(url, body)
        except _FailureError as failure:
            if delay_s is None or attempt >= failure.retries:
                raise UnreadableImageError(f"Cannot read {without_credentials(url)}: {failure}.") from None
        time.sleep(delay_s)
    raise AssertionError("the last attempt returns or raises")


class _FailureError(Exception):
    """Why an attempt failed, and how often it is worth to try again."""

    def __init__(self, reason: str, retries: int) -> None:
        super().__init__(reason)
        self.retries = retries


def _request(url: str, body: bytes | None) -> str:
    # takes a fiftieth of a second to import
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    request = Request(urlunsplit(parts._replace(netloc=host, fragment="")), body)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if credentials:
        token = base64.b64encode(unquote(credentials).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read()).decode("utf-8")
    except HTTPError as error:
        retries = len(_DELAYS_S) if error.code in _BUSY else 0
        raise _FailureError(f"HTTP status {error.code} {error.reason}", retries) from error
    except UnicodeDecodeError as error:
        raise _FailureError("it is not text", 0) from error
    except (OSError, HTTPException) as error:
        reason = without_credentials(str(getattr(error, "reason", error)))
        raise _FailureError(f"the server cannot be reached ({reason})", _UNREACHABLE_RETRIES) from error
