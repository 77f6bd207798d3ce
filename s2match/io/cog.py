"""Files that are written block by block, in bounded memory, and end as Cloud Optimized GeoTIFFs."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window as RasterioWindow

from s2match.core.window import Window
from s2match.errors import OutputError
from s2match.io.quiet import create_geotiff
from s2match.util.atomic_write import atomic_write
from s2match.util.gdal import FILE_ERRORS, gdal_message

SUFFIXES = (".tif", ".tiff")
BLOCK_PX = 512

# Bytes that GDAL may keep of the blocks of all files: it would take a share of the machine's memory. Two rows of the
# tiles of an image of three bands must fit, or tiles are decoded for every window that touches them.
_CACHE_BYTES = 256 << 20

# Of what a file says about itself, what a correction makes wrong.
_STATISTICS = "STATISTICS_"
_ANCHOR = "AREA_OR_POINT"


@dataclass(frozen=True)
class Layout:
    """A file to write.

    Attributes:
        size: Width and height in pixels.
        transform: None without a georeference.
        crs: Likewise.
        nodata: The value that stands for nothing; None for none.
        masked: Whether pixels without data are marked in a mask within the file.
        classes: Whether the values are names, which reduced versions must not mix.
    """

    size: tuple[int, int]
    transform: Affine | None
    crs: CRS | None
    nodata: float | None
    masked: bool
    classes: bool


@dataclass(frozen=True)
class Block:
    """Pixels to write.

    Attributes:
        window: Where.
        values: B×H×W.
        valid: H×W, what the mask says where there is one.
    """

    window: Window
    values: NDArray[np.generic]
    valid: NDArray[np.bool_]


def check_cog(path: str | Path) -> None:
    """Refuse a file name that is no GeoTIFF's.

    Raises:
        OutputError: It is not.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise OutputError(f"Cannot write {path}: its suffix must be one of {', '.join(SUFFIXES)}.")


def write_cog(
    like: rasterio.DatasetReader, layout: Layout, pixels: Callable[[Window], Block], path: Path, side: int
) -> None:
    """Write a Cloud Optimized GeoTIFF whose bands are as those of another file, but for their pixels.

    Type, count, descriptions, colours, units, scales, offsets and tags of the bands are kept.

    Args:
        like: The file to take after.
        layout: What is different.
        pixels: Gives the pixels of a window.
        path: The file.
        side: Of the windows that are asked for, pixels; a multiple of :data:`BLOCK_PX` saves time.

    Raises:
        OutputError: The file cannot be written.
    """
    with (
        atomic_write(path) as partial,
        tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder,
        rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_TIFF_INTERNAL_MASK=True),
    ):
        raw = Path(folder) / "raw.tif"
        try:
            _write_tiles(like, layout, pixels, raw, side)
            rasterio.shutil.copy(
                raw,
                partial,
                driver="COG",
                COMPRESS="DEFLATE",
                PREDICTOR="YES",
                BIGTIFF="IF_SAFER",
                OVERVIEW_RESAMPLING="NEAREST" if layout.classes else "AVERAGE",
            )
        except FILE_ERRORS as error:
            raise OutputError(f"Cannot write {path}: {gdal_message(error)}.") from error


def _write_tiles(
    like: rasterio.DatasetReader, layout: Layout, pixels: Callable[[Window], Block], path: Path, side: int
) -> None:
    with create_geotiff(path, **_profile(like, layout)) as file:
        _describe(file, like)
        for top in range(0, layout.size[1], side):
            for left in range(0, layout.size[0], side):
                size = min(side, layout.size[0] - left), min(side, layout.size[1] - top)
                block = pixels(Window(left, top, *size))
                where = RasterioWindow(left, top, *size)
                file.write(block.values, window=where)
                if layout.masked:
                    file.write_mask(block.valid, window=where)


def _profile(like: rasterio.DatasetReader, layout: Layout) -> dict[str, Any]:
    profile = {
        "width": layout.size[0],
        "height": layout.size[1],
        "count": like.count,
        "dtype": like.dtypes[0],
        "nodata": layout.nodata,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "bigtiff": "IF_SAFER",
        "interleave": "band",
    }
    if layout.transform is not None:
        profile |= {"transform": layout.transform, "crs": layout.crs}
    if ColorInterp.palette in like.colorinterp:
        profile["photometric"] = "PALETTE"
    if ColorInterp.alpha in like.colorinterp:
        profile["alpha"] = "YES"
    return profile


def _describe(file: Any, like: rasterio.DatasetReader) -> None:
    file.update_tags(**_kept(like.tags()))
    if ColorInterp.palette in like.colorinterp:
        file.write_colormap(1, like.colormap(1))
    else:
        file.colorinterp = like.colorinterp
    file.descriptions = like.descriptions
    file.units = [unit or "" for unit in like.units]
    if any(scale != 1 for scale in like.scales) or any(like.offsets):
        file.scales, file.offsets = like.scales, like.offsets
    for band in like.indexes:
        file.update_tags(band, **_kept(like.tags(band)))


def _kept(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name != _ANCHOR and not name.startswith(_STATISTICS)}


def has_own_mask(file: rasterio.DatasetReader) -> bool:
    """Whether a file says by a mask, that is no band, where it has data."""
    return any(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags for flags in file.mask_flag_enums)
