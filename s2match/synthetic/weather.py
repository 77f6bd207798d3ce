"""Sun, snow and clouds of a date."""

from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.synthetic.ground import Ground
from s2match.synthetic.materials import HEIGHT_M, INDEX, SNOW_SHARE
from s2match.synthetic.shapes import noise
from s2match.synthetic.specs import SceneSpec
from s2match.synthetic.units import CELL_M, PIXEL_M, Floats, Paint

CLOUD_HEIGHT_M = 600.0


def sun_at(date: datetime) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the sun at the time of the overpass, in degrees."""
    season = np.cos(2 * np.pi * (date.timetuple().tm_yday - 172) / 365.25)
    return 161 - 9 * float(season), 38 + 22 * float(season)


def sunward(azimuth: float) -> Floats:
    """Unit vector (east, south) towards the sun."""
    return np.array([np.sin(np.radians(azimuth)), -np.cos(np.radians(azimuth))], np.float32)


def cast_shadow(paint: Paint, azimuth: float, elevation: float) -> NDArray[np.bool_]:
    """(H, W) mask of cells in the shadow of trees and houses."""
    table = np.zeros(65536, np.uint8)
    for name, height in HEIGHT_M.items():
        table[INDEX[name]] = height
    heights = table[paint]
    shadow = np.zeros(paint.shape, bool)
    east, south = sunward(azimuth)
    for step in range(1, int(20 / np.tan(np.radians(elevation)) / CELL_M) + 1):
        move = np.array([[1, 0, -step * east], [0, 1, -step * south]])
        obstacle = cv2.warpAffine(heights, move, paint.shape[::-1], flags=cv2.INTER_NEAREST)
        shadow |= obstacle > heights + step * CELL_M * np.tan(np.radians(elevation))
    return shadow


def add_snow(rng: np.random.Generator, colour: Floats, ground: Ground, share: float) -> Floats:
    """(H, W, 3) colours with snow on open ground, less on woods, water and roads."""
    table = np.ones(65536, np.float32)
    for name, material_share in SNOW_SHARE.items():
        table[INDEX[name]] = material_share
    depth = noise(rng, (colour.shape[0], colour.shape[1]), 300, 6, 1.3)
    cover = np.clip(share + 0.1 * depth, 0, 1) * table[ground.paint]
    white = np.array([196, 200, 209], np.float32) * (1 + 0.025 * ground.soil[..., None])
    return np.asarray(colour + cover[..., None] * (white + 0.5 * (colour - 80) - colour), np.float32)


def make_clouds(rng: np.random.Generator, shape: tuple[int, int], spec: SceneSpec) -> tuple[Floats, Floats, Floats]:
    """Opacity of the clouds, their brightness, and the share of light in their shadow, each (H, W)."""
    azimuth, elevation = sun_at(spec.sensed)
    shadow_px = CLOUD_HEIGHT_M / PIXEL_M / np.tan(np.radians(elevation))
    margin = int(shadow_px) + 2
    padded = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    towers = noise(rng, padded, 130, 6, 1.5) + 0.45 * noise(rng, padded, 500, 120, 1.5)
    towers -= 0.32 * np.abs(noise(rng, padded, 24, 5, 0.9))
    towers -= np.quantile(towers, 1 - spec.clouds).astype(np.float32)
    thick = np.clip(0.5 + 1.35 * towers, 0, 1)
    thick = thick * thick * (3 - 2 * thick)
    east, south = sunward(azimuth)
    move = np.array([[1, 0, -shadow_px * east], [0, 1, -shadow_px * south]])
    shadow = cv2.GaussianBlur(cv2.warpAffine(thick, move, padded[::-1]), (0, 0), 1.5)
    lit = cv2.warpAffine(towers, move * [[1, 1, -0.06], [1, 1, -0.06]], padded[::-1], borderMode=cv2.BORDER_REFLECT)
    bright = np.clip(208 + 28 * towers - 40 * (lit - towers), 155, 262)
    inside = np.s_[margin : margin + shape[0], margin : margin + shape[1]]
    opacity, brightness, light = (np.asarray(layer[inside], np.float32) for layer in (thick, bright, 1 - 0.55 * shadow))
    return opacity, brightness, light
