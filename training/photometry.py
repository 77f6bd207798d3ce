"""Random changes of appearance between two dates: season, sun, haze, cloud, shadow, sensor, resampling."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


def fractal(rng: np.random.Generator, shape: tuple[int, int], slope: float) -> Image:
    """H×W noise with a power-law spectrum, amplitude as frequency to minus ``slope``; mean 0, deviation 1."""
    height, width = shape
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = 1
    noise = np.fft.irfft2(spectrum / radius**slope, s=shape)
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def stretch(image: Image, data: Mask, low: float, high: float) -> Image:
    """Image stretched so that two percentiles of the pixels with data become 0 and 1, clipped; 0 without data."""
    bounds = np.percentile(image[data], [low, high]) if data.any() else (0.0, 1.0)
    grey = np.clip((image - bounds[0]) / max(bounds[1] - bounds[0], 1.0), 0, 1)
    return np.asarray(grey * data, np.float32)


def tone(rng: np.random.Generator, image: Image) -> Image:
    """Image with a random tone curve; a third are not monotone, because seasons and snow turn dark fields bright."""
    knots = int(rng.integers(4, 8))
    level = np.cumsum(rng.uniform(0.2, 1, knots)) if rng.random() < 0.67 else rng.uniform(0, 1, knots)
    level = (level - level.min()) / (np.ptp(level) + 1e-6)
    return np.asarray(np.interp(image, np.linspace(0, 1, knots), level), np.float32)


def repaint(rng: np.random.Generator, image: Image, strength: float) -> Image:
    """Image in [0, 1] as another season, sun and sensor might show it.

    Args:
        rng: Random generator.
        image: H×W in [0, 1].
        strength: 0 to 1, probability that the tone curve changes or is inverted.
    """
    if rng.random() < 0.7 * strength:
        image = tone(rng, image)
    image = np.power(image, np.exp(rng.normal(0, 0.3)), dtype=np.float32)
    if rng.random() < 0.2 * strength:
        image = 1 - image
    if rng.random() < 0.35:
        image = image * (1 + np.float32(0.3) * np.tanh(fractal(rng, image.shape, 1.6)))
    contrast = np.float32(rng.uniform(0.3, 1.0))
    image = image * contrast + np.float32(rng.uniform(0, 1 - contrast))
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.03))
    return np.clip(image + noise, 0, 1).astype(np.float32)


def add_snow(rng: np.random.Generator, image: Image) -> Image:
    """Image in [0, 1] with snow on parts of the open land; the darkest pixels, such as forest, stay dark."""
    open_land = np.clip((image - np.quantile(image, rng.uniform(0.1, 0.6))) * rng.uniform(4, 20), 0, 1)
    lies = np.clip((fractal(rng, image.shape, 1.6) + rng.uniform(-0.5, 2)) * rng.uniform(1, 4), 0, 1)
    cover = open_land * lies * np.float32(rng.uniform(0.7, 1))
    left = np.float32(rng.uniform(0, 0.35))
    snow = np.float32(rng.uniform(0.75, 1)) + left * (image - np.float32(0.5))
    return np.asarray(np.clip(image * (1 - cover) + snow * cover, 0, 1), np.float32)


def add_cloud(rng: np.random.Generator, image: Image) -> tuple[Image, Mask]:
    """Image in [0, 1] with haze, a cloud bank, or fields of cumulus with their shadows.

    Returns:
        The image, and H×W bool, where the ground is hidden.
    """
    if rng.random() < 0.5:
        noise = fractal(rng, image.shape, rng.uniform(1.2, 1.8))
        alpha = np.clip((noise - rng.uniform(0.3, 1.5)) * rng.uniform(1, 4), 0, 1)
    else:
        puffs = cv2.GaussianBlur(rng.standard_normal(image.shape, dtype=np.float32), (0, 0), rng.uniform(2, 8))
        puffs = puffs / puffs.std() + fractal(rng, image.shape, 1.5) * rng.uniform(0, 1)
        alpha = np.clip((puffs - rng.uniform(0.0, 1.5)) * rng.uniform(1.5, 5), 0, 1)
        fall = rng.uniform(-12, 12, 2)
        shift = np.array([[1, 0, fall[0]], [0, 1, fall[1]]])
        shade = cv2.warpAffine(alpha, shift, image.shape[::-1], borderMode=cv2.BORDER_REFLECT)
        image = image * (1 - np.float32(rng.uniform(0.2, 0.7)) * shade)
    painted = image * (1 - alpha) + alpha * np.float32(rng.uniform(0.8, 1))
    return painted.astype(np.float32), np.asarray(alpha > 0.35)
