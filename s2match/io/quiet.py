"""Open image files and call other libraries without their warnings.

Filters of warnings are the process's, and two threads that set them for a moment may leave one's filter for good. So
image files that may have no georeference are opened such that rasterio does not warn, and what cannot be kept from
warning is run by one thread at a time.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rasterio.io import DatasetReader, DatasetWriter

_FILTERS = threading.Lock()


@contextmanager
def without_warnings(category: type[Warning], message: str = "") -> Iterator[None]:
    """Ignore warnings of a category within the block, those that begin with a pattern; one thread at a time."""
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield


class _Reader(DatasetReader):  # type: ignore[misc]
    def _has_gcps_or_rpcs(self) -> bool:
        """What rasterio asks before it warns that a file has no transform, and for nothing else."""
        return True


class _Writer(DatasetWriter):  # type: ignore[misc]
    def _has_gcps_or_rpcs(self) -> bool:
        """See :class:`_Reader`."""
        return True


def open_image(path: Path, **options: Any) -> DatasetReader:
    """Open an image file, as ``rasterio.open`` does, within a ``rasterio.Env``.

    What is held open already is shared and not decoded anew.

    Raises:
        RasterioError: The file is no image.
    """
    return _Reader(str(path), sharing=True, **options)


def create_geotiff(path: Path, **profile: Any) -> DatasetWriter:
    """Make a GeoTIFF, as ``rasterio.open`` does, within a ``rasterio.Env``.

    Raises:
        RasterioError: The file cannot be made.
    """
    return _Writer(str(path), "w", driver="GTiff", **profile)
