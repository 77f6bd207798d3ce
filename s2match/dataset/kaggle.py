"""The Kaggle dataset: list its images, download one of them or all."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from s2match.errors import PreparationError
from s2match.io.scene_files import FINEST_PATTERNS, is_finest

KAGGLE_HANDLE = "isaienkov/deforestation-in-ukraine"
KAGGLE_PAGE = f"https://www.kaggle.com/datasets/{KAGGLE_HANDLE}"
_PAGE_SIZE = 200

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


@dataclass(frozen=True)
class Kaggle:
    """The calls to Kaggle, which tests replace.

    Attributes:
        list_page: Fetches a page of the file listing by its token.
        fetch_file: Downloads a file, by its path inside the dataset, into a folder; returns the file.
        fetch_set: Downloads the whole dataset; returns the folder.
    """

    list_page: Callable[[str], KagglePage] = fetch_kaggle_page
    fetch_file: Callable[[str, Path], Path] = fetch_kaggle_file
    fetch_set: Callable[[], Path] = fetch_kaggle_set


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


@contextmanager
def opened_kaggle_image(name: str, folder: Path, kaggle: Kaggle) -> Iterator[BinaryIO]:
    """Download an image into a temporary folder and open it; the temporary folder is removed afterwards.

    Args:
        name: Path inside the dataset.
        folder: Where the temporary folder is made.
        kaggle: The calls to Kaggle.

    Yields:
        The opened image.

    Raises:
        KaggleError: The download failed.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".kaggle-") as staging:
        with _attempt(f"download {name} of {KAGGLE_HANDLE}"):
            path = kaggle.fetch_file(name, Path(staging))
        with path.open("rb") as stream:
            yield stream


def download_kaggle_set(kaggle: Kaggle) -> Path:
    """Download the whole dataset; return the folder.

    Raises:
        KaggleError: The download failed.
    """
    with _attempt(f"download the whole of {KAGGLE_HANDLE}"):
        return kaggle.fetch_set()


def _pages(kaggle: Kaggle) -> Iterator[KagglePage]:
    token = ""
    while True:
        with _attempt(f"list the files of {KAGGLE_HANDLE}"):
            page = kaggle.list_page(token)
        yield page
        # a repeated token would never end
        if page.next_token in ("", token):
            return
        token = page.next_token


@contextmanager
def _attempt(action: str) -> Iterator[None]:
    """Turn every failure of an action into a KaggleError."""
    try:
        yield
    except ImportError as error:
        raise _failure(action, "kagglehub is not installed; run: pip install kagglehub") from error
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
