"""Write Cloud Optimized GeoTIFFs block by block, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from s2match.core.window import Window
from s2match.errors import OutputError
from s2match.io.quiet import create_geotiff
from s2match.io.written_raster import check_geotiff, check_segments
from s2match.util.atomic_write import atomic_write
from s2match.util.borders import reason_of
from s2match.util.gdal import FILE_ERRORS
from s2match.util.output_place import check_utf8, write_failure
from s2match.util.standard_streams import without_library_messages
from s2match.util.threads import pool_threads

SUFFIXES = (".tif", ".tiff")
BLOCK_PX = 512

# Most memory of GDAL's block cache.
_CACHE_BYTES = 256 << 20

# Level of Deflate: GDAL's own, 6, takes twice the time and saves 3 % of the file.
_LEVEL = 3

# Tags that a correction makes wrong.
_STATISTICS = "STATISTICS_"
_ANCHOR = "AREA_OR_POINT"


@dataclass(frozen=True)
class Layout:
    """Layout of a file to write.

    Attributes:
        size: Width and height in pixels.
        transform: Pixel (x, y) in the GDAL frame to map coordinates; None without a georeference.
        crs: CRS of the map coordinates; None without one.
        nodata: Nodata value; None for none.
        masked: Whether the file has an internal mask.
        classes: Whether the values are classes, which overviews must not average.
        descriptions: Descriptions of the bands; empty for those of the templates.
    """

    size: tuple[int, int]
    transform: Affine | None
    crs: CRS | None
    nodata: float | None
    masked: bool
    classes: bool
    descriptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Pixels of a window to write.

    Attributes:
        window: The window.
        values: B×H×W numbers.
        valid: H×W bool, for the internal mask if there is one.
    """

    window: Window
    values: NDArray[np.generic]
    valid: NDArray[np.bool_]


def read_block(file: rasterio.DatasetReader, window: Window, masked: bool) -> Block:
    """The pixels of a window of a file, unchanged.

    Args:
        file: The file.
        window: The window.
        masked: Whether the mask of the file is read; all pixels are valid without it.

    Raises:
        UnreadableImageError: The file is damaged.
    """
    area = RasterioWindow(window.x, window.y, window.width, window.height)
    values = file.read(window=area)
    valid = file.dataset_mask(window=area) > 0 if masked else np.ones(values.shape[1:], np.bool_)
    return Block(window, values, valid)


# The blocks of windows, in any order.
Blocks = Callable[[Iterator[Window]], Iterable[Block]]


def check_cog(path: str | Path) -> None:
    """Check that a file name is one that a GeoTIFF can have.

    Raises:
        OutputError: It has another suffix, or is not UTF-8.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise OutputError(f"Cannot write {path}: its suffix must be one of {', '.join(SUFFIXES)}.")
    check_utf8(Path(path))


def write_cog(
    templates: Sequence[rasterio.DatasetReader],
    layout: Layout,
    blocks: Blocks,
    path: Path,
    side: int,
) -> None:
    """Write a Cloud Optimized GeoTIFF with the bands of other files and new pixels.

    Type, count, descriptions, colours, units, scales, offsets and tags of the bands are those of the other files.

    Args:
        templates: The other files, open; one file in most cases.
        layout: Size, georeference and nodata.
        blocks: Function that gives the pixels of windows.
        path: The file to write.
        side: Side of the windows in pixels; a multiple of :data:`BLOCK_PX` saves time.

    Raises:
        OutputError: The file cannot be written.
    """
    with (
        without_library_messages(),
        atomic_write(path, partial(check_geotiff, size=layout.size, is_cog=True)) as file,
        rasterio.Env(GDAL_CACHEMAX=_cache_bytes(templates, layout, side), GDAL_TIFF_INTERNAL_MASK=True),
    ):
        raw = file.with_name("raw.tif")
        try:
            write_tiles(templates, layout, blocks, raw, side)
            # a tile that was lost at its close would be copied as nodata
            check_segments(raw)
            rasterio.shutil.copy(
                raw,
                file,
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL=_LEVEL,
                PREDICTOR="YES",
                NUM_THREADS=pool_threads(),
                BIGTIFF="IF_SAFER",
                OVERVIEW_RESAMPLING="NEAREST" if layout.classes else "AVERAGE",
            )
        except FILE_ERRORS as error:
            raise write_failure(path, reason_of(error)) from error


def _cache_bytes(templates: Sequence[rasterio.DatasetReader], layout: Layout, side: int) -> int:
    """Memory for two rows of tiles of the other files, or else they are decoded for each window that touches them.

    And for the tiles that are being written; GDAL would fill a larger cache, whether it is of use or not.
    """
    rows = 2 * max(side, *(file.block_shapes[0][0] for file in templates)) + side + BLOCK_PX
    width = max(layout.size[0], *(file.width for file in templates))
    row = sum(file.count * np.dtype(file.dtypes[0]).itemsize for file in templates) * width
    return min(int(rows * row), _CACHE_BYTES)


def write_tiles(
    templates: Sequence[rasterio.DatasetReader],
    layout: Layout,
    blocks: Blocks,
    path: Path,
    side: int,
    **options: Any,
) -> None:
    """Write a GeoTIFF in tiles, without overviews; see :func:`write_cog` for the arguments.

    Args:
        templates: The other files, open.
        layout: Size, georeference and nodata.
        blocks: Function that gives the pixels of windows.
        path: The file to write, within an Env of rasterio.
        side: Side of the windows in pixels.
        **options: Further options of the file, such as ``gcps``.

    Raises:
        RasterioError: The file cannot be written.
    """
    with create_geotiff(path, **_profile(templates, layout), **options) as file:
        _describe(file, templates, layout)
        for block in blocks(_windows(layout.size, side)):
            window = block.window
            where = RasterioWindow(window.x, window.y, window.width, window.height)
            file.write(block.values, window=where)
            if layout.masked:
                file.write_mask(block.valid, window=where)


def _windows(size: tuple[int, int], side: int) -> Iterator[Window]:
    """Windows that cover a file, row by row."""
    for top in range(0, size[1], side):
        for left in range(0, size[0], side):
            yield Window(left, top, min(side, size[0] - left), min(side, size[1] - top))


def _profile(templates: Sequence[rasterio.DatasetReader], layout: Layout) -> dict[str, Any]:
    template = templates[0]
    profile = {
        "width": layout.size[0],
        "height": layout.size[1],
        "count": sum(file.count for file in templates),
        "dtype": template.dtypes[0],
        "nodata": layout.nodata,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "bigtiff": "IF_SAFER",
        "interleave": "band",
    }
    if layout.transform is not None:
        profile |= {"transform": layout.transform, "crs": layout.crs}
    if ColorInterp.palette in template.colorinterp:
        profile["photometric"] = "PALETTE"
    if ColorInterp.alpha in template.colorinterp:
        profile["alpha"] = "YES"
    return profile


def _describe(file: Any, templates: Sequence[rasterio.DatasetReader], layout: Layout) -> None:
    first = templates[0]
    file.update_tags(**_keep_tags(first.tags()))
    if ColorInterp.palette in first.colorinterp:
        file.write_colormap(1, first.colormap(1))
    elif len(templates) == 1:
        file.colorinterp = first.colorinterp
    bands = [(template, band) for template in templates for band in template.indexes]
    described = [template.descriptions[band - 1] for template, band in bands]
    file.descriptions = list(layout.descriptions) or described
    file.units = [template.units[band - 1] or "" for template, band in bands]
    scales = [(template.scales[band - 1], template.offsets[band - 1]) for template, band in bands]
    if any(scale != (1, 0) for scale in scales):
        file.scales, file.offsets = zip(*scales, strict=True)
    for number, (template, band) in enumerate(bands, 1):
        file.update_tags(number, **_keep_tags(template.tags(band)))


def _keep_tags(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name != _ANCHOR and not name.startswith(_STATISTICS)}
