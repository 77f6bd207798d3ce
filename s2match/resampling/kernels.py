"""Interpolate images at any positions with resampling kernels, from valid pixels only.

Kernels satisfy the first-moment condition (exact for linear ramps). OpenCV's ``remap`` is faster, but shifts a ramp by
up to 0.05 px: its cubic kernel (a = -0.75) violates the condition, and it rounds positions to 1/32 px.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.errors import OptionError

# Rows and columns of the output that are computed at once: intermediate arrays stay in the cache, and the whole pixels
# of a smooth displacement are the same in most of these tiles.
_TILE_PX = (128, 256)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Kernel:
    """A resampling kernel.

    Attributes:
        radius: Radius of its support in pixels.
        weigh: Weights at distances (in pixels, signed) within the radius.
    """

    radius: int
    weigh: Callable[[Floats], Floats]


def _triangle(t: Floats) -> Floats:
    """Bilinear kernel."""
    return np.asarray(np.maximum(1 - np.abs(t), 0))


def _keys(t: Floats) -> Floats:
    """Cubic convolution, a = -0.5 (Keys, "Cubic convolution interpolation", IEEE TASSP 1981)."""
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1
    # each pixel under a kernel that is not widened has a branch of its own; both are 0 where they meet
    if t.max() <= 1:
        return near
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0)).astype(t.dtype)


def _lanczos(t: Floats) -> Floats:
    """Lanczos kernel of radius 3."""
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0).astype(t.dtype)


NEAREST = "nearest"
KERNELS = {"bilinear": Kernel(1, _triangle), "cubic": Kernel(2, _keys), "lanczos": Kernel(3, _lanczos)}
RESAMPLINGS = (NEAREST, *KERNELS)


def check_resampling(name: str) -> None:
    """Refuse an unknown resampling.

    Raises:
        OptionError: It is none of :data:`RESAMPLINGS`.
    """
    if name not in RESAMPLINGS:
        raise OptionError(f"Unknown resampling {name!r}: choose {', '.join(RESAMPLINGS)}.")


@dataclass(frozen=True)
class SamplePoints:
    """H×W positions at which an image is sampled.

    Attributes:
        x: Columns in pixels of the image, GDAL frame: H×W, or 1×W where all rows have the same.
        y: Rows, likewise: H×W, or H×1 where all columns have the same.
        stretch: Image pixels per output pixel along x and along y, at least 1. Kernels are widened by it, so that
            detail finer than the output pixels is averaged.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    stretch: tuple[float, float] = (1.0, 1.0)


def radius_px(resampling: str, stretch: float) -> int:
    """Radius in pixels around a position that its value depends on.

    Args:
        resampling: One of :data:`RESAMPLINGS`.
        stretch: See :class:`SamplePoints`.
    """
    return 1 if resampling == NEAREST else int(np.ceil(KERNELS[resampling].radius * stretch))


def sample(
    bands: NDArray[np.generic], valid: NDArray[np.bool_], points: SamplePoints, resampling: str
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Sample the bands of an image.

    A position is valid where the pixel that it lies in is valid. Where the kernel covers an invalid pixel or exceeds
    the image, the value is bilinear over the valid pixels.

    Args:
        bands: B×h×w values of any real type.
        valid: B×h×w bool; values of invalid pixels are not used.
        points: H×W positions.
        resampling: One of :data:`RESAMPLINGS`.

    Returns:
        B×H×W values, 0 where not valid, of the type of ``bands`` for ``nearest``, else floating; and B×H×W bool, where
        they are valid, which may be read-only.
    """
    height, width = bands.shape[1:]
    inside, whole = _within(points.y, height) & _within(points.x, width), bool(valid.all())
    everywhere = np.broadcast_to(inside, (len(bands), *inside.shape))
    if whole and resampling != NEAREST:
        return _convolve(bands, valid, points, everywhere, KERNELS[resampling]), everywhere
    row, column = (
        np.where(_within(at, side), np.floor(at), 0).astype(np.intp)
        for at, side in ((points.y, height), (points.x, width))
    )
    sampled = everywhere if whole else np.stack([inside & band[row, column] for band in valid])
    if resampling == NEAREST:
        values = np.stack([band[row, column] for band in bands])
        return np.where(sampled, values, np.zeros((), bands.dtype)), sampled
    return _convolve(bands, valid, points, sampled, KERNELS[resampling]), sampled


def _within(at: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    """Whether positions along an axis lie in an image; False where not finite."""
    return np.asarray((at >= 0) & (at < side))


def _convolve(
    bands: NDArray[np.generic],
    valid: NDArray[np.bool_],
    points: SamplePoints,
    sampled: NDArray[np.bool_],
    kernel: Kernel,
) -> Floats:
    """B×H×W values, interpolated with a kernel where ``sampled`` is True, 0 elsewhere."""
    height, width = bands.shape[1:]
    taps = [2 * int(np.ceil(kernel.radius * stretch)) for stretch in points.stretch]
    pad = max(*taps, 2)
    clean = _padded(bands, valid, pad)
    padded_valid = np.pad(valid, [(0, 0), (pad, pad), (pad, pad)])
    # whether all pixels under the kernel are valid, stored at the first of them; one band stands for all that are alike
    under, different = np.ones(taps[::-1], np.uint8), padded_valid[:1] if valid.all() else padded_valid
    complete = [cv2.erode(band.astype(np.uint8), under, anchor=(0, 0)) > 0 for band in different]
    complete *= len(bands) // len(different)
    x, y = (np.where(_within(at, side), at, 0.5) - 0.5 + pad for at, side in ((points.x, width), (points.y, height)))
    out: Floats = np.zeros(sampled.shape, clean.dtype)
    for tile in _tiles(sampled.shape[1:]):
        wanted = sampled[:, *tile]
        if not wanted.any():
            continue
        tile_x, tile_y = _part(x, tile), _part(y, tile)
        left, across = _weights(tile_x, taps[0], points.stretch[0], kernel, clean.dtype)
        up, down = _weights(tile_y, taps[1], points.stretch[1], kernel, clean.dtype)
        box = slice(up.min(), up.max() + 1), slice(left.min(), left.max() + 1)
        for band, pixels in enumerate(clean):
            part = out[band, *tile]
            part[...] = _weighted_sum(pixels, (up, left), down, across)
            if not complete[band][box].all():
                incomplete = wanted[band] & ~complete[band][up, left]
                at_x, at_y = (np.broadcast_to(at, incomplete.shape)[incomplete] for at in (tile_x, tile_y))
                part[incomplete] = _bilinear(pixels, padded_valid[band], at_x, at_y)
            if not wanted[band].all():
                part *= wanted[band]
    return out


def _padded(bands: NDArray[np.generic], valid: NDArray[np.bool_], pad: int) -> Floats:
    """The valid pixels of bands as floating-point numbers; 0 elsewhere and in a margin of ``pad`` pixels."""
    exact = bands.dtype.itemsize <= 2 or bands.dtype == np.float32
    height, width = bands.shape[1:]
    padded: Floats = np.zeros((len(bands), height + 2 * pad, width + 2 * pad), np.float32 if exact else np.float64)
    np.copyto(padded[:, pad : pad + height, pad : pad + width], bands, where=valid)
    return padded


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the tiles of an output."""
    rows, columns = _TILE_PX
    for top in range(0, shape[0], rows):
        for left in range(0, shape[1], columns):
            yield slice(top, top + rows), slice(left, left + columns)


def _part(positions: NDArray[np.float64], tile: tuple[slice, slice]) -> NDArray[np.float64]:
    """Those positions that a tile has; an axis of one position is kept."""
    rows, columns = (slice(None) if side == 1 else part for side, part in zip(positions.shape, tile, strict=True))
    return positions[rows, columns]


def _weights(
    at: NDArray[np.float64], taps: int, stretch: float, kernel: Kernel, dtype: np.dtype[np.floating[Any]]
) -> tuple[NDArray[np.intp], list[Floats]]:
    """First pixel under the kernel along one axis, and the weights of the pixels from there on; they sum to 1.

    Args:
        at: Positions along the axis, integers at pixel centres.
        taps: Number of pixels under the kernel.
        stretch: Factor by which the kernel is widened.
        kernel: The kernel.
        dtype: Floating type of the weights.
    """
    centre = np.floor(at)
    first = centre.astype(np.intp) - taps // 2 + 1
    fraction = (at - centre).astype(dtype)
    distances = [k - taps // 2 + 1 - fraction for k in range(taps)]
    weights = [kernel.weigh(distance / dtype.type(stretch)) for distance in distances]
    total = sum(weights)
    weights = [weight / total for weight in weights]
    # first-moment condition (exact for linear ramps), which windowed sincs miss by 0.02 px
    moment = sum(weight * distance for weight, distance in zip(weights, distances, strict=True))
    middle = taps // 2 - 1
    weights[middle] += moment
    weights[middle + 1] -= moment
    return first, weights


def _weighted_sum(
    image: Floats, first: tuple[NDArray[np.intp], NDArray[np.intp]], down: list[Floats], across: list[Floats]
) -> Floats:
    """Separable weighted sums of the pixels from ``first`` (row, column) on, downwards and to the right."""
    up, left = first
    if up.shape[1] == 1 and left.shape[0] == 1:
        # the sum along a row of pixels is the same for all rows of the output
        top = up.min()
        pixels = image[top : up.max() + len(down)]
        lines = _sum(weight * _taken(pixels, left[0] + i, 1) for i, weight in enumerate(across))
        return _sum(weight * _taken(lines, up[:, 0] - top + j, 0) for j, weight in enumerate(down))
    look_up = _look_up(image, up, left)
    return _sum(
        weight_down * _sum(weight_across * look_up(j, i) for i, weight_across in enumerate(across))
        for j, weight_down in enumerate(down)
    )


def _sum(terms: Iterator[Floats]) -> Floats:
    """Sum of arrays, the first of which is overwritten."""
    total = next(terms)
    for term in terms:
        total += term
    return total


def _taken(image: Floats, index: NDArray[np.intp], axis: int) -> Floats:
    """Rows (axis 0) or columns (axis 1) of an image: a view if they follow each other."""
    if (np.diff(index) == 1).all():
        part = slice(index[0], index[-1] + 1)
        return image[part] if axis == 0 else image[:, part]
    return image.take(index, axis)


def _look_up(image: Floats, up: NDArray[np.intp], left: NDArray[np.intp]) -> Callable[[int, int], Floats]:
    """Function that gives the H×W pixels which lie some rows and columns after the pixels (up, left)."""
    down = up - np.arange(up.shape[0])[:, None]
    right = left - np.arange(left.shape[1])
    if (down == down[0, 0]).all() and (right == right[0, 0]).all():
        top, start = down[0, 0], right[0, 0]
        return lambda j, i: image[top + j : top + j + up.shape[0], start + i : start + i + left.shape[1]]
    flat, width = image.reshape(-1), image.shape[1]
    first = up * width + left
    return lambda j, i: flat[j * width + i :].take(first)


def _bilinear(image: Floats, valid: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64]) -> Floats:
    """Bilinear values at (N,) positions from the valid pixels only; pixel centres at integers."""
    left, up = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    total, total_weight = np.zeros(len(x)), np.zeros(len(x))
    for j in (0, 1):
        for i in (0, 1):
            weight = (1 - np.abs(x - left - i)) * (1 - np.abs(y - up - j)) * valid[up + j, left + i]
            total += weight * image[up + j, left + i]
            total_weight += weight
    # each position lies in a valid pixel, whose weight is at least 1/4
    return (total / total_weight).astype(image.dtype)
