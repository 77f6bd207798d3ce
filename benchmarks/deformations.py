"""Known deformations of images: shift, rotation and scale, affine, and a smooth displacement field."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.exact_sampling import pixel_centres, sampled

Points = NDArray[np.float64]

# Smallest and largest displacement of the field, and its number of waves along the longer side.
FIELD_PX = (0.3, 2.0)
_WAVES = 1.5

# Rows that are resampled at once, to limit the memory for a full tile.
_ROWS = 1024


@dataclass(frozen=True)
class Deformation:
    """A known map between the pixels of a reference and those of its deformed copy.

    Attributes:
        name: Its name in tables.
        backward: Maps (N, 2) target pixels (x, y), GDAL frame, of an image of a size (width, height) to reference
            pixels.
    """

    name: str
    backward: Callable[[Points, tuple[int, int]], Points]

    def forward(self, xy: Points, size: tuple[int, int]) -> Points:
        """Map (N, 2) reference pixels to target pixels, by fixed-point iteration of the backward map."""
        target_xy = xy.copy()
        for _ in range(50):
            target_xy += xy - self.backward(target_xy, size)
        return target_xy


def deformations() -> tuple[Deformation, ...]:
    """A deformation for each kind of model."""
    return (
        Deformation("shift", lambda xy, size: xy - [0.3, -0.7]),
        Deformation("turn and scale", lambda xy, size: _rotated(xy, size, 0.05, 1.0008)),
        Deformation("affine", _sheared),
        field(),
    )


def field() -> Deformation:
    """A smooth displacement field of 0.3 to 2 px."""
    return Deformation("field 0.3 to 2 px", lambda xy, size: xy - _wave(xy, size))


def deformed(image: NDArray[np.uint8], deformation: Deformation) -> NDArray[np.uint8]:
    """Deform an image (H, W) or (H, W, 3) by one resampling."""
    size = (image.shape[1], image.shape[0])
    out = np.empty_like(image)
    for top in range(0, size[1], _ROWS):
        bottom = min(top + _ROWS, size[1])
        centres = pixel_centres(size, top, bottom)
        out[top:bottom] = sampled(image, deformation.backward(centres.reshape(-1, 2), size).reshape(centres.shape))
    return out


def _rotated(xy: Points, size: tuple[int, int], degrees: float, scale: float) -> Points:
    matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, scale)
    return np.asarray(xy @ matrix[:, :2].T + matrix[:, 2] - [0.4, 0.2])


def _sheared(xy: Points, size: tuple[int, int]) -> Points:
    centred = xy / size - 0.5
    return np.asarray(xy + centred @ np.array([[1.2, -0.5], [0.9, 0.6]]) + [0.2, 0.5])


def _wave(xy: Points, size: tuple[int, int]) -> Points:
    phase = 2 * np.pi * _WAVES * xy / max(size)
    # the length varies over its whole range, the direction over the full circle
    low, high = FIELD_PX
    length = low + (high - low) * (0.5 + 0.25 * np.sin(phase[:, 0] + 0.6) + 0.25 * np.cos(phase[:, 1] + 0.3))
    angle = 0.5 * np.pi * (np.sin(0.5 * phase[:, 1]) + np.cos(0.5 * phase[:, 0]))
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
