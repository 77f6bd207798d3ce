"""The corrected image: resampled once from the original file, or the original pixels with a moved georeference."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from s2match.core.grid import Grid
from s2match.core.image_path import image_path
from s2match.core.radiometry import AS_FILES_SAY, NodataSource, Radiometry
from s2match.core.window import Window
from s2match.correction.file_parts import Source, read_part
from s2match.correction.pixel_map import PixelMap, moved_transform
from s2match.errors import CorrectionError
from s2match.io.bands import has_own_mask
from s2match.io.cog import BLOCK_PX, Block, Layout, read_block, write_cog
from s2match.io.nodata import can_hold, declared_nodata
from s2match.io.open_file import opened
from s2match.io.radiometry import radiometry_of
from s2match.io.reader import band_grids
from s2match.registration.file_model import FileModel
from s2match.resampling.kernels import NEAREST
from s2match.util.background import results_in_order
from s2match.util.threads import processors

# Side of the windows that are resampled at a time, output pixels; smaller where the source has more pixels. Several are
# in memory.
_SIDE_PX = 512

# Fraction of the time of a file in which it is resampled; in the rest it is compressed, and its overviews are made.
_RESAMPLING_FRACTION = 0.5

# Most threads that resample: fewer are busy while one reads, and each needs the memory of a window.
_MOST_THREADS = 4

# Is told the fraction of a file that is written.
Advance = Callable[[float], None]

# Sources of a nodata value, rather than of a mask.
_VALUE_SOURCES = (NodataSource.DECLARED, NodataSource.DETECTED, NodataSource.OPTION)

# Names of Scene Classifications and masks.
_CLASSES_NAME = re.compile(r"(^|[_-])(SCL|CLASSI|MSK|F?MASKS?|CLM|QA\d*)([_.-]|$)", re.IGNORECASE)

# Names of ESA's masks with a band for each class.
_FLAGS_NAME = re.compile(r"(^|_)MSK_CLASSI_B00", re.IGNORECASE)

# Names of ESA's images and classifications: their format has no nodata value, and 0 means no data.
_ESA_NAME = re.compile(r"_(TCI|SCL|AOT|WVP|B\d[\dA])(_\d0m)?\.jp2$", re.IGNORECASE)


def write_resampled(pixel_map: PixelMap, out: Path, resampling: str, advance: Advance | None = None) -> None:
    """Write a corrected file, as a Cloud Optimized GeoTIFF; every pixel is resampled once, from the original.

    Pixels without data do not contribute to others. Pixels without data get the nodata value of the file. If it has
    none, they get 0 in ESA's files, NaN in other floating-point files, and a mask in all others. Valid results that
    equal the nodata value are changed by the smallest step of their type. Files of classes (a colour table, or one
    integer band and a name such as ``…_SCL_20m`` or ``…_mask``) are never averaged. An image whose bands are files
    becomes one file; each band is resampled from its own pixels.

    Args:
        pixel_map: From the pixels to write to those of the file.
        out: The file to write.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`.
        advance: Called with the fraction done, 0 to 1.

    Raises:
        UnreadableImageError: The file cannot be read.
        OutputError: ``out`` cannot be written.
        CorrectionError: Its bands do not have the same real data type.
    """
    maps = [replace(pixel_map, source=grid) for grid in band_grids(pixel_map.source)]
    with ExitStack() as stack:
        files = [stack.enter_context(opened(one.source.scene.path)) for one in maps]
        _check_type(*files)
        sources = [_source(file, one.source, resampling) for file, one in zip(files, maps, strict=True)]
        first = sources[0]
        masked = first.nodata is None and ColorInterp.alpha not in first.file.colorinterp
        grid, names = pixel_map.output.grid, _band_names(pixel_map.source)
        layout = Layout(grid.size, grid.transform, grid.crs, first.nodata, masked, first.classes, names)
        stretch = max(max(one.stretch) for one in maps)
        side = max(_SIDE_PX >> math.ceil(math.log2(stretch)), BLOCK_PX // 4)

        def read(window: Window) -> Callable[[], Block]:
            if advance is not None:
                advance(_RESAMPLING_FRACTION * window.y / grid.size[1])
            parts = [read_part(one, source, window) for one, source in zip(maps, sources, strict=True)]
            return lambda: _merged([part.resampled() for part in parts])

        def blocks(windows: Iterator[Window]) -> Iterator[Block]:
            return results_in_order(map(read, windows), min(processors(), _MOST_THREADS))

        write_cog(files, layout, blocks, out, side)


def _source(file: rasterio.DatasetReader, grid: Grid, resampling: str) -> Source:
    """A file to resample, which is open."""
    classes, radiometry = _has_classes(file), _radiometry(file, grid)
    nodata = _output_nodata(file, radiometry)
    return Source(file, radiometry, classes, nodata, NEAREST if classes else resampling)


def _merged(blocks: list[Block]) -> Block:
    """The bands of several files in one block, valid where any has data."""
    if len(blocks) == 1:
        return blocks[0]
    valid = np.logical_or.reduce([block.valid for block in blocks])
    return Block(blocks[0].window, np.concatenate([block.values for block in blocks]), valid)


def _band_names(grid: Grid) -> tuple[str, ...]:
    """Descriptions of the bands of an image whose bands are files; empty for those of its file."""
    return grid.scene.bands if grid.scene.is_stack else ()


def write_moved(model: FileModel, source: Grid, out: Path) -> None:
    """Write the pixels of a file unchanged, as a Cloud Optimized GeoTIFF with a moved georeference.

    Its nodata value is that of a resampled file.

    Args:
        model: The model of the pair, a pure translation.
        source: Every pixel of the file.
        out: The file to write.

    Raises:
        UnreadableImageError: The file cannot be read.
        OutputError: ``out`` cannot be written.
        CorrectionError: The model is not a translation, or the reference has no georeference.
    """
    transform, crs = moved_transform(model, source), model.reference.crs
    grids = band_grids(source)
    if any(grid.size != source.size for grid in grids):
        raise CorrectionError(
            f"The bands {', '.join(source.scene.bands)} have pixels of different sizes, which --no_resample cannot "
            "keep in one file: leave it out."
        )
    with ExitStack() as stack:
        files = [stack.enter_context(opened(grid.scene.path)) for grid in grids]
        _check_type(*files)
        masked = has_own_mask(files[0])

        def pixels(window: Window) -> Block:
            return _merged([read_block(file, window, masked) for file in files])

        nodata = _output_nodata(files[0], _radiometry(files[0], grids[0]))
        classes, names = _has_classes(files[0]), _band_names(source)
        layout = Layout(source.size, transform, crs, nodata, masked, classes, names)
        write_cog(files, layout, partial(map, pixels), out, _SIDE_PX)


def _radiometry(file: rasterio.DatasetReader, source: Grid) -> Radiometry:
    """Radiometry that a file was matched with, or else that it declares; for class files only the declared nodata."""
    radiometry = source.radiometry or radiometry_of(file, AS_FILES_SAY)
    if not _has_classes(file):
        return radiometry
    # a number that means no data in an image is the name of a class here
    nodata, nodata_from = declared_nodata(file, list(file.indexes), AS_FILES_SAY)
    return replace(radiometry, nodata=nodata, nodata_from=nodata_from)


def _output_nodata(file: rasterio.DatasetReader, radiometry: Radiometry) -> float | None:
    """The nodata value of the corrected file; None if a mask or alpha marks pixels without data."""
    value = _nodata_value(file, radiometry)
    if value is not None or has_own_mask(file) or ColorInterp.alpha in file.colorinterp:
        return value
    if np.dtype(file.dtypes[0]).kind == "f":
        return math.nan
    return 0.0 if _ESA_NAME.search(image_path(file.name).name) else None


def _nodata_value(file: rasterio.DatasetReader, radiometry: Radiometry) -> float | None:
    """The nodata value that is declared, detected or an option; None if no pixel can have it."""
    value, dtype = radiometry.nodata, file.dtypes[0]
    if radiometry.nodata_from not in _VALUE_SOURCES or value is None:
        return None
    return value if can_hold(value, dtype) else None


def _has_classes(file: rasterio.DatasetReader) -> bool:
    """Whether the values of a file are classes, by its colour table or by its name."""
    if ColorInterp.palette in file.colorinterp:
        return True
    name, integer = image_path(file.name).stem, np.dtype(file.dtypes[0]).kind in "iu"
    one_band = file.count == 1 and _CLASSES_NAME.search(name) is not None
    return integer and (one_band or _FLAGS_NAME.search(name) is not None)


def _check_type(*files: rasterio.DatasetReader) -> None:
    """Refuse complex numbers, and bands of different types.

    Raises:
        CorrectionError: The bands do not have the same real data type.
    """
    types = {dtype for file in files for dtype in file.dtypes}
    if len(types) > 1 or any(np.dtype(dtype).kind not in "iuf" for dtype in types):
        raise CorrectionError(
            f"{image_path(files[0].name).name} cannot be corrected: its bands must have the same type, not complex."
        )
