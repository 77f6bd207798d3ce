"""Resample bands in memory onto the pixels of a corrected image."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.core.window import Window
from s2match.correction.pixel_map import PixelMap
from s2match.io.nodata import NODATA_MARGIN_PX
from s2match.resampling.kernels import SamplePoints, radius_px, sample

# Rows of the output that are resampled at a time.
_ROWS = 256


def resample_bands(
    bands: NDArray[np.generic], valid: NDArray[np.bool_], pixel_map: PixelMap, resampling: str
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Resample the bands of an image onto the output pixels of a correction.

    Args:
        bands: B×h×w values of any real type.
        valid: B×h×w bool, False where a band has no data.
        pixel_map: From output pixels to pixels of the bands.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`.

    Returns:
        B×H×W values, of the type of ``bands``, and B×H×W bool, False where a band has no data and its value is 0.
    """
    width, height = pixel_map.output.grid.size
    values = np.zeros((len(bands), height, width), bands.dtype)
    output_valid = np.zeros(values.shape, np.bool_)
    for top in range(0, height, _ROWS):
        strip = Window(0, top, width, min(_ROWS, height - top))
        rows = slice(top, top + strip.height)
        points = SamplePoints(*pixel_map.positions(strip), pixel_map.stretch)
        area = area_to_read(points, (bands.shape[2], bands.shape[1]), resampling)
        if area is None:
            continue
        points = replace(points, x=points.x - area.x, y=points.y - area.y)
        part = slice(area.y, area.y + area.height), slice(area.x, area.x + area.width)
        sampled, output_valid[:, rows] = sample(bands[:, *part], valid[:, *part], points, resampling)
        values[:, rows] = as_type(sampled, bands.dtype, None)
    return values, output_valid


def area_to_read(points: SamplePoints, size: tuple[int, int], resampling: str) -> Window | None:
    """The window of an image that is needed to sample it at some points; None if no point is near the image.

    Args:
        points: Positions in the image.
        size: Width and height of the image in pixels.
        resampling: One of :data:`s2match.resampling.kernels.RESAMPLINGS`.
    """
    ranges = []
    for position, stretch, side in zip((points.x, points.y), points.stretch, size, strict=True):
        finite = position[np.isfinite(position)]
        if not len(finite):
            return None
        margin = radius_px(resampling, stretch) + NODATA_MARGIN_PX
        low, high = max(0, math.floor(finite.min()) - margin), min(side, math.ceil(finite.max()) + margin)
        if low >= high:
            return None
        ranges.append((low, high))
    (left, right), (top, bottom) = ranges
    return Window(left, top, right - left, bottom - top)


def as_type(values: NDArray[np.generic], dtype: np.dtype[Any], nodata: float | None) -> NDArray[np.generic]:
    """Valid values, rounded and clipped to a type; values equal to the nodata value become the next value."""
    if dtype.kind in "iu" and values.dtype != dtype:
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    values = values.astype(dtype)
    if nodata is not None:
        values[values == nodata] = _next_value(nodata, dtype)
    return values


def _next_value(value: float, dtype: np.dtype[Any]) -> float:
    """The next larger value of a type; for the largest value, the next smaller one."""
    if dtype.kind == "f":
        return float(np.nextafter(dtype.type(value), dtype.type(np.inf)))
    return value + 1 if value < np.iinfo(dtype).max else value - 1
