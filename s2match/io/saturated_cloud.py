"""Mask of thick cloud, by the saturation of a true-colour image."""

import math

import numpy as np
from numpy.typing import NDArray

# Grey level that all bands of cloud reach: cloud saturates at 255, less the ringing of lossy compression.
SATURATED = 245

# Radius of the opening: smaller saturated patches are roofs and sand, or cloud that hides little.
_OPENING_RADIUS_M = 100.0

# Width of the thin edge around thick cloud, which looks like ground and moves with the cloud.
_FRINGE_M = 300.0


def saturated_cloud(image: NDArray[np.uint8], pixel_m: float, saturated: float = SATURATED) -> NDArray[np.bool_]:
    """Mask of thick, bright cloud: saturated patches, opened by a disk and dilated by their fringe.

    Thin cloud, cirrus and cloud shadow are missed. Snow, ice, salt and bright sand are saturated, too, and are masked.
    Pixels within :func:`radius_px` of the edges may differ from those of a larger image.

    Args:
        image: H×W×3 uint8, red green blue, as ESA scales a true-colour image.
        pixel_m: Side of a pixel in metres.
        saturated: Grey level at and above which a pixel is saturated.

    Returns:
        H×W bool, True where cloud is.
    """
    bright = np.asarray(image.min(axis=2) >= saturated)
    opening_px = _opening_radius_px(pixel_m)
    core = _distance_px(bright) > opening_px
    return np.asarray(_distance_px(~core) <= opening_px + _FRINGE_M / pixel_m) if core.any() else core


def radius_px(pixel_m: float) -> int:
    """Radius in pixels of the neighbourhood that decides whether a pixel is cloud."""
    return math.ceil(2 * _opening_radius_px(pixel_m) + _FRINGE_M / pixel_m) + 1


def _opening_radius_px(pixel_m: float) -> float:
    # with a smaller radius a single pixel would be a patch
    return max(1.0, _OPENING_RADIUS_M / pixel_m)


def _distance_px(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """H×W distance of each pixel to the nearest one that is False; pixels beyond the edges do not count."""
    # most images are read without a mask of clouds, and a list of images need not wait for the import
    import cv2

    return np.asarray(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
