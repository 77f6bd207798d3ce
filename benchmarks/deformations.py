"""Known maps put into images: shifts, turns, scales and smooth local fields, all fractions of a pixel to a few."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

# The field moves points by this at least and at most; along each axis it goes through a whole wave and a half.
FIELD_PX = (0.3, 2.0)
_WAVES = 1.5

# Rows that are resampled at once, so that a full tile takes little memory.
_ROWS = 1024


@dataclass(frozen=True)
class Deformation:
    """A known map of an image onto itself.

    Attributes:
        name: What it does.
        backward: Carries (N, 2) target pixels (x, y), GDAL frame, of an image of some size (width, height) to the
            reference pixels that show the same ground.
    """

    name: str
    backward: Callable[[Points, tuple[int, int]], Points]

    def forward(self, xy: Points, size: tuple[int, int]) -> Points:
        """Carry (N, 2) reference pixels to target pixels: the map is near identity, so that iterating inverts it."""
        found = xy.copy()
        for _ in range(50):
            found += xy - self.backward(found, size)
        return found


def deformations() -> tuple[Deformation, ...]:
    """One of each kind of model."""
    return (
        Deformation("shift", lambda xy, size: xy - [0.3, -0.7]),
        Deformation("turn and scale", lambda xy, size: _turned(xy, size, 0.05, 1.0008)),
        Deformation("affine", _sheared),
        field(),
    )


def field() -> Deformation:
    """A smooth local field of 0.3 to 2 px."""
    return Deformation("field 0.3 to 2 px", lambda xy, size: xy - _wave(xy, size))


def deformed(image: NDArray[np.uint8], deformation: Deformation) -> NDArray[np.uint8]:
    """An image (H, W) or (H, W, 3) through a deformation, resampled once (Lanczos, to a 32nd of a pixel)."""
    size = (image.shape[1], image.shape[0])
    out = np.empty_like(image)
    for top in range(0, size[1], _ROWS):
        bottom = min(top + _ROWS, size[1])
        x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(top, bottom) + 0.5)
        # OpenCV puts pixel centres at integers
        there = deformation.backward(np.stack([x, y], -1).reshape(-1, 2), size).reshape(*x.shape, 2) - 0.5
        low = max(0, int(there[..., 1].min()) - 8)
        high = min(size[1], int(there[..., 1].max()) + 9)
        there[..., 1] -= low
        part = cv2.remap(
            image[low:high], there.astype(np.float32), None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT
        )
        out[top:bottom] = part
    return out


def _turned(xy: Points, size: tuple[int, int], degrees: float, scale: float) -> Points:
    matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, scale)
    return np.asarray(xy @ matrix[:, :2].T + matrix[:, 2] - [0.4, 0.2])


def _sheared(xy: Points, size: tuple[int, int]) -> Points:
    along = xy / size - 0.5
    return np.asarray(xy + along @ np.array([[1.2, -0.5], [0.9, 0.6]]) + [0.2, 0.5])


def _wave(xy: Points, size: tuple[int, int]) -> Points:
    phase = 2 * np.pi * _WAVES * xy / max(size)
    # the length goes from the least to the most, the direction all the way round
    low, high = FIELD_PX
    length = low + (high - low) * (0.5 + 0.25 * np.sin(phase[:, 0] + 0.6) + 0.25 * np.cos(phase[:, 1] + 0.3))
    angle = 0.5 * np.pi * (np.sin(0.5 * phase[:, 1]) + np.cos(0.5 * phase[:, 0]))
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
