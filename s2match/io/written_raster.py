"""Check that a GeoTIFF is whole, after it was written.

GDAL's errors at the close of a file are lost: rasterio ignores them, and GDAL does not even log most of them.
"""

from pathlib import Path

from s2match.errors import UnreadableImageError
from s2match.io.open_file import open_image
from s2match.io.tiff_segments import segments_damage
from s2match.util.borders import reason_of
from s2match.util.output_place import write_failure

# Size above which a Cloud Optimized GeoTIFF has overviews.
_TILE_PX = 512


def check_segments(path: Path, decode: bool = False) -> None:
    """Refuse a GeoTIFF without some of its tiles.

    Args:
        path: The file, which is closed.
        decode: Whether the content of compressed tiles is checked, too.

    Raises:
        OutputError: It is not whole.
    """
    damage = segments_damage(path, decode)
    if damage is not None:
        raise write_failure(path, damage)


def check_geotiff(path: Path, size: tuple[int, int], is_cog: bool = False) -> None:
    """Refuse a GeoTIFF that was not written as a whole: every tile of it, of overviews and of masks is decoded.

    Args:
        path: The file, which is closed.
        size: Width and height that it must have.
        is_cog: Whether it must have the layout of a Cloud Optimized GeoTIFF, and overviews if it is larger than a tile.

    Raises:
        OutputError: It is not whole.
    """
    check_segments(path, decode=True)
    try:
        with open_image(path) as file:
            found, overviews = (file.width, file.height), file.overviews(1)
            layout = file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
    except UnreadableImageError as error:
        raise write_failure(path, reason_of(error.__cause__ or error)) from error
    if found != size:
        raise write_failure(path, "its size is wrong")
    if is_cog and (layout != "COG" or (max(size) > _TILE_PX and not overviews)):
        raise write_failure(path, "its layout is not that of a Cloud Optimized GeoTIFF")
