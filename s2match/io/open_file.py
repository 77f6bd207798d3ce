"""Open image files; damage and missing files become errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio

from s2match.errors import UnreadableImageError
from s2match.io.missing_paths import why_no_image
from s2match.io.quiet import open_image
from s2match.util.gdal import FILE_ERRORS, gdal_message

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z")

# Images of a container that are named.
_NAMED_PARTS = 8


@contextmanager
def opened(path: Path, overview: int | None = None) -> Iterator[rasterio.DatasetReader]:
    """Open an image file so that damage met while reading is an error, and a missing georeference no warning.

    Args:
        path: The file.
        overview: Index of a reduced resolution; None for full resolution.

    Raises:
        UnreadableImageError: The file is missing, not an image, or damaged.
    """
    if not path.is_file():
        raise UnreadableImageError(why_no_image(path))
    if path.suffix.lower() in _ARCHIVES:
        raise UnreadableImageError(f"{path} is an archive: unpack it, and give the image file in it.")
    options = {} if overview is None else {"overview_level": overview}
    try:
        # one decoding thread: GDAL loses the errors of damaged tiles met in others
        with rasterio.Env(GDAL_NUM_THREADS="1"), open_image(path, **options) as file:
            if file.count == 0:
                raise UnreadableImageError(_bands_missing(path, file.subdatasets))
            yield file
    except FILE_ERRORS as error:
        raise UnreadableImageError(f"Cannot read {path}: {gdal_message(error)}.") from error


def _bands_missing(path: Path, parts: list[str]) -> str:
    """What to say of a container."""
    if not parts:
        return f"{path} holds no image."
    more = ", …" if len(parts) > _NAMED_PARTS else ""
    return (
        f"{path} is a container of {len(parts)} images: write one of them to a file of its own, with gdal_translate "
        f"(there are {', '.join(parts[:_NAMED_PARTS])}{more})."
    )
