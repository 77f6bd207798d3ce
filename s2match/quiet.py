"""Open and make image files that may have no georeference, without rasterio's warning of it.

``warnings.catch_warnings`` is no way to do so: filters are the process's, and two threads that set them for a moment
may leave one's filter for good. Here rasterio is kept from warning at all.
"""

from pathlib import Path
from typing import Any

from rasterio.io import DatasetReader, DatasetWriter


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
