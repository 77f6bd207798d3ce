"""Nodata of a file, in this order: an option, a declared value, alpha, a mask, a detected fill value, patches of 0."""

import math
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.dtypes import in_dtype_range
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window as RasterioWindow

from s2match.core.radiometry import NodataSource, Radiometry, ReadOptions

# Smallest patch of 0 that counts as nodata where 0 is not declared: fewer pixels are dark ground.
_PATCH_PX = 64

# Stored samples around a window that are read with it, so that patches at its edges have the same size as in the image.
NODATA_MARGIN_PX = 16

# A fill value covers at least this fraction of the pixels.
_FILL_FRACTION = 0.01

# Smallest distance of a fill value from the other values, in units of their range from the 1st to the 99th percentile:
# for the customary fill values of software, and for other negative ones. Other large values are saturated cloud.
_CUSTOMARY_GAP = 0.5
_NEGATIVE_GAP = 2.0
_CUSTOMARY = (-999, -9999, -99999, -999999, -32767, -32768, 32767, 65535, 1e20)


def can_hold(value: float, dtype: str) -> bool:
    """Whether a data type can represent a value: in the range of the type, and whole for an integer type."""
    whole = np.dtype(dtype).kind == "f" or float(value).is_integer()
    return bool(whole and in_dtype_range(value, dtype))


def declared_nodata(
    file: rasterio.DatasetReader, indexes: list[int], options: ReadOptions
) -> tuple[float | None, NodataSource | None]:
    """Nodata value and its source by the options and the file.

    Args:
        file: The file.
        indexes: The bands, from 1.
        options: Options of the user, which override the file.

    Returns:
        ``nodata`` and ``nodata_from`` of :class:`s2match.core.radiometry.Radiometry`.
    """
    if options.nodata is not None:
        return None if math.isnan(options.nodata) else options.nodata, NodataSource.OPTION
    for index in indexes:
        value = file.nodatavals[index - 1]
        # a value that no pixel can have declares nothing
        if value is not None and can_hold(value, file.dtypes[index - 1]):
            return float(value), NodataSource.DECLARED
    if ColorInterp.alpha in file.colorinterp:
        return None, NodataSource.ALPHA
    if any(MaskFlags.per_dataset in file.mask_flag_enums[index - 1] for index in indexes):
        return None, NodataSource.MASK
    return None, None


def band_validity(
    file: rasterio.DatasetReader,
    indexes: list[int],
    numbers: NDArray[np.generic],
    radiometry: Radiometry,
    window: RasterioWindow | None = None,
) -> NDArray[np.bool_]:
    """Validity of each band by its nodata value, mask and alpha.

    Args:
        file: The file.
        indexes: The bands, from 1.
        numbers: B×H×W numbers of the bands in the window, at full or reduced resolution.
        radiometry: Nodata value and its source.
        window: The window that was read; None for the whole file.

    Returns:
        B×H×W bool, read-only.
    """
    shape = numbers.shape[1:]
    flags = [file.mask_flag_enums[index - 1] for index in indexes]
    by_value = radiometry.nodata_from in (NodataSource.DETECTED, NodataSource.OPTION)
    # a view that takes no memory: most images are all valid
    valid = np.broadcast_to(np.True_, numbers.shape)
    if numbers.dtype.kind == "f":
        valid = np.isfinite(numbers)
    if by_value and radiometry.nodata is not None and can_hold(radiometry.nodata, numbers.dtype.name):
        valid = valid & (numbers != numbers.dtype.type(radiometry.nodata))
    if not all(MaskFlags.all_valid in flag or (by_value and MaskFlags.nodata in flag) for flag in flags):
        valid = valid & (file.read_masks(indexes, window=window, out_shape=(len(indexes), *shape)) > 0)
    for index, colour in enumerate(file.colorinterp, 1):
        # GDAL applies alpha by itself where it is the last of two or four bands
        if colour is ColorInterp.alpha and not any(MaskFlags.alpha in flag for flag in flags):
            valid = valid & (file.read([index], window=window, out_shape=(1, *shape)) > 0)
    return np.asarray(valid)


def zeros_may_fill(numbers: NDArray[np.generic]) -> bool:
    """Whether pixel values are integers and none is negative: then patches of 0 may be nodata.

    Args:
        numbers: B×H×W numbers of a small version of the file.
    """
    return numbers.dtype.kind in "iu" and int(numbers.min()) >= 0


def zeros_are_nodata(radiometry: Radiometry) -> bool:
    """Whether patches of 0 in every band are the nodata of a file, see :func:`large_patches`."""
    return radiometry.nodata_from is NodataSource.ZEROS


def is_mixed(file: rasterio.DatasetReader, radiometry: Radiometry, reduced: bool = False) -> bool:
    """Whether pixels next to nodata may be mixtures of values and nodata, from lossy coding or averaging.

    Args:
        file: The file.
        radiometry: Nodata value and its source.
        reduced: Whether a reduced resolution of the file is read.
    """
    source = radiometry.nodata_from
    return (
        file.driver.startswith("JP2") or source is NodataSource.DETECTED or (reduced and source is NodataSource.OPTION)
    )


def large_patches(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Connected patches of at least 64 pixels, dilated by one pixel, which may be a mixture with nodata.

    Args:
        inside: H×W bool, True in the patches.

    Returns:
        H×W bool.
    """
    if np.count_nonzero(inside) < _PATCH_PX:
        return np.zeros_like(inside)
    # most images have no such patches, and a list of images need not wait for the import
    import cv2

    _, labels, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    large = statistics[:, cv2.CC_STAT_AREA] >= _PATCH_PX
    # label 0 is the background
    large[0] = False
    return np.asarray(cv2.dilate(large[labels].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def detected_nodata(numbers: NDArray[np.generic]) -> float | None:
    """Undeclared fill value of an image; None if there is none.

    A fill value is the smallest or the largest number, fills at least one percent of the pixels at an edge of the
    image, and is far from all other numbers. It is a usual fill value of software, or negative. For 0 see
    :func:`zeros_may_fill`.

    Args:
        numbers: B×H×W numbers of a small version of the image, not averaged.
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
        if filled.mean() < _FILL_FRACTION or not any(edge.any() for edge in edges) or not rest.size:
            continue
        low, high = np.percentile(rest, [1, 99])
        gap = float(extreme) - high if side > 0 else low - float(extreme)
        if high > low and gap > (high - low) * (_CUSTOMARY_GAP if _is_customary(extreme) else _NEGATIVE_GAP):
            return float(extreme)
    return None


def _is_customary(value: Any) -> bool:
    """Whether a value (NumPy scalar) is a usual fill value of software: one of a list, or the limit of its type."""
    limits = np.finfo(value.dtype) if value.dtype.kind == "f" else np.iinfo(value.dtype)
    return value != 0 and (float(value) in _CUSTOMARY or value in (limits.min, limits.max))
