"""Values of an image between its pixels, by its valid pixels alone.

OpenCV's remap would be faster, but it reads a ramp up to 0.05 px off: its cubic kernel (a = -0.75) does not reproduce
one, and positions are rounded to 1/32 px. The kernels here reproduce ramps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Output pixels at a time, so that what is computed for them stays in the processor's cache.
_STRIP_PX = 1 << 16

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Kernel:
    """How neighbours are weighted by their distance.

    Attributes:
        reach: Distance in pixels beyond which nothing weighs.
        weigh: Weights for distances up to ``reach``.
    """

    reach: int
    weigh: Callable[[Floats], Floats]


def _triangle(t: Floats) -> Floats:
    return np.asarray(np.maximum(1 - np.abs(t), 0))


def _keys(t: Floats) -> Floats:
    """Cubic convolution, Keys, "Cubic convolution interpolation for digital image processing" (IEEE TASSP 1981)."""
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0)).astype(t.dtype)


def _lanczos(t: Floats) -> Floats:
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0).astype(t.dtype)


NEAREST = "nearest"
KERNELS = {"bilinear": Kernel(1, _triangle), "cubic": Kernel(2, _keys), "lanczos": Kernel(3, _lanczos)}
RESAMPLINGS = (NEAREST, *KERNELS)


@dataclass(frozen=True)
class SamplePoints:
    """Where an image is sampled.

    Attributes:
        x: H×W positions in its pixels, GDAL frame.
        y: Likewise.
        stretch: Pixels of the image for one output pixel along x and along y, 1 where it is less: kernels are
            widened by it, so that what the output cannot show is averaged.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    stretch: tuple[float, float] = (1.0, 1.0)


def reach_px(resampling: str, stretch: float) -> int:
    """How many pixels around a position have a say in its value."""
    return 1 if resampling == NEAREST else int(np.ceil(KERNELS[resampling].reach * stretch))


def sample(
    image: NDArray[np.generic], valid: NDArray[np.bool_], spots: SamplePoints, resampling: str
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Sample one band.

    A position has a value where the pixel that it lies in is valid. Where a kernel would reach a pixel that is not, or
    the edge of the image, the value is bilinear among the valid ones.

    Args:
        image: h×w band of any real type.
        valid: h×w, False where there is nothing; those pixels are never looked at.
        spots: Where.
        resampling: One of :data:`RESAMPLINGS`.

    Returns:
        H×W values, as the image's type for ``nearest``, or else floating, and where they are valid, elsewhere 0.
    """
    there = _inside(spots, valid.shape)
    row, column = (np.where(there, np.floor(at), 0).astype(np.intp) for at in (spots.y, spots.x))
    there &= valid[row, column]
    if resampling == NEAREST:
        return np.where(there, image[row, column], np.zeros((), image.dtype)), there
    return _convolved(image, valid, spots, there, KERNELS[resampling]), there


def _inside(spots: SamplePoints, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    # false for positions that are not finite, too
    return np.asarray((spots.x >= 0) & (spots.y >= 0) & (spots.x < shape[1]) & (spots.y < shape[0]))


def _convolved(
    image: NDArray[np.generic], valid: NDArray[np.bool_], spots: SamplePoints, there: NDArray[np.bool_], kernel: Kernel
) -> Floats:
    exact = image.dtype.itemsize <= 2 or image.dtype == np.float32
    clean: Floats = np.where(valid, image, 0).astype(np.float32 if exact else np.float64)
    taps = [2 * int(np.ceil(kernel.reach * stretch)) for stretch in spots.stretch]
    pad = max(*taps, 2)
    clean, known = np.asarray(np.pad(clean, pad)), np.pad(valid, pad)
    # whether all of the pixels that a kernel reaches are valid, at the first of them
    whole = cv2.erode(known.astype(np.uint8), np.ones(taps[::-1], np.uint8), anchor=(0, 0)) > 0
    out: Floats = np.zeros(there.shape, clean.dtype)
    rows = max(1, _STRIP_PX // there.shape[1])
    for top in range(0, len(out), rows):
        strip = slice(top, top + rows)
        here = there[strip]
        if not here.any():
            continue
        x, y = (np.where(here, at[strip], 0.5) - 0.5 + pad for at in (spots.x, spots.y))
        left, across = _weights(x, taps[0], spots.stretch[0], kernel, clean.dtype)
        up, down = _weights(y, taps[1], spots.stretch[1], kernel, clean.dtype)
        first = up * clean.shape[1] + left
        out[strip] = _sum(clean, first, across, down)
        short = here & ~whole.reshape(-1).take(first)
        if short.any():
            out[strip][short] = _bilinear(clean, known, x[short], y[short])
        out[strip] *= here
    return out


def _weights(
    at: NDArray[np.float64], taps: int, stretch: float, kernel: Kernel, dtype: np.dtype[np.floating[Any]]
) -> tuple[NDArray[np.intp], list[Floats]]:
    """The first pixel that a kernel reaches along an axis, and the weights from there on, 1 together."""
    centre = np.floor(at)
    first = centre.astype(np.intp) - taps // 2 + 1
    part = (at - centre).astype(dtype)
    away = [k - taps // 2 + 1 - part for k in range(taps)]
    weights = [kernel.weigh(distance / dtype.type(stretch)) for distance in away]
    total = sum(weights)
    weights = [weight / total for weight in weights]
    # no kernel may move what it resamples: those that cut a sinc off would, by 0.02 px
    moved = sum(weight * distance for weight, distance in zip(weights, away, strict=True))
    middle = taps // 2 - 1
    weights[middle] += moved
    weights[middle + 1] -= moved
    return first, weights


def _sum(
    image: Floats,
    first: NDArray[np.intp],
    across: list[Floats],
    down: list[Floats],
) -> Floats:
    flat, width = image.reshape(-1), image.shape[1]
    out = np.zeros(first.shape, image.dtype)
    for j, weight_down in enumerate(down):
        line = np.zeros_like(out)
        for i, weight_across in enumerate(across):
            line += weight_across * flat[j * width + i :].take(first)
        out += weight_down * line
    return out


def _bilinear(image: Floats, valid: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64]) -> Floats:
    """Bilinear values at (N,) positions, centres of pixels at whole numbers, among the valid pixels alone."""
    left, up = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    total, share = np.zeros(len(x)), np.zeros(len(x))
    for j in (0, 1):
        for i in (0, 1):
            weight = (1 - np.abs(x - left - i)) * (1 - np.abs(y - up - j)) * valid[up + j, left + i]
            total += weight * image[up + j, left + i]
            share += weight
    # positions lie in a valid pixel, which weighs a quarter at least
    return (total / share).astype(image.dtype)
