"""Open image files, with one error class for files that are missing or damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio

from s2match.core.image_path import ImagePath, gdal_name
from s2match.errors import UnreadableImageError
from s2match.io.missing_paths import no_image_message
from s2match.io.quiet import QuietReader
from s2match.io.remote import RemoteReader, is_remote, read_failure, remote_settings, retried
from s2match.util.gdal import FILE_ERRORS

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z")

# Most images of a container that an error message names.
_NAMED_IMAGES = 8


@contextmanager
def opened(path: ImagePath, overview: int | None = None) -> Iterator[rasterio.DatasetReader]:
    """Open an image file; damage detected while reading is an error, and a missing georeference gives no warning.

    Args:
        path: The file.
        overview: Index of an overview; None for full resolution.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    if isinstance(path, Path) and not path.is_file():
        raise UnreadableImageError(no_image_message(path))
    if isinstance(path, Path) and path.suffix.lower() in _ARCHIVES:
        raise UnreadableImageError(f"{path} is an archive: unpack it, and give the image file in it.")
    options = {} if overview is None else {"overview_level": overview}
    with reading(path), open_image(path, **options) as file:
        if file.count == 0:
            raise UnreadableImageError(_no_bands_message(path, file.subdatasets))
        yield file


@contextmanager
def open_image(path: ImagePath, **options: Any) -> Iterator[rasterio.DatasetReader]:
    """Open an image file as ``rasterio.open`` does, without warnings; a remote file with retries.

    A file that is open already is shared, with its cached blocks.

    Raises:
        RasterioError: The file is no image.
    """
    reader = RemoteReader if is_remote(path) else QuietReader
    # one decoding thread: GDAL loses the errors of damaged tiles in other threads
    with (
        rasterio.Env(GDAL_NUM_THREADS="1", **remote_settings(path)),
        retried(path, lambda: reader(gdal_name(path), sharing=True, **options)) as file,
    ):
        yield file


@contextmanager
def block_cache(capacity_bytes: int) -> Iterator[None]:
    """Limit GDAL's cache of decoded blocks within the block; it belongs to the process, and to all of its threads.

    Args:
        capacity_bytes: Most memory of the cache.
    """
    with rasterio.Env(GDAL_CACHEMAX=capacity_bytes):
        yield


@contextmanager
def reading(path: ImagePath) -> Iterator[None]:
    """Turn GDAL's errors within the block into the error of a file that cannot be read.

    Raises:
        UnreadableImageError: GDAL cannot read the file.
    """
    try:
        yield
    except FILE_ERRORS as error:
        # the messages of the cause may contain credentials of a URL
        cause = None if is_remote(path) else error
        raise UnreadableImageError(f"Cannot read {path}: {read_failure(path, error)}.") from cause


def _no_bands_message(path: ImagePath, subdatasets: list[str]) -> str:
    if not subdatasets:
        return f"{path} contains no image."
    more = ", …" if len(subdatasets) > _NAMED_IMAGES else ""
    return (
        f"{path} is a container of {len(subdatasets)} images: write one of them to a file of its own, with "
        f"gdal_translate (there are {', '.join(subdatasets[:_NAMED_IMAGES])}{more})."
    )
