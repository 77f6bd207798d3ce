"""Read remote files: settings of GDAL, retries, and messages without credentials.

GDAL's settings for files behind HTTP: https://gdal.org/user/virtual_file_systems.html#network-based-file-systems.
"""

import logging
import os
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import rasterio
from numpy.typing import NDArray
from rasterio.env import getenv, hasenv

from s2match.core.image_path import ImagePath, VirtualFile, gdal_name, image_path, without_credentials
from s2match.io.quiet import QuietReader
from s2match.util.borders import reason_of
from s2match.util.gdal import FILE_ERRORS

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

# Handlers of GDAL that read over a network; they may be the container of another one, as in "/vsizip//vsicurl/…".
_REMOTE = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(_streaming)?[/?]")

# GDAL repeats a request after these statuses, with delays of 0.5, 1, 2 and 4 s.
_GDAL_RETRIES, _GDAL_DELAY_S = 4, 0.5

SETTINGS = {
    # no listing of the folder, and no request for files beside the image
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # one request for the header of a Cloud Optimized GeoTIFF of a full tile
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    # one request for neighbouring blocks
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MAX_RETRY": str(_GDAL_RETRIES),
    "GDAL_HTTP_RETRY_DELAY": str(_GDAL_DELAY_S),
    "GDAL_HTTP_CONNECTTIMEOUT": "8",
    # a connection that stalls: less than 1 kB/s for 15 s, which GDAL waits up to three times before it gives up; a
    # limit of the whole time would end slow downloads
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_LOW_SPEED_TIME": "15",
}

# Whether a server answers at all is asked with shorter limits, before a file is read again.
_PROBE_S = 4
PROBE_SETTINGS = {
    "GDAL_HTTP_CONNECTTIMEOUT": str(_PROBE_S),
    "GDAL_HTTP_LOW_SPEED_TIME": str(_PROBE_S),
}

# Delays before a file is read again that GDAL did not repeat itself: connections that are refused or cut off.
_DELAYS_S = (0.5, 2.0)

_STATUS = re.compile(r"HTTP (?:response|error) code\s*:?\s*(\d{3})")

_NO_CREDENTIALS = re.compile(r"NO_SIGN_REQUEST|InvalidCredentials|configuration options? not defined", re.IGNORECASE)

_STALLED = re.compile(r"too slow|timed? ?out", re.IGNORECASE)

# Settings whose values are credentials, by a part of their name.
_SECRET = re.compile(
    r"^(AWS|GS|AZURE|GOOGLE|OSS|SWIFT|GDAL_HTTP|CPL_GS|CPL_AZURE).*(KEY|SECRET|TOKEN|PASS|PWD|SAS|STRING|BEARER)"
)
_SHORTEST_SECRET = 6


def is_remote(path: ImagePath) -> bool:
    """Whether GDAL reads a file over a network."""
    return isinstance(path, VirtualFile) and _REMOTE.search(path.dataset) is not None


def remote_settings(path: ImagePath) -> dict[str, str]:
    """Settings of GDAL to read a remote file; none for others. Those of the user stay as they are.

    A setting is the user's if it is in the environment or in an enclosing ``rasterio.Env``.
    """
    if not is_remote(path):
        return {}
    chosen = os.environ.keys() | (getenv().keys() if hasenv() else set())
    return {name: value for name, value in SETTINGS.items() if name not in chosen}


class RemoteReader(QuietReader):
    """A dataset that is read again after a connection was cut off."""

    def read(self, *arguments: Any, **options: Any) -> NDArray[Any]:
        """See ``rasterio.DatasetReader.read``."""
        return retried(image_path(self.name), partial(super().read, *arguments, **options))

    def read_masks(self, *arguments: Any, **options: Any) -> NDArray[Any]:
        """See ``rasterio.DatasetReader.read_masks``."""
        return retried(image_path(self.name), partial(super().read_masks, *arguments, **options))


def retried(
    path: ImagePath,
    attempt: Callable[[], T],
    errors: tuple[type[Exception], ...] = FILE_ERRORS,
    forget: Callable[[ImagePath], None] | None = None,
) -> T:
    """Result of reading from a remote file, tried again where GDAL does not: after connections refused or cut off.

    GDAL keeps the bytes of a connection that was cut off, and the absence of a file that it could not reach. They are
    discarded before each further attempt. A server that stalls is not tried again: it would cost the same time.

    Args:
        path: The file; a local one is read once.
        attempt: Reads from it.
        errors: Errors of GDAL that the attempt raises.
        forget: Discards what GDAL has cached of the file; None for the GDAL of rasterio.

    Raises:
        RasterioError: The last attempt failed, or the server answered with an error.
    """
    if not is_remote(path):
        return attempt()
    # rasterio logs the warnings of GDAL
    logging.getLogger("rasterio._env").addFilter(_hide_credentials)
    for delay_s in _DELAYS_S:
        try:
            return attempt()
        except errors as error:
            if http_status(error) is not None or _lacks_credentials(error) or _STALLED.search(str(error)):
                raise
            _LOG.info("%s: %s; again in %g s", path, read_failure(path, error), delay_s)
            time.sleep(delay_s)
            asked = time.monotonic()
            (forget or _forget)(path)
            if time.monotonic() - asked >= _PROBE_S:
                raise
    return attempt()


def _hide_credentials(record: logging.LogRecord) -> bool:
    """Remove credentials of URLs from a log record, which is kept."""
    record.msg, record.args = without_credentials(record.getMessage()), ()
    return True


def _forget(path: ImagePath) -> None:
    """Discard what GDAL has cached of a file.

    Raises:
        RasterioError: The server answers with an error.
    """
    try:
        # GDAL discards the cache of a file when it is closed
        with rasterio.Env(CPL_VSIL_CURL_NON_CACHED="/vsi", **PROBE_SETTINGS):
            QuietReader(gdal_name(path), sharing=False).close()
    except FILE_ERRORS as error:
        if http_status(error) is not None:
            raise


def http_status(error: BaseException | None) -> int | None:
    """Status that a server answered with, by the messages of an error and its causes; None if they name none."""
    while error is not None:
        if match := _STATUS.search(str(error)):
            return int(match[1])
        error = error.__cause__
    return None


def _lacks_credentials(error: BaseException) -> bool:
    """Whether GDAL has not asked a bucket because it has no credentials."""
    return _NO_CREDENTIALS.search(str(error)) is not None


def read_failure(path: ImagePath, error: BaseException) -> str:
    """Why a file cannot be read and, if it is remote, what to do, without a full stop and without credentials."""
    if not is_remote(path):
        return reason_of(error)
    status, message = http_status(error), _without_secrets(path, reason_of(error))
    if status in (401, 403):
        return (
            f"the server refuses access (HTTP status {status}): check GDAL's settings of your credentials, or get "
            "a new signed URL"
        )
    if status in (404, 410):
        return f"the server has no such file (HTTP status {status})"
    if status is not None:
        return (
            f"the server failed (HTTP status {status}), after {_GDAL_RETRIES} retries if it was busy: try again later"
        )
    if _lacks_credentials(error):
        return f"GDAL has no credentials for it: set them, or GDAL's setting for public buckets ({message})"
    if "CURL error" in message:
        return f"the server cannot be reached ({message.partition('CURL error: ')[2]}): check its name and your network"
    if "Read failed" in message or "IReadBlock" in message:
        return f"the connection is cut off or stalls, also after retries, or the file is damaged ({message})"
    return message


def _without_secrets(path: ImagePath, message: str) -> str:
    """A message of GDAL without the query and the user of a URL, and without the values of secret settings."""
    settings = {**os.environ, **(getenv() if hasenv() else {})}
    for name, value in settings.items():
        if _SECRET.match(name) and len(str(value)) >= _SHORTEST_SECRET:
            message = message.replace(str(value), "***")
    name = gdal_name(path)
    query = name.partition("?")[2]
    message = message.replace(name, str(path))
    return without_credentials(message.replace(f"?{query}", "") if query else message)
