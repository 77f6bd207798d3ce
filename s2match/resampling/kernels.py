"""Interpolate images at any positions with resampling kernels, from valid pixels only.

Kernels satisfy the first-moment condition (exact for linear ramps). OpenCV's ``remap`` is faster, but shifts a ramp by
up to 0.05 px: its cubic kernel (a = -0.75) violates the condition, and it rounds positions to 1/32 px.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.errors import OptionError

# Output pixels computed at once, so that intermediate arrays stay in the cache.
_STRIP_PX = 1 << 16

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
    """Positions at which an image is sampled.

    Attributes:
        x: H×W columns in pixels of the image, GDAL frame.
        y: H×W rows, likewise.
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
    image: NDArray[np.generic], valid: NDArray[np.bool_], points: SamplePoints, resampling: str
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Sample one band.

    A position is valid where the pixel that it lies in is valid. Where the kernel covers an invalid pixel or exceeds
    the image, the value is bilinear over the valid pixels.

    Args:
        image: h×w band of any real type.
        valid: h×w bool; values of invalid pixels are not used.
        points: H×W positions.
        resampling: One of :data:`RESAMPLINGS`.

    Returns:
        H×W values, 0 where not valid, of the image's type for ``nearest``, else floating; and H×W bool, where they are
        valid.
    """
    sampled = _inside(points, valid.shape)
    row, column = (np.where(sampled, np.floor(at), 0).astype(np.intp) for at in (points.y, points.x))
    sampled &= valid[row, column]
    if resampling == NEAREST:
        return np.where(sampled, image[row, column], np.zeros((), image.dtype)), sampled
    return _convolve(image, valid, points, sampled, KERNELS[resampling]), sampled


def _inside(points: SamplePoints, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """H×W bool, whether positions lie in an image of a (rows, columns) shape; False where not finite."""
    return np.asarray((points.x >= 0) & (points.y >= 0) & (points.x < shape[1]) & (points.y < shape[0]))


def _convolve(
    image: NDArray[np.generic],
    valid: NDArray[np.bool_],
    points: SamplePoints,
    sampled: NDArray[np.bool_],
    kernel: Kernel,
) -> Floats:
    """H×W values, interpolated with a kernel where ``sampled`` is True, 0 elsewhere."""
    exact = image.dtype.itemsize <= 2 or image.dtype == np.float32
    clean: Floats = np.where(valid, image, 0).astype(np.float32 if exact else np.float64)
    taps = [2 * int(np.ceil(kernel.radius * stretch)) for stretch in points.stretch]
    pad = max(*taps, 2)
    clean, padded_valid = np.asarray(np.pad(clean, pad)), np.pad(valid, pad)
    # whether all pixels under the kernel are valid, stored at the first of them
    all_valid = cv2.erode(padded_valid.astype(np.uint8), np.ones(taps[::-1], np.uint8), anchor=(0, 0)) > 0
    out: Floats = np.zeros(sampled.shape, clean.dtype)
    rows = max(1, _STRIP_PX // sampled.shape[1])
    for top in range(0, len(out), rows):
        strip = slice(top, top + rows)
        wanted = sampled[strip]
        if not wanted.any():
            continue
        x, y = (np.where(wanted, at[strip], 0.5) - 0.5 + pad for at in (points.x, points.y))
        left, across = _weights(x, taps[0], points.stretch[0], kernel, clean.dtype)
        up, down = _weights(y, taps[1], points.stretch[1], kernel, clean.dtype)
        first = up * clean.shape[1] + left
        out[strip] = _weighted_sum(clean, first, across, down)
        incomplete = wanted & ~all_valid.reshape(-1).take(first)
        if incomplete.any():
            out[strip][incomplete] = _bilinear(clean, padded_valid, x[incomplete], y[incomplete])
        out[strip] *= wanted
    return out


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


def _weighted_sum(image: Floats, first: NDArray[np.intp], across: list[Floats], down: list[Floats]) -> Floats:
    """Separable weighted sums of the pixels from flat index ``first`` on, to the right and downwards."""
    flat, width = image.reshape(-1), image.shape[1]
    out = np.zeros(first.shape, image.dtype)
    for j, weight_down in enumerate(down):
        line = np.zeros_like(out)
        for i, weight_across in enumerate(across):
            line += weight_across * flat[j * width + i :].take(first)
        out += weight_down * line
    return out


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
