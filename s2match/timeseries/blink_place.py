"""The place that the animation of a series shows: ground that is clear on its dates."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.raster import Patch
from s2match.core.window import Window
from s2match.errors import NoValidPixelsError
from s2match.io.reader import read_whole
from s2match.timeseries.date_models import corrected_shift, file_of, model_of
from s2match.timeseries.quick_looks import small_version
from s2match.timeseries.result import SeriesResult

# Clarity of a date below which cloud or nodata hides much of the place.
_LEAST_CLARITY = 0.4

# Power of the clear share in the clarity: a place that is half clear is hardly clear.
_POWER = 4

# Standard deviation of the blur that separates detail from brightness, in pixels of the small version.
_DETAIL_PX = 3.0


@dataclass(frozen=True)
class Place:
    """A place on the ground, and the dates that show it.

    Attributes:
        window: The place, in pixels of the grid it was chosen on.
        dates: Indexes of the dates on which neither cloud nor nodata hides much of it.
    """

    window: Window
    dates: tuple[int, ...]


def choose_place(result: SeriesResult, onto: Grid, dates: Sequence[int], side_px: int) -> Place:
    """The place with much detail that is clear on as many dates as possible.

    The clarity of a date is the correlation of its detail with the median of all dates, which cloud lowers, times a
    power of its clear share. Half of the weight is shared equally by the dates, and half in proportion to the shifts
    that are corrected, which the animation is to show.

    Args:
        result: The series.
        onto: The grid that the dates are written on.
        dates: Indexes of the dates, all placed; at least one.
        side_px: Side of the place in pixels of the grid, at most.
    """
    details = np.stack([_detail(result, onto, index) for index in dates])
    with warnings.catch_warnings():
        # of ground that no date shows
        warnings.simplefilter("ignore", RuntimeWarning)
        median = np.nanmedian(details, axis=0)
    scale = onto.size[0] / median.shape[1]
    size = min(side_px, onto.size[0]), min(side_px, onto.size[1])
    box = max(1, round(size[0] / scale)), max(1, round(size[1] / scale))
    clarities = [_clarity(median, detail, box) for detail in details]
    lengths = np.array([np.linalg.norm(corrected_shift(result, index)) for index in dates])
    weights = 0.5 / len(dates) + 0.5 * lengths / max(float(lengths.sum()), 1e-9)
    clear = np.tensordot(weights, np.stack(clarities), 1)
    contrast = np.sqrt(np.maximum(_mean(np.nan_to_num(median) ** 2, box), 0))
    row, column = np.unravel_index(int(np.argmax(clear * np.sqrt(contrast))), clear.shape)
    x, y = (
        int(np.clip(round((middle + 0.5) * scale - length / 2), 0, whole - length))
        for middle, length, whole in zip((column, row), size, onto.size, strict=True)
    )
    seen = [index for index, clarity in zip(dates, clarities, strict=True) if clarity[row, column] >= _LEAST_CLARITY]
    return Place(Window(x, y, *size), tuple(seen))


def _detail(result: SeriesResult, onto: Grid, index: int) -> NDArray[np.float32]:
    """(H, W) detail of a date on a small version of a grid, in its median size; NaN where the date is not clear."""
    file = file_of(result, index)
    small = small_version(result.images[index], file)
    width, height = small.size
    try:
        raster = read_whole(small)
    except NoValidPixelsError:
        return np.full((height, width), np.nan, np.float32)
    detail = _without_brightness(Patch(raster.image, raster.valid))
    x, y = model_of(result.adjustment.shifts[index], onto, file).apply(np.zeros((1, 2)))[0] * width / file.size[0]
    matrix = np.array([[1, 0, x], [0, 1, y]])
    aligned, valid = (
        cv2.warpAffine(values, matrix, (width, height), flags=kernel | cv2.WARP_INVERSE_MAP)
        for values, kernel in ((detail, cv2.INTER_LINEAR), (raster.valid.astype(np.uint8), cv2.INTER_NEAREST))
    )
    strength = float(np.median(np.abs(detail[raster.valid])))
    return np.asarray(np.where(valid > 0, aligned / max(strength, 1.0), np.nan), np.float32)


def _without_brightness(patch: Patch) -> NDArray[np.float32]:
    """(H, W) grey levels minus their mean around each pixel: fields and roads without the light of the date."""
    grey = np.asarray(patch.image.mean(axis=2, dtype=np.float32))
    weight = patch.valid.astype(np.float32)
    sums = [cv2.GaussianBlur(values, (0, 0), _DETAIL_PX) for values in (grey * weight, weight)]
    return np.asarray((grey - sums[0] / np.maximum(sums[1], 1e-6)) * weight)


def _clarity(median: NDArray[np.float32], detail: NDArray[np.float32], box: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) correlation of a date with the median in a box around each pixel, times a power of its clear share."""
    valid = np.isfinite(detail) & np.isfinite(median)
    first, second = (np.where(valid, image, 0) for image in (median, detail))
    # sums of a box filter are below 0 by rounding
    norm = np.sqrt(np.maximum(_mean(first * first, box), 0) * np.maximum(_mean(second * second, box), 0))
    correlation = _mean(first * second, box) / np.maximum(norm, 1e-3)
    return np.asarray(np.clip(correlation, 0, 1) * _mean(valid, box) ** _POWER, np.float32)


def _mean(image: NDArray[np.generic], box: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) mean in a box around each pixel, with 0 beyond the image."""
    return np.asarray(cv2.boxFilter(image.astype(np.float32), cv2.CV_32F, box, borderType=cv2.BORDER_CONSTANT))
