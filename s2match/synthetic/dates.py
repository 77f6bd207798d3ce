"""Render the whole ground on one date."""

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.synthetic.colours import palette_on
from s2match.synthetic.ground import Ground
from s2match.synthetic.shapes import noise
from s2match.synthetic.specs import SceneSpec
from s2match.synthetic.units import Floats
from s2match.synthetic.weather import add_snow, cast_shadow, make_clouds, sun_at, sunward


def render(ground: Ground, spec: SceneSpec, seed: int) -> NDArray[np.uint8]:
    """Render the whole ground on one date.

    Args:
        ground: The ground.
        spec: Date and weather; its tile and swath are not used.
        seed: The seed of the ground.

    Returns:
        H×W×3 image of 10 m pixels, red green blue. Values are at least 12: 0 is nodata, and the codec is lossy.
    """
    rng = np.random.default_rng([seed, 3, spec.sensed.toordinal()])
    image = _surface(rng, ground, spec, seed)
    shape = (image.shape[0], image.shape[1])
    if spec.clouds:
        opacity, brightness, light = make_clouds(rng, shape, spec)
        image *= light[..., None]
        image += opacity[..., None] * (brightness[..., None] * np.array([0.985, 0.99, 1.0], np.float32) - image)
    veil = spec.haze * (1 + 0.22 * noise(rng, shape, 700, 60, 1.6))[..., None]
    image += np.clip(veil, 0, 0.8) * (np.array([150, 158, 170], np.float32) - image)
    image = cv2.GaussianBlur(image, (0, 0), 0.5)
    image += rng.normal(0, 0.9, image.shape).astype(np.float32)
    return np.asarray(np.clip(np.round(image), 12, 255), np.uint8)


def _surface(rng: np.random.Generator, ground: Ground, spec: SceneSpec, seed: int) -> Floats:
    """H×W×3 image of the ground in 10 m pixels, without clouds and haze."""
    colours, contrast = palette_on(ground, seed, spec.sensed)
    azimuth, elevation = sun_at(spec.sensed)
    colour = colours[ground.paint]
    colour *= (ground.texture * (1 + contrast[ground.paint] * ground.soil))[..., None]
    if spec.snow:
        colour = add_snow(rng, colour, ground, spec.snow)
    light = 1 - np.tensordot(sunward(azimuth), ground.slope, 1) / np.tan(np.radians(elevation))
    light *= np.where(cast_shadow(ground.paint, azimuth, elevation), 0.62, 1)
    colour *= np.clip(light, 0.45, 1.6)[..., None]
    height, width = colour.shape[:2]
    return np.asarray(cv2.resize(colour, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)
