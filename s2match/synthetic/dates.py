"""The whole ground on one date: coloured, lit, averaged to 10 m, under the air of the day."""

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.synthetic.colours import palette_on
from s2match.synthetic.ground import Ground
from s2match.synthetic.shapes import noise
from s2match.synthetic.takes import SceneSpec
from s2match.synthetic.units import Floats
from s2match.synthetic.weather import cast_shadow, make_clouds, snowed, sun_at, sunward


def render(ground: Ground, take: SceneSpec, seed: int) -> NDArray[np.uint8]:
    """Render the whole ground on one date.

    Args:
        ground: What to render.
        take: Date and weather; its tile and swath are not looked at.
        seed: The same as the ground's.

    Returns:
        (H, W, 3) in px of 10 m, red green blue, 12 or more: 0 is kept for nodata, with room for the codec to err.
    """
    rng = np.random.default_rng([seed, 3, take.sensed.toordinal()])
    image = _surface(rng, ground, take, seed)
    shape = (image.shape[0], image.shape[1])
    if take.clouds:
        thick, bright, left = make_clouds(rng, shape, take)
        image *= left[..., None]
        image += thick[..., None] * (bright[..., None] * np.array([0.985, 0.99, 1.0], np.float32) - image)
    veil = take.haze * (1 + 0.22 * noise(rng, shape, 700, 60, 1.6))[..., None]
    image += np.clip(veil, 0, 0.8) * (np.array([150, 158, 170], np.float32) - image)
    image = cv2.GaussianBlur(image, (0, 0), 0.5)
    image += rng.normal(0, 0.9, image.shape).astype(np.float32)
    return np.asarray(np.clip(np.round(image), 12, 255), np.uint8)


def _surface(rng: np.random.Generator, ground: Ground, take: SceneSpec, seed: int) -> Floats:
    """The ground (H, W, 3) in px of 10 m on a date, without the air above it."""
    colours, shows = palette_on(ground, seed, take.sensed)
    azimuth, elevation = sun_at(take.sensed)
    colour = colours[ground.paint]
    colour *= (ground.texture * (1 + shows[ground.paint] * ground.soil))[..., None]
    if take.snow:
        colour = snowed(rng, colour, ground, take.snow)
    light = 1 - np.tensordot(sunward(azimuth), ground.slope, 1) / np.tan(np.radians(elevation))
    light *= np.where(cast_shadow(ground.paint, azimuth, elevation), 0.62, 1)
    colour *= np.clip(light, 0.45, 1.6)[..., None]
    height, width = colour.shape[:2]
    return np.asarray(cv2.resize(colour, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)
