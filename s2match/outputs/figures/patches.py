"""Pixels around a point of an image, in the orientation and scale of the reference."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import comparable, expected_linear
from s2match.core.point_maps import jacobian
from s2match.core.raster import grid_of
from s2match.core.window import Window
from s2match.errors import UnreadableImageError
from s2match.io.reader import read_window
from s2match.outputs.figures.style import apply_contrast
from s2match.outputs.figures.views import View
from s2match.result import PairResult


@dataclass(frozen=True)
class Pixels:
    """Pixels of a part of an image.

    Attributes:
        image: H×W×3 uint8.
        corner: (2,) upper left corner (x, y) of the part, in pixels of the matched size.
        per_pixel: (2,) columns and rows per pixel of the matched size.
    """

    image: NDArray[np.uint8]
    corner: NDArray[np.float64]
    per_pixel: NDArray[np.float64]


def linear_maps(result: PairResult, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2) linear maps from steps in the reference to steps in the target."""
    if result.registration is not None:
        return jacobian(result.registration.apply, xy)
    linear = np.eye(2)
    if comparable(result.reference, result.target):
        linear = expected_linear(result.reference, result.target)
    return np.repeat(linear[None], len(xy), axis=0)


def preview_pixels(view: View) -> Pixels:
    """The pixels of the preview of a view."""
    return Pixels(view.drawn, np.zeros(2), view.per_pixel)


def matched_pixels(view: View, xy: NDArray[np.float64], reach_px: float) -> Pixels:
    """Pixels of the matched size around a point; those of the preview where the file cannot be read any more."""
    window = Window.covering(xy - reach_px, xy + reach_px, view.image.size)
    if view.preview.size == view.image.size or window is None:
        return preview_pixels(view)
    try:
        patch = read_window(grid_of(view.image), window)
    except UnreadableImageError:
        # images in memory were matched as temporary files
        return preview_pixels(view)
    image = apply_contrast(view.contrast, patch.image, patch.valid)
    return Pixels(image, np.array([window.x, window.y], float), np.ones(2))


def sampled(
    pixels: Pixels, xy: NDArray[np.float64], linear: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """S×S×3 uint8, a square of pixels of the reference around a point.

    Args:
        pixels: Pixels of the image.
        xy: (2,) the point, in pixels of the matched size.
        linear: (2, 2) map from steps in the reference to steps in the image.
        shape: Pixels of the reference along a side, and samples along such a pixel.
    """
    side = shape[0] * shape[1]
    scale = pixels.per_pixel[:, None] * linear / shape[1]
    # in OpenCV the centre of the first pixel is (0, 0)
    first = (xy - pixels.corner) * pixels.per_pixel - scale @ np.full(2, (side - 1) / 2) - 0.5
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC
    inverse = np.column_stack([scale, first])
    square = cv2.warpAffine(pixels.image, inverse, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8)
