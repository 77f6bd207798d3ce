"""Open image files, with one error class for files that are missing or damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio

from s2match.core.image_path import ImagePath, gdal_name
from s2match.errors import S2MatchError, UnreadableImageError
from s2match.io.borders import reading
from s2match.io.image_drivers import drivers_of, refuse_descriptions, refuse_foreign_overviews
from s2match.io.image_file import ImageFile, RemoteImageFile
from s2match.io.missing_paths import no_image_message
from s2match.io.remote import is_remote, remote_settings, retried

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z")

# Most images of a container that an error message names.
_NAMED_IMAGES = 8


@contextmanager
def opened(path: ImagePath, overview: int | None = None) -> Iterator[ImageFile]:
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
    with open_image(path, overview) as file:
        if file.count == 0:
            raise UnreadableImageError(_no_bands_message(path, file.subdatasets))
        yield file


@contextmanager
def open_image(
    path: ImagePath,
    overview: int | None = None,
    failure: type[S2MatchError] = UnreadableImageError,
    what: str = "",
) -> Iterator[ImageFile]:
    """Open an image file as ``rasterio.open`` does, without warnings; a remote file with retries.

    A file that is open already is shared, with its cached blocks. Formats are those of
    :func:`s2match.io.image_drivers.drivers_of`.

    Args:
        path: The file.
        overview: Index of an overview; None for full resolution.
        failure: Class of the errors of this file, also when it is read later.
        what: What the file is, for messages, with a blank at its end.

    Raises:
        S2MatchError: The file is no image; of the class ``failure``.
    """
    options = {} if overview is None else {"overview_level": overview}
    reader = RemoteImageFile if is_remote(path) else ImageFile
    # one decoding thread: GDAL loses the errors of damaged tiles in other threads
    with rasterio.Env(GDAL_NUM_THREADS="1", **remote_settings(path)):
        with reading(path, failure, what):
            refuse_descriptions(path, failure, what)
            file = retried(path, lambda: reader(gdal_name(path), driver=drivers_of(path), sharing=True, **options))
        with file:
            file.opened_as(path, failure, what)
            refuse_foreign_overviews(file)
            yield file


@contextmanager
def block_cache(capacity_bytes: int) -> Iterator[None]:
    """Limit GDAL's cache of decoded blocks within the block; it belongs to the process, and to all of its threads.

    Args:
        capacity_bytes: Most memory of the cache.
    """
    with rasterio.Env(GDAL_CACHEMAX=capacity_bytes):
        yield


def _no_bands_message(path: ImagePath, subdatasets: list[str]) -> str:
    if not subdatasets:
        return f"{path} contains no image."
    more = ", …" if len(subdatasets) > _NAMED_IMAGES else ""
    return (
        f"{path} is a container of {len(subdatasets)} images: write one of them to a file of its own, with "
        f"gdal_translate (there are {', '.join(subdatasets[:_NAMED_IMAGES])}{more})."
    )
