"""The Kaggle set of images: list it, open one of its images, download all of it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from s2match.dataset.catalog import FINEST_PATTERNS, is_finest
from s2match.errors import PreparationError

KAGGLE_HANDLE = "isaienkov/deforestation-in-ukraine"
KAGGLE_PAGE = f"https://www.kaggle.com/datasets/{KAGGLE_HANDLE}"
_PAGE_SIZE = 200


class KaggleError(PreparationError):
    """Kaggle could not be asked, or did not give what was asked for."""


@dataclass(frozen=True)
class KagglePage:
    """One page of a Kaggle file listing: paths inside the set, and the token of the next page or ``""``."""

    files: tuple[str, ...]
    next_token: str


def fetch_kaggle_page(token: str) -> KagglePage:
    """Ask Kaggle for one page of the file listing; ``""`` asks for the first."""
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
    """Download one file of the Kaggle set into a folder; kagglehub checks its length and MD5."""
    import kagglehub

    return Path(kagglehub.dataset_download(KAGGLE_HANDLE, path=name, output_dir=str(folder)))


def fetch_kaggle_set() -> Path:
    """Download and unpack the whole Kaggle set into kagglehub's cache; return the folder."""
    import kagglehub

    return Path(kagglehub.dataset_download(KAGGLE_HANDLE))


@dataclass(frozen=True)
class Kaggle:
    """The calls that reach Kaggle, gathered so that they can be replaced.

    Attributes:
        list_page: Token to page of the file listing.
        fetch_file: Path inside the set and a folder to write below, to the file downloaded.
        fetch_set: Downloads everything; returns the folder.
    """

    list_page: Callable[[str], KagglePage] = fetch_kaggle_page
    fetch_file: Callable[[str, Path], Path] = fetch_kaggle_file
    fetch_set: Callable[[], Path] = fetch_kaggle_set


def list_kaggle_images(kaggle: Kaggle) -> tuple[str, ...]:
    """List the true-colour images of the Kaggle set, page by page; sorted by file name.

    Raises:
        KaggleError: Kaggle cannot be asked, or has no such image.
    """
    names = [name for page in _pages(kaggle) for name in page.files if is_finest(name)]
    if not names:
        wanted = " or ".join(FINEST_PATTERNS)
        raise _failure(f"find a {wanted} image in {KAGGLE_HANDLE}", "the listing names none")
    return tuple(sorted(names, key=lambda name: (PurePosixPath(name).name, name)))


@contextmanager
def opened_kaggle_image(name: str, folder: Path, kaggle: Kaggle) -> Iterator[BinaryIO]:
    """Download an image and open it; the download goes to a folder of its own, gone whatever happens.

    Args:
        name: Path inside the set.
        folder: Where that folder is made.
        kaggle: The calls to Kaggle.

    Raises:
        KaggleError: The download failed.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".kaggle-") as staging:
        with _attempt(f"download {name} of {KAGGLE_HANDLE}"):
            path = kaggle.fetch_file(name, Path(staging))
        with path.open("rb") as stream:
            yield stream


def download_kaggle_set(kaggle: Kaggle) -> Path:
    """Download everything; return the folder.

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
        # a server that repeats its token would be asked for ever
        if page.next_token in ("", token):
            return
        token = page.next_token


@contextmanager
def _attempt(what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise _failure(what, "kagglehub is not installed; run: pip install kagglehub") from error
    except Exception as error:
        # kagglehub and its transport raise a dozen unrelated classes, bare Exception among them
        detail = (str(error).splitlines() or [""])[0][:200]
        raise _failure(what, f"{type(error).__name__}: {detail}") from error


def _failure(what: str, why: str) -> KaggleError:
    return KaggleError(
        f"Kaggle: could not {what} ({why}). What is in the dataset folder stays: run it again to go on. Check the "
        "network and the Kaggle credentials (KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY), allow the full "
        f"download, or download the set by hand from {KAGGLE_PAGE} and give the zip or the unpacked folder as source."
    )
