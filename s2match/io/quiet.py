"""Open image files and call other libraries without their warnings, from any number of threads.

Warning filters belong to the process: if two threads use ``warnings.catch_warnings``, the filter of one of them may
stay for ever. So only one thread at a time calls other libraries, and rasterio is kept from warning at all.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rasterio.io import DatasetReader, DatasetWriter

# The filters that it guards belong to the process, too.
_FILTERS_LOCK = threading.RLock()


@contextmanager
def without_warnings(category: type[Warning], message: str = "") -> Iterator[None]:
    """Ignore warnings of a category within the block, one thread at a time.

    Args:
        category: The category.
        message: Regular expression that the start of the message matches.
    """
    with _FILTERS_LOCK, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield


# rasterio has no option against NotGeoreferencedWarning, and a filter for this module would end where a user or pytest
# sets others. It asks this method before it warns, and for nothing else; a test holds that it still does.
class QuietReader(DatasetReader):  # type: ignore[misc]
    """An open image file, without warnings."""

    def _has_gcps_or_rpcs(self) -> bool:
        """Whether the file has GCPs or RPCs; always True, to keep rasterio from warning."""
        return True


class _Writer(DatasetWriter):  # type: ignore[misc]
    def _has_gcps_or_rpcs(self) -> bool:
        """See :class:`QuietReader`."""
        return True


def create_geotiff(path: Path, **profile: Any) -> DatasetWriter:
    """Create a GeoTIFF as ``rasterio.open`` does, within a ``rasterio.Env``.

    Raises:
        RasterioError: The file cannot be created.
    """
    return _Writer(str(path), "w", driver="GTiff", **profile)
