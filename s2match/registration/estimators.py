"""Robust estimators of each model, for matches that contain outliers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.bspline_field import SMOOTHNESS, Field, Observations, fit_fields
from s2match.registration.least_squares import refit, weights_of
from s2match.registration.model import Registration
from s2match.registration.options import DEFAULT_FIT, FIELD, FitOptions

# Number of matches that OpenCV needs for the largest model, a homography.
SMALLEST_SAMPLE = 4

_MAX_ITERATIONS = 10_000

_CONFIDENCE = 0.9999


def best_model(
    matches: Matches, options: FitOptions = DEFAULT_FIT, smoothness: float = SMOOTHNESS[0]
) -> Registration | None:
    """The model with the most inliers; its significance is not tested.

    Affine models and homographies are fitted with OpenCV's USAC_MAGSAC (Barath et al., "MAGSAC++, a Fast, Reliable and
    Accurate Robust Estimator", CVPR 2020). For translations and similarities OpenCV has no MAGSAC; they are fitted with
    its RANSAC and least squares on the inliers. A field starts from the affine model.

    Args:
        matches: The matches.
        options: The model, one of :data:`s2match.registration.options.MODELS`, and how to fit it. OpenCV's estimators
            start from a fixed state; the seed shuffles the matches they draw from.
        smoothness: Smoothness of a field, see :func:`s2match.registration.bspline_field.fit_fields`.

    Returns:
        The model; None if OpenCV finds none.
    """
    registrations = best_models(matches, options, (smoothness,))
    return registrations[0] if registrations else None


def best_models(matches: Matches, options: FitOptions, smoothness: Sequence[float]) -> list[Registration]:
    """Models as by :func:`best_model`: a field for each smoothness, or a single other model; empty if there is none."""
    if len(matches) < SMALLEST_SAMPLE:
        return []
    model, threshold_px = options.model, options.threshold_px
    order = np.random.default_rng(options.seed).permutation(len(matches))
    start = "affine" if model == FIELD else model
    matrix = _estimate(start, matches.xy0[order], matches.xy1[order], threshold_px)
    if matrix is None or not np.isfinite(matrix).all():
        return []
    weights = weights_of(matches)
    if model != FIELD:
        if weights is not None:
            matrix = refit(model, matrix, matches, weights, threshold_px)
        return [_with_residuals(model, matrix, None, matches, threshold_px)]
    fields = fit_fields(Observations(matches.xy0, matches.xy1, weights), matrix, threshold_px, smoothness)
    return [_with_residuals(model, field.matrix, field, matches, threshold_px) for field in fields]


def _with_residuals(
    model: str, matrix: NDArray[np.float64], field: Field | None, matches: Matches, threshold_px: float
) -> Registration:
    """A registration of a model, with the residuals and inliers of the matches."""
    zeros = np.zeros(len(matches))
    registration = Registration(model, matrix, zeros > 0, zeros, field=field)
    residual_px = np.linalg.norm(registration.apply(matches.xy0) - matches.xy1, axis=1)
    return replace(registration, inliers=residual_px <= threshold_px, residual_px=residual_px)


@dataclass(frozen=True)
class _Estimator:
    """OpenCV's function for a model, and its robust method."""

    function: Callable[..., Any]
    method: int


_ESTIMATORS = {
    "translation": _Estimator(cv2.estimateTranslation2D, cv2.RANSAC),
    "similarity": _Estimator(cv2.estimateAffinePartial2D, cv2.RANSAC),
    "affine": _Estimator(cv2.estimateAffine2D, cv2.USAC_MAGSAC),
    "homography": _Estimator(cv2.findHomography, cv2.USAC_MAGSAC),
}


def _estimate(
    model: str, xy0: NDArray[np.float64], xy1: NDArray[np.float64], threshold_px: float
) -> NDArray[np.float64] | None:
    """3×3 matrix of a model; None if OpenCV finds none."""
    estimator = _ESTIMATORS[model]
    estimate, _ = estimator.function(
        xy0,
        xy1,
        method=estimator.method,
        ransacReprojThreshold=threshold_px,
        maxIters=_MAX_ITERATIONS,
        confidence=_CONFIDENCE,
    )
    if estimate is None:
        return None
    matrix = np.eye(3)
    if model == "translation":
        matrix[:2, 2] = np.ravel(estimate)
    else:
        matrix[: len(estimate)] = estimate
    return np.asarray(matrix / matrix[2, 2])
