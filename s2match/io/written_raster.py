"""Check that a GeoTIFF is whole, after it was written.

GDAL's errors at the close of a file are lost: rasterio ignores them, and GDAL does not even log most of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.windows import Window

from s2match.errors import UnreadableImageError
from s2match.io.bands import has_own_mask
from s2match.io.open_file import open_image
from s2match.io.tiff_segments import segments_damage
from s2match.util.borders import reason_of
from s2match.util.output_place import write_failure

# Size above which a Cloud Optimized GeoTIFF has overviews, and rows that are read at a time.
_TILE_PX = 512


def check_segments(path: Path) -> None:
    """Refuse a GeoTIFF without some of its tiles; their content is not read.

    Raises:
        OutputError: It is not whole.
    """
    damage = segments_damage(path)
    if damage is not None:
        raise write_failure(path, damage)


def check_geotiff(path: Path, size: tuple[int, int], is_cog: bool = False) -> None:
    """Refuse a GeoTIFF that was not written as a whole: every tile, overview and mask is read.

    Args:
        path: The file, which is closed.
        size: Width and height that it must have.
        is_cog: Whether it must have the layout of a Cloud Optimized GeoTIFF, and overviews if it is larger than a tile.

    Raises:
        OutputError: It is not whole.
    """
    check_segments(path)
    with _reading(path):
        with open_image(path) as file:
            if (file.width, file.height) != size:
                raise write_failure(path, "its size is wrong")
            overviews = len(file.overviews(1))
            layout = file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
            if is_cog and (layout != "COG" or (max(size) > _TILE_PX and not overviews)):
                raise write_failure(path, "its layout is not that of a Cloud Optimized GeoTIFF")
            _read_all(file)
        for overview in range(overviews):
            with open_image(path, overview) as file:
                _read_all(file)


def _read_all(file: rasterio.DatasetReader) -> None:
    """Read every tile once.

    Raises:
        UnreadableImageError: One is damaged.
    """
    masked = has_own_mask(file)
    for top in range(0, file.height, _TILE_PX):
        window = Window(0, top, file.width, min(_TILE_PX, file.height - top))
        file.read(window=window)
        if masked:
            file.dataset_mask(window=window)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except UnreadableImageError as error:
        raise write_failure(path, reason_of(error.__cause__ or error)) from error
