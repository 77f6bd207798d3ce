"""Robust models from matches, and whether there is enough evidence for one."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.errors import OptionError
from s2match.loftr import Matches

# A registration needs MIN_INLIERS plus this share of the matches to agree. Wrong matches agree by chance, the more of
# them the more: on 253 pairs of images of different places at most 19 of 86 did.
MIN_INLIERS = 12
CHANCE_SHARE = 0.1

_MAX_ITERATIONS = 10_000
_CONFIDENCE = 0.9999


@dataclass(frozen=True)
class Registration:
    """A model that carries the reference onto the target.

    Attributes:
        model: ``translation``, ``similarity``, ``affine`` or ``homography``.
        matrix: 3×3; ``matrix @ (x, y, 1)`` of a reference pixel is its target pixel, GDAL frame, up to scale.
        inliers: (N,) bool, the matches within the threshold of the model.
        residual_px: (N,) distance of every match from the model, in target pixels.
    """

    model: str
    matrix: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    residual_px: NDArray[np.float64]


def fit(matches: Matches, model: str = "affine", threshold_px: float = 1.5, seed: int = 0) -> Registration | None:
    """Fit a model to matches that are not all right.

    Affine models and homographies are fitted with OpenCV's USAC_MAGSAC (Barath et al., "MAGSAC++, a Fast, Reliable and
    Accurate Robust Estimator", CVPR 2020). For translations and similarities OpenCV has no MAGSAC; they are fitted with
    its RANSAC and least squares on the inliers.

    Args:
        matches: The matches.
        model: One of :data:`MODELS`.
        threshold_px: Largest distance of an inlier from the model, in target pixels.
        seed: OpenCV's estimators start from a fixed state; the seed shuffles the matches they draw from.

    Returns:
        The registration, or None when too few matches agree, so that chance explains it (:func:`required_inliers`), or
        when they agree on what no ground seen from above could do: be mirrored, or scaled by more than 2.

    Raises:
        OptionError: ``model`` is unknown or ``threshold_px`` is not positive.
    """
    check_fit_options(model, threshold_px, seed)
    if len(matches) < required_inliers(len(matches)):
        return None
    order = np.random.default_rng(seed).permutation(len(matches))
    matrix = MODELS[model](matches.xy0[order], matches.xy1[order], threshold_px)
    if matrix is None or not _plausible(matrix):
        return None
    residual_px = np.linalg.norm(apply_matrix(matrix, matches.xy0) - matches.xy1, axis=1)
    inliers = residual_px <= threshold_px
    if inliers.sum() < required_inliers(len(matches)):
        return None
    return Registration(model, matrix, inliers, residual_px)


def required_inliers(matches: int) -> int:
    """How many of so many matches must agree on one model before it is believed."""
    return math.ceil(MIN_INLIERS + CHANCE_SHARE * matches)


def check_fit_options(model: str, threshold_px: float, seed: int) -> None:
    """Refuse a model, threshold or seed that cannot be fitted with.

    Raises:
        OptionError: It cannot.
    """
    if model not in MODELS:
        raise OptionError(f"Unknown geometry {model!r}: choose {', '.join(MODELS)}.")
    if not 0 < threshold_px < np.inf:
        raise OptionError(f"RANSAC threshold {threshold_px:g} is out of range: it must be a positive number of pixels.")
    if seed < 0:
        raise OptionError(f"Seed {seed} is out of range: it must be 0 or more.")


def apply_matrix(matrix: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry (N, 2) points (x, y) by a 3×3 matrix."""
    homogeneous = xy @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])


def _plausible(matrix: NDArray[np.float64]) -> bool:
    """Whether the linear part keeps handedness and scales by 0.5 to 2 in every direction."""
    if not np.isfinite(matrix).all():
        return False
    stretch = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    return bool(np.linalg.det(matrix[:2, :2]) > 0 and stretch.max() <= 2 and stretch.min() >= 0.5)


_Points = NDArray[np.float64]


def _fit_translation(xy0: _Points, xy1: _Points, threshold_px: float) -> NDArray[np.float64] | None:
    shift, _ = cv2.estimateTranslation2D(
        xy0, xy1, ransacReprojThreshold=threshold_px, maxIters=_MAX_ITERATIONS, confidence=_CONFIDENCE
    )
    return np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]])


def _fit_similarity(xy0: _Points, xy1: _Points, threshold_px: float) -> NDArray[np.float64] | None:
    matrix, _ = cv2.estimateAffinePartial2D(
        xy0, xy1, ransacReprojThreshold=threshold_px, maxIters=_MAX_ITERATIONS, confidence=_CONFIDENCE
    )
    return None if matrix is None else np.vstack([matrix, [0, 0, 1]])


def _fit_affine(xy0: _Points, xy1: _Points, threshold_px: float) -> NDArray[np.float64] | None:
    matrix, _ = cv2.estimateAffine2D(
        xy0,
        xy1,
        method=cv2.USAC_MAGSAC,
        ransacReprojThreshold=threshold_px,
        maxIters=_MAX_ITERATIONS,
        confidence=_CONFIDENCE,
    )
    return None if matrix is None else np.vstack([matrix, [0, 0, 1]])


def _fit_homography(xy0: _Points, xy1: _Points, threshold_px: float) -> NDArray[np.float64] | None:
    matrix, _ = cv2.findHomography(
        xy0,
        xy1,
        method=cv2.USAC_MAGSAC,
        ransacReprojThreshold=threshold_px,
        maxIters=_MAX_ITERATIONS,
        confidence=_CONFIDENCE,
    )
    return None if matrix is None else np.asarray(matrix / matrix[2, 2])


MODELS: dict[str, Callable[[_Points, _Points, float], NDArray[np.float64] | None]] = {
    "translation": _fit_translation,
    "similarity": _fit_similarity,
    "affine": _fit_affine,
    "homography": _fit_homography,
}
