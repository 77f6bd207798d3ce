"""Palette of a date: colours of crops and woods over the year."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from s2match.synthetic.ground import Ground
from s2match.synthetic.materials import INDEX, MATERIALS, Curve
from s2match.synthetic.units import Floats, Points

_SOIL = (112, 95, 77)
# fmt: off
_CROPS: dict[str, Curve] = {
    "wheat": ((1, 74, 82, 54), (80, 66, 84, 50), (115, 46, 80, 40), (150, 50, 76, 42), (175, 98, 100, 62),
              (195, 146, 128, 90), (218, 140, 121, 89), (240, 116, 98, 77), (285, *_SOIL), (315, 86, 86, 60)),
    "barley": ((1, 66, 78, 50), (110, 48, 82, 40), (140, 74, 94, 52), (165, 134, 121, 83), (188, 152, 133, 96),
               (215, 106, 101, 72), (250, 70, 88, 52), (300, 62, 80, 48)),
    "rape": ((1, 60, 78, 48), (98, 50, 82, 42), (116, 92, 110, 46), (130, 122, 126, 48), (146, 70, 95, 50),
             (180, 94, 95, 62), (200, 125, 107, 79), (225, 116, 98, 77), (260, 76, 92, 53), (300, 53, 78, 43)),
    "maize": ((1, 104, 90, 75), (100, *_SOIL), (135, 122, 103, 83), (160, 92, 93, 65), (185, 44, 68, 37),
              (230, 37, 61, 35), (260, 66, 77, 48), (280, 122, 108, 80), (310, *_SOIL)),
    "beet": ((1, *_SOIL), (135, 118, 100, 80), (165, 70, 90, 51), (190, 46, 85, 38), (270, 50, 84, 41), (302, *_SOIL)),
    "sunflower": ((1, *_SOIL), (145, 120, 102, 82), (180, 60, 81, 46), (202, 90, 99, 50), (240, 72, 68, 50),
                  (270, *_SOIL)),
    "grass": ((1, 78, 84, 56), (80, 74, 87, 55), (120, 57, 90, 48), (160, 68, 93, 52), (210, 86, 94, 60),
              (290, 70, 86, 54)),
}
# fmt: on
_ROTATION = ("wheat", "barley", "rape", "maize", "beet", "sunflower", "grass")
_ROTATION_SHARES = (0.28, 0.13, 0.13, 0.16, 0.10, 0.08, 0.12)
# The atmosphere reduces the saturation of colours.
_CHROMA = np.float32(0.82)


def palette_on(ground: Ground, seed: int, date: datetime) -> tuple[Floats, Floats]:
    """Palette of a date.

    Args:
        ground: The ground.
        seed: The seed of the ground.
        date: The date; crops are drawn anew each year.

    Returns:
        Colours (65536, 3), and the contrast of soil patches (65536,).
    """
    day = float(date.timetuple().tm_yday)
    colours, contrast = np.zeros((65536, 3), np.float32), np.zeros(65536, np.float32)
    permanent = np.random.default_rng([seed, 1])
    delay = permanent.normal(0, 8, ground.parcels)
    tint = np.exp(permanent.normal(0, 0.07, (ground.parcels, 1)) + permanent.normal(0, 0.025, (ground.parcels, 3)))
    year = np.random.default_rng([seed, 2, date.year])
    crop = year.choice(len(_ROTATION), ground.parcels, p=_ROTATION_SHARES)
    crop[ground.floodplain] = _ROTATION.index("grass")
    days = day + delay + year.normal(0, 5, ground.parcels)
    for index, name in enumerate(_ROTATION):
        colours[: ground.parcels][crop == index] = colour_on(_CROPS[name], days[crop == index])
    bare = colours[: ground.parcels, 0] / colours[: ground.parcels, 1]
    contrast[: ground.parcels] = np.interp(bare, [0.6, 0.85, 1.2], [-0.025, 0.03, 0.1])
    colours[: ground.parcels] *= tint
    for name, curve in MATERIALS.items():
        colours[INDEX[name]] = colour_on(curve, day)
    grey = colours.mean(axis=1, keepdims=True)
    colours = grey + _CHROMA * (colours - grey)
    return colours, contrast


def colour_on(curve: Curve, days: Points | float) -> NDArray[np.float64]:
    """Colour (..., 3) of a yearly curve on days of the year (...)."""
    table = np.array(curve, float)
    return np.stack([np.interp(days, table[:, 0], table[:, band], period=365.25) for band in (1, 2, 3)], axis=-1)
