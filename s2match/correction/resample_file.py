"""The corrected image: resampled once from the original file, or the original pixels with a moved georeference."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from s2match.core.grid import Grid
from s2match.core.radiometry import AS_FILES_SAY, Radiometry
from s2match.core.window import Window
from s2match.correction.pixel_map import Correction, OutputGrid
from s2match.errors import CorrectionError
from s2match.io.cog import BLOCK_PX, Block, Layout, has_own_mask, write_cog
from s2match.io.nodata import (
    NODATA_MARGIN_PX,
    band_validity,
    can_hold,
    is_mixed,
    large_patches,
    told_nodata,
    used_bands,
    zeros_are_nodata,
)
from s2match.io.open_file import opened
from s2match.io.radiometry import radiometry_of
from s2match.resampling.kernels import NEAREST, SamplePoints, reach_px, sample

# Output pixels of a side that are resampled at a time, for each source pixel along it.
_SIDE_PX = 1024

# Models are followed at pixels this far apart, and are straight in between.
_KNOT_PX = 4

# Pixels that are hardly larger than the source's are not averaged.
_STRETCHED = 1.1

# Scene Classifications and masks, by name.
_CLASSES_NAME = re.compile(r"(^|[_-])(SCL|CLASSI|MSK|F?MASKS?|CLM|QA\d*)([_.-]|$)", re.IGNORECASE)

# ESA's images and classifications: their format has no nodata value, 0 stands for it.
_ESA_NAME = re.compile(r"_(TCI|SCL|AOT|WVP|B\d[\dA])(_\d0m)?\.jp2$", re.IGNORECASE)


@dataclass(frozen=True)
class _Source:
    """A file that is being resampled.

    Attributes:
        file: The file, open.
        grid: Every pixel of it.
        radiometry: What of it is no data; as it was matched, where it was.
        classes: Whether its values are names.
        nodata: What the corrected file declares; None for nothing.
        resampling: How.
        stretch: Its pixels for one of the corrected file, along x and y; 1 where it is less.
    """

    file: rasterio.DatasetReader
    grid: Grid
    radiometry: Radiometry
    classes: bool
    nodata: float | None
    resampling: str
    stretch: tuple[float, float]


def write_resampled(correction: Correction, source: Grid, lattice: OutputGrid, out: Path, resampling: str) -> None:
    """Write a file corrected, as a Cloud Optimized GeoTIFF; every pixel is resampled once, from the original.

    What is nodata in the file is not mixed with anything. Where it shows nothing, its nodata value is written, or what
    ESA's files have for one, 0; floating files without one get "not a number", others a mask. Values that would come
    out as the nodata value are changed by the least there is. Files of classes (a colour table, or one integer band and
    a name such as ``…_SCL_20m`` or ``…_mask``) are never averaged.

    Args:
        correction: What moves it.
        source: Every pixel of the file.
        lattice: The pixels to write: :meth:`s2match.correction.pixel_map.Correction.lattice`.
        out: The file to write.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`.

    Raises:
        UnreadableImageError: The file cannot be read.
        OutputError: ``out`` cannot be written.
        CorrectionError: Its bands are not of one real type.
    """
    with opened(source.scene.path) as file:
        _check_type(file)
        classes = _has_classes(file)
        radiometry = _radiometry(file, source)
        stretch = _stretch(correction, source, lattice)
        chosen = NEAREST if classes else resampling
        reading = _Source(file, source, radiometry, classes, _nodata_of(file, radiometry), chosen, stretch)
        masked = reading.nodata is None and ColorInterp.alpha not in file.colorinterp
        grid = lattice.grid
        layout = Layout(grid.size, grid.transform, grid.crs, reading.nodata, masked, classes)
        side = max(_SIDE_PX >> math.ceil(math.log2(max(stretch))), BLOCK_PX // 4)
        write_cog(file, layout, lambda window: _resampled(correction, reading, lattice, window), out, side)


def write_moved(correction: Correction, source: Grid, out: Path) -> None:
    """Write the pixels of a file unchanged, as a Cloud Optimized GeoTIFF with a moved georeference.

    Args:
        correction: What moves it: a pure translation.
        source: Every pixel of the file.
        out: The file to write.

    Raises:
        UnreadableImageError: The file cannot be read.
        OutputError: ``out`` cannot be written.
        CorrectionError: The model does more than shift, or the reference has no georeference.
    """
    transform, crs = correction.moved_transform(source), correction.reference_file.crs
    with opened(source.scene.path) as file:
        _check_type(file)
        masked = has_own_mask(file)

        def pixels(window: Window) -> Block:
            where = RasterioWindow(window.x, window.y, window.width, window.height)
            values = file.read(window=where)
            valid = file.dataset_mask(window=where) > 0 if masked else np.ones(values.shape[1:], np.bool_)
            return Block(window, values, valid)

        nodata = _fill_value(file, _radiometry(file, source))
        layout = Layout(source.size, transform, crs, nodata, masked, _has_classes(file))
        write_cog(file, layout, pixels, out, _SIDE_PX)


def _resampled(correction: Correction, source: _Source, lattice: OutputGrid, window: Window) -> Block:
    """The pixels of a window of the corrected file."""
    file, dtype = source.file, np.dtype(source.file.dtypes[0])
    shape = (file.count, window.height, window.width)
    values = np.full(shape, 0 if source.nodata is None else source.nodata, dtype)
    valid = np.zeros(shape, np.bool_)
    x, y = _positions(correction, source.grid, lattice, window)
    part = _part(source, x, y)
    if part is None:
        return Block(window, values, valid[0])
    bands = file.read(window=part)
    known = _read_valid(source, bands, part)
    spots = SamplePoints(x - part.col_off, y - part.row_off, source.stretch)
    for band, colour in enumerate(file.colorinterp):
        if colour is ColorInterp.alpha:
            values[band], _ = sample(bands[band], np.ones_like(known[band]), spots, NEAREST)
            continue
        found, valid[band] = sample(bands[band], known[band], spots, source.resampling)
        values[band][valid[band]] = _as_type(found[valid[band]], dtype, None if source.classes else source.nodata)
    return Block(window, values, np.asarray(valid.any(axis=0)))


def _positions(
    correction: Correction, source: Grid, lattice: OutputGrid, window: Window
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the centres of a window's pixels lie in the source file, H×W x and H×W y, GDAL frame."""
    knots = [np.arange(0, side + _KNOT_PX, _KNOT_PX, dtype=float) for side in (window.width, window.height)]
    at = np.stack(np.meshgrid(knots[0] + window.x, knots[1] + window.y), axis=-1)
    carried = correction.source_pixels(source, lattice, at.reshape(-1, 2)).reshape(at.shape)
    with np.errstate(invalid="ignore"):
        x, y = (_between(_between(carried[..., axis], window.height).T, window.width).T for axis in (0, 1))
    return x, y


def _between(knots: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Values at the centres of so many pixels along the first axis, from those at the knots."""
    at = (np.arange(size) + 0.5) / _KNOT_PX
    first = at.astype(np.intp)
    part = (at - first)[:, None]
    return np.asarray(knots[first] * (1 - part) + knots[first + 1] * part)


def _part(source: _Source, x: NDArray[np.float64], y: NDArray[np.float64]) -> RasterioWindow | None:
    """What to read of the source for pixels that lie at such positions; None where it shows none of them."""
    slices = []
    for at, stretch, side in zip((y, x), reversed(source.stretch), reversed(source.grid.size), strict=True):
        known = at[np.isfinite(at)]
        if not len(known):
            return None
        margin = reach_px(source.resampling, stretch) + NODATA_MARGIN_PX
        low, high = max(0, math.floor(known.min()) - margin), min(side, math.ceil(known.max()) + margin)
        if low >= high:
            return None
        slices.append((low, high))
    return RasterioWindow.from_slices(*slices)


def _stretch(correction: Correction, source: Grid, lattice: OutputGrid) -> tuple[float, float]:
    """See :class:`s2match.resampling.kernels.SamplePoints`, in the middle of the corrected file."""
    middle = np.array(lattice.grid.size) / 2
    origin, right, down = correction.source_pixels(
        source, lattice, middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    )
    along_x, along_y = np.hypot(right - origin, down - origin)
    if not np.isfinite([along_x, along_y]).all():
        return 1.0, 1.0
    first, second = (float(along) if along > _STRETCHED else 1.0 for along in (along_x, along_y))
    return first, second


def _read_valid(source: _Source, bands: NDArray[np.generic], window: RasterioWindow) -> NDArray[np.bool_]:
    """B×H×W, where each band of a window has data."""
    file, radiometry = source.file, source.radiometry
    known = np.array(band_validity(file, list(file.indexes), bands, radiometry, window))
    if source.classes:
        return known
    if zeros_are_nodata(radiometry):
        if bands.dtype.kind != "u":
            return known
        shown = np.isin(file.indexes, used_bands(file))
        for which in (shown, ~shown):
            # other bands may have data where those of the image have none
            known[which] &= ~large_patches(np.asarray(~bands[shown | which].any(axis=0)))
    elif is_mixed(file, radiometry):
        known &= ~np.stack([large_patches(~band) for band in known])
    return known


def _as_type(values: NDArray[np.generic], dtype: np.dtype[Any], nodata: float | None) -> NDArray[np.generic]:
    """Valid values as a type, none of them the nodata value."""
    if dtype.kind in "iu" and values.dtype != dtype:
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    values = values.astype(dtype)
    if nodata is not None:
        values[values == nodata] = _beside(nodata, dtype)
    return values


def _beside(value: float, dtype: np.dtype[Any]) -> float:
    """A value of a type that is next to another one."""
    if dtype.kind == "f":
        return float(np.nextafter(dtype.type(value), dtype.type(np.inf)))
    return value + 1 if value < np.iinfo(dtype).max else value - 1


def _radiometry(file: rasterio.DatasetReader, source: Grid) -> Radiometry:
    radiometry = source.radiometry or radiometry_of(file, AS_FILES_SAY)
    if not _has_classes(file):
        return radiometry
    # a number that means no data in an image is the name of a class here
    nodata, said_by = told_nodata(file, list(file.indexes), AS_FILES_SAY)
    return replace(radiometry, nodata=nodata, nodata_from=said_by)


def _nodata_of(file: rasterio.DatasetReader, radiometry: Radiometry) -> float | None:
    """What stands for no data in the corrected file; None where a mask or alpha does."""
    value = _fill_value(file, radiometry)
    if value is not None or has_own_mask(file) or ColorInterp.alpha in file.colorinterp:
        return value
    if np.dtype(file.dtypes[0]).kind == "f":
        return math.nan
    return 0.0 if _ESA_NAME.search(Path(file.name).name) else None


def _fill_value(file: rasterio.DatasetReader, radiometry: Radiometry) -> float | None:
    """The value that is no data, by declaration, by detection or by option; None where no pixel can have it."""
    value, dtype = radiometry.nodata, file.dtypes[0]
    if radiometry.nodata_from not in ("declared", "detected", "option") or value is None:
        return None
    return value if can_hold(value, dtype) else None


def _has_classes(file: rasterio.DatasetReader) -> bool:
    if ColorInterp.palette in file.colorinterp:
        return True
    integer = file.count == 1 and np.dtype(file.dtypes[0]).kind in "iu"
    return integer and _CLASSES_NAME.search(Path(file.name).stem) is not None


def _check_type(file: rasterio.DatasetReader) -> None:
    """Refuse files of complex numbers, and those whose bands differ in type.

    Raises:
        CorrectionError: The file is so.
    """
    if len(set(file.dtypes)) > 1 or np.dtype(file.dtypes[0]).kind not in "iuf":
        raise CorrectionError(f"{Path(file.name).name} cannot be corrected: its bands must be of one real type.")
