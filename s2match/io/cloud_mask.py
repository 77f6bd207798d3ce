"""Thick cloud told from a true-colour image itself, by its saturation."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

# What all bands of cloud reach: they saturate at 255, and the ringing of lossy compression takes some off.
SATURATED = 245

# Saturated patches that a disk of this radius does not fit into are roofs and sand, or cloud that hides little.
_LEAST_RADIUS_M = 100.0

# Around thick cloud lies its thin edge, which looks like ground and moves with the cloud.
_FRINGE_M = 300.0


def saturated_cloud(image: NDArray[np.uint8], pixel_m: float, saturated: float = SATURATED) -> NDArray[np.bool_]:
    """Find thick, bright cloud: patches where all bands are saturated, opened by a disk, and their fringes.

    Thin cloud, cirrus and the shadows of clouds are not found. Snow, ice, salt and bright sand saturate, too, and are
    taken for cloud. Only what lies :func:`reach_px` or more inside the edges is told as in a larger image.

    Args:
        image: H×W×3 uint8, red green blue, as ESA scales a true-colour image.
        pixel_m: Side of a pixel in metres.
        saturated: Grey level at and above which a pixel is saturated.

    Returns:
        H×W bool, True where cloud is.
    """
    bright = np.asarray(image.min(axis=2) >= saturated)
    radius_px = _least_radius_px(pixel_m)
    core = _distance_px(bright) > radius_px
    return np.asarray(_distance_px(~core) <= radius_px + _FRINGE_M / pixel_m) if core.any() else core


def reach_px(pixel_m: float) -> int:
    """How far from a pixel lies what decides whether it is cloud."""
    return math.ceil(2 * _least_radius_px(pixel_m) + _FRINGE_M / pixel_m) + 1


def _least_radius_px(pixel_m: float) -> float:
    # below a pixel a single one would be a patch
    return max(1.0, _LEAST_RADIUS_M / pixel_m)


def _distance_px(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """H×W distance of each pixel to the nearest that is not inside; beyond the edges there is none."""
    return np.asarray(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
