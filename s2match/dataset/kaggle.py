"""The Kaggle dataset: list its images, download one of them or all."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from s2match.errors import PreparationError
from s2match.io.request_limits import LIMITS, Limits, Pace, RequestError
from s2match.io.scene_files import FINEST_PATTERNS, is_finest
from s2match.util.partial_files import partial_folder

KAGGLE_HANDLE = "isaienkov/deforestation-in-ukraine"
KAGGLE_PAGE = f"https://www.kaggle.com/datasets/{KAGGLE_HANDLE}"
_PAGE_SIZE = 200

_CHUNK_BYTES = 1 << 20

# Looks at what has been received, in each window of the limits.
_LOOKS = 30

# How much longer the whole dataset may seem to rest: kagglehub checks 30 GB before it goes on with them.
_SET_PATIENCE = 20

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


class KaggleError(PreparationError):
    """A request to Kaggle failed."""


@dataclass(frozen=True)
class KagglePage:
    """A page of the file listing.

    Attributes:
        files: Paths inside the dataset.
        next_token: Token of the next page; ``""`` on the last one.
    """

    files: tuple[str, ...]
    next_token: str


def fetch_kaggle_page(token: str) -> KagglePage:
    """Fetch a page of the file listing by its token; ``""`` is the token of the first page."""
    from kagglehub.clients import build_kaggle_client
    from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetFilesRequest

    request = ApiListDatasetFilesRequest()
    request.owner_slug, request.dataset_slug = KAGGLE_HANDLE.split("/")
    request.page_size = _PAGE_SIZE
    if token:
        request.page_token = token
    with build_kaggle_client() as client:
        answer = client.datasets.dataset_api_client.list_dataset_files(request)
    if answer.error_message:
        raise RuntimeError(answer.error_message)
    return KagglePage(tuple(file.name for file in answer.dataset_files), answer.next_page_token)


def fetch_kaggle_file(name: str, folder: Path) -> Path:
    """Download one file of the dataset into a folder; kagglehub checks its length and MD5."""
    import kagglehub

    return Path(kagglehub.dataset_download(KAGGLE_HANDLE, path=name, output_dir=str(folder)))


def fetch_kaggle_set() -> Path:
    """Download and unpack the whole dataset into kagglehub's cache; return the folder."""
    import kagglehub

    return Path(kagglehub.dataset_download(KAGGLE_HANDLE))


def kaggle_cache() -> Path:
    """The folder of kagglehub's cache."""
    from kagglehub.config import get_cache_folder

    return Path(get_cache_folder())


@dataclass(frozen=True)
class Kaggle:
    """The calls to Kaggle, which tests replace.

    Attributes:
        list_page: Fetches a page of the file listing by its token.
        fetch_file: Downloads a file, by its path inside the dataset, into a folder; returns the file.
        fetch_set: Downloads the whole dataset; returns the folder.
        set_folder: Returns the folder in which the whole dataset grows while it is downloaded.
        limits: Limits on the time of each call.
    """

    list_page: Callable[[str], KagglePage] = fetch_kaggle_page
    fetch_file: Callable[[str, Path], Path] = fetch_kaggle_file
    fetch_set: Callable[[], Path] = fetch_kaggle_set
    set_folder: Callable[[], Path] = kaggle_cache
    limits: Limits = LIMITS


def list_kaggle_images(kaggle: Kaggle) -> tuple[str, ...]:
    """List the true-colour images of the Kaggle dataset.

    Args:
        kaggle: The calls to Kaggle.

    Returns:
        Paths inside the dataset, sorted by file name.

    Raises:
        KaggleError: A request failed, or the dataset has no such image.
    """
    names = [name for page in _pages(kaggle) for name in page.files if is_finest(name)]
    if not names:
        patterns = " or ".join(FINEST_PATTERNS)
        raise _failure(f"find a {patterns} image in {KAGGLE_HANDLE}", "the listing names none")
    _LOG.info("%s lists %d true-colour images", KAGGLE_HANDLE, len(names))
    return tuple(sorted(names, key=lambda name: (PurePosixPath(name).name, name)))


def read_kaggle_image(name: str, folder: Path, kaggle: Kaggle) -> Iterator[bytes]:
    """Download an image into a temporary folder and read it in pieces; the folder is removed afterwards.

    Args:
        name: Path inside the dataset.
        folder: Where the temporary folder is made.
        kaggle: The calls to Kaggle.

    Yields:
        The bytes of the image.

    Raises:
        KaggleError: The download failed.
    """
    with partial_folder(folder) as place:
        with _attempt(f"download {name} of {KAGGLE_HANDLE}"):
            path = _limited(partial(kaggle.fetch_file, name, place), kaggle.limits, lambda: _bytes_in(place))
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk


def download_kaggle_set(kaggle: Kaggle) -> Path:
    """Download the whole dataset; return the folder.

    Raises:
        KaggleError: The download failed.
    """
    limits = replace(kaggle.limits, window_s=_SET_PATIENCE * kaggle.limits.window_s)
    limits = replace(limits, patience_s=_SET_PATIENCE * kaggle.limits.patience_s)
    with _attempt(f"download the whole of {KAGGLE_HANDLE}"):
        return _limited(kaggle.fetch_set, limits, lambda: _bytes_in(kaggle.set_folder()))


def _pages(kaggle: Kaggle) -> Iterator[KagglePage]:
    token = ""
    while True:
        with _attempt(f"list the files of {KAGGLE_HANDLE}"):
            page = _limited(partial(kaggle.list_page, token), kaggle.limits)
        yield page
        # a repeated token would never end
        if page.next_token in ("", token):
            return
        token = page.next_token


def _limited(call: Callable[[], T], limits: Limits, received: Callable[[], int] = lambda: 0) -> T:
    """Result of a call, which is left when it receives too little; kagglehub has no limits on the time.

    Args:
        call: The call; it runs in a thread of its own, which is left alone if it does not end.
        limits: The limits.
        received: Bytes that have been received.

    Raises:
        RequestError: The call does not end and receives too little.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    pace, before = Pace(limits, time.monotonic() + limits.patience_s), received()
    while True:
        try:
            return done.result(min(limits.window_s / _LOOKS, pace.seconds_left()))
        except TimeoutError:
            if done.done():
                return done.result()
        # archives are removed once they are unpacked
        pace.add(max(0, received() - before))
        before = received()


def _bytes_in(folder: Path) -> int:
    """Bytes of the files below a folder; files that vanish meanwhile count nothing."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                count += (Path(place) / name).stat().st_size
    return count


@contextmanager
def _attempt(action: str) -> Iterator[None]:
    """Turn every failure of an action into a KaggleError."""
    try:
        yield
    except ImportError as error:
        raise _failure(action, "kagglehub is not installed; run: pip install kagglehub") from error
    except RequestError as error:
        raise _failure(action, str(error)) from error
    except Exception as error:
        # kagglehub and its transport raise many unrelated classes, even Exception itself
        detail = (str(error).splitlines() or [""])[0][:200]
        raise _failure(action, f"{type(error).__name__}: {detail}") from error


def _failure(action: str, reason: str) -> KaggleError:
    return KaggleError(
        f"Kaggle: could not {action} ({reason}). Images in the dataset folder are kept: run it again to continue. "
        "Check the network and the Kaggle credentials (KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY). Or allow "
        f"the full download. Or download the dataset by hand from {KAGGLE_PAGE}, and give the zip or the unpacked "
        "folder as the source."
    )
