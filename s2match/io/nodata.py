"""Where the bands of a file have data: what it declares, what a user says, and fill values that nobody declared."""

import math
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.dtypes import in_dtype_range
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window as RasterioWindow

from s2match.core.radiometry import Radiometry, ReadOptions

# Patches of at least so many pixels are no data, and not single dark pixels, where 0 was not declared to be it.
_PATCH_PX = 64

# Stored samples around a window that tell what of it is nodata where the file does not say.
NODATA_MARGIN_PX = 16

# A fill value covers at least this share of the pixels.
_FILL_SHARE = 0.01

# How far a fill value lies outside the other values, in units of the range of these from the 1st to the 99th
# percentile: the values that software fills with, and another negative one. Another large one is saturated cloud.
_CUSTOMARY_GAP = 0.5
_NEGATIVE_GAP = 2.0
_CUSTOMARY = (-999, -9999, -99999, -999999, -32767, -32768, 32767, 65535, 1e20)


def used_bands(file: rasterio.DatasetReader) -> list[int]:
    """Indexes of the bands that make the image, from 1: red, green and blue, or the first three, or the first."""
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    interpretation = file.colorinterp
    if all(colour in interpretation for colour in colours):
        return [interpretation.index(colour) + 1 for colour in colours]
    shown = [index for index in file.indexes if interpretation[index - 1] is not ColorInterp.alpha]
    return shown[:3] if len(shown) >= 3 else (shown or [1])[:1]


def can_hold(value: float, dtype: str) -> bool:
    """Whether a number of a type can have a value: one in its range, and a whole one if it is an integer type."""
    whole = np.dtype(dtype).kind == "f" or float(value).is_integer()
    return bool(whole and in_dtype_range(value, dtype))


def told_nodata(
    file: rasterio.DatasetReader, indexes: list[int], options: ReadOptions
) -> tuple[float | None, str | None]:
    """The number that means no data and who says so, as in :class:`s2match.core.radiometry.Radiometry`."""
    if options.nodata is not None:
        return None if math.isnan(options.nodata) else options.nodata, "option"
    for index in indexes:
        value = file.nodatavals[index - 1]
        # a value that no pixel can have says nothing
        if value is not None and can_hold(value, file.dtypes[index - 1]):
            return float(value), "declared"
    if ColorInterp.alpha in file.colorinterp:
        return None, "alpha"
    if any(MaskFlags.per_dataset in file.mask_flag_enums[index - 1] for index in indexes):
        return None, "mask"
    return None, None


def band_validity(
    file: rasterio.DatasetReader,
    indexes: list[int],
    numbers: NDArray[np.generic],
    radiometry: Radiometry,
    window: RasterioWindow | None = None,
) -> NDArray[np.bool_]:
    """B×H×W, not to be written to, where bands have data by their nodata value, mask and alpha, each band by itself.

    Args:
        file: The file.
        indexes: The bands, from 1.
        numbers: B×H×W, what was read of them; of the whole file or window, at any size.
        radiometry: Says what is no data.
        window: The part that was read; None for the whole.
    """
    shape = numbers.shape[1:]
    flags = [file.mask_flag_enums[index - 1] for index in indexes]
    by_value = radiometry.nodata_from in ("detected", "option")
    # without memory of its own, as most images are
    valid = np.broadcast_to(np.True_, numbers.shape)
    if numbers.dtype.kind == "f":
        valid = np.isfinite(numbers)
    if by_value and radiometry.nodata is not None and can_hold(radiometry.nodata, numbers.dtype.name):
        valid = valid & (numbers != numbers.dtype.type(radiometry.nodata))
    if not all(MaskFlags.all_valid in flag or (by_value and MaskFlags.nodata in flag) for flag in flags):
        valid = valid & (file.read_masks(indexes, window=window, out_shape=(len(indexes), *shape)) > 0)
    for index, colour in enumerate(file.colorinterp, 1):
        # GDAL itself heeds alpha where it is the last of two or four bands
        if colour is ColorInterp.alpha and not any(MaskFlags.alpha in flag for flag in flags):
            valid = valid & (file.read([index], window=window, out_shape=(1, *shape)) > 0)
    return np.asarray(valid)


def zeros_may_fill(numbers: NDArray[np.generic]) -> bool:
    """Whether patches of 0 in an image without nodata count as no data: in integers of which 0 is the lowest.

    Args:
        numbers: B×H×W, a small version of the image.
    """
    return numbers.dtype.kind in "iu" and int(numbers.min()) >= 0


def zeros_are_nodata(radiometry: Radiometry) -> bool:
    """Whether patches of 0 in every band count as no data."""
    return radiometry.nodata_from == "zeros"


def is_mixed(file: rasterio.DatasetReader, radiometry: Radiometry, reduced: bool = False) -> bool:
    """Whether what is stored beside nodata may be mixed with it: by an encoder, or by software that did not know it.

    Args:
        file: The file.
        radiometry: Says what is no data.
        reduced: Whether a reduced resolution of the file is read.
    """
    said_by = radiometry.nodata_from
    return file.driver.startswith("JP2") or said_by == "detected" or (reduced and said_by == "option")


def large_patches(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """H×W, the connected patches of 64 pixels and more, and one pixel around them.

    What is stored beside nodata is mixed with it, by the encoder or by a reduced resolution.
    """
    if not inside.any():
        return inside
    _, label, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    large = statistics[:, cv2.CC_STAT_AREA] >= _PATCH_PX
    large[0] = False
    return np.asarray(cv2.dilate(large[label].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def detected_nodata(numbers: NDArray[np.generic]) -> float | None:
    """The value that fills a part of an image though nobody declared it; None where there is none.

    It is the smallest or the largest number, the same in many pixels up to the edge of the image, and far from all
    other numbers: one that software fills with, or a negative one. 0 is none, see :func:`zeros_may_fill`.

    Args:
        numbers: B×H×W, a small version of the image, not averaged.
    """
    finite = np.asarray(np.isfinite(numbers).all(axis=0))
    if not finite.any():
        return None
    for extreme, side in ((numbers[:, finite].min(), -1), (numbers[:, finite].max(), 1)):
        if not _is_customary(extreme) and extreme >= 0:
            continue
        filled = np.asarray((numbers == extreme).any(axis=0))
        edges = (filled[0], filled[-1], filled[:, 0], filled[:, -1])
        rest = numbers[:, finite & ~filled].astype(float)
        if filled.mean() < _FILL_SHARE or not any(edge.any() for edge in edges) or not rest.size:
            continue
        low, high = np.percentile(rest, [1, 99])
        gap = float(extreme) - high if side > 0 else low - float(extreme)
        if high > low and gap > (high - low) * (_CUSTOMARY_GAP if _is_customary(extreme) else _NEGATIVE_GAP):
            return float(extreme)
    return None


def _is_customary(value: Any) -> bool:
    limits = np.finfo(value.dtype) if value.dtype.kind == "f" else np.iinfo(value.dtype)
    return value != 0 and (float(value) in _CUSTOMARY or value in (limits.min, limits.max))
