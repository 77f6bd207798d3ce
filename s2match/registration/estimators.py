"""Models that carry one image onto another, fitted to matches of which some are wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.bspline_field import SMOOTHNESS, Field, fit_fields
from s2match.registration.model import Registration
from s2match.registration.options import DEFAULT_FIT, FIELD, FitOptions

# Matches that OpenCV needs for the largest model, a homography.
SMALLEST_SAMPLE = 4

_MAX_ITERATIONS = 10_000

_CONFIDENCE = 0.9999


def best_model(
    matches: Matches, options: FitOptions = DEFAULT_FIT, smoothness: float = SMOOTHNESS[0]
) -> Registration | None:
    """The model that most matches agree on, be that evidence or chance.

    Affine models and homographies are fitted with OpenCV's USAC_MAGSAC (Barath et al., "MAGSAC++, a Fast, Reliable and
    Accurate Robust Estimator", CVPR 2020). For translations and similarities OpenCV has no MAGSAC; they are fitted with
    its RANSAC and least squares on the inliers. A field starts from the affine model.

    Args:
        matches: The matches.
        options: The model, one of :data:`s2match.registration.options.MODELS`, and how to fit it. OpenCV's estimators
            start from a fixed state; the seed shuffles the matches they draw from.
        smoothness: Of a field, see :func:`s2match.registration.bspline_field.fit_fields`.

    Returns:
        The model; None when OpenCV finds none.
    """
    found = best_models(matches, options, (smoothness,))
    return found[0] if found else None


def best_models(matches: Matches, options: FitOptions, smoothness: Sequence[float]) -> list[Registration]:
    """As :func:`best_model`, fields of several smoothness; other models are one, and none is none."""
    if len(matches) < SMALLEST_SAMPLE:
        return []
    model, threshold_px = options.model, options.threshold_px
    order = np.random.default_rng(options.seed).permutation(len(matches))
    start = "affine" if model == FIELD else model
    matrix = _estimate(start, matches.xy0[order], matches.xy1[order], threshold_px)
    if matrix is None or not np.isfinite(matrix).all():
        return []
    if model != FIELD:
        return [_measured(model, matrix, None, matches, threshold_px)]
    fields = fit_fields(matches.xy0, matches.xy1, matrix, threshold_px, smoothness)
    return [_measured(model, field.matrix, field, matches, threshold_px) for field in fields]


def _measured(
    model: str, matrix: NDArray[np.float64], field: Field | None, matches: Matches, threshold_px: float
) -> Registration:
    """A model with the residuals of the matches."""
    nothing = np.zeros(len(matches))
    found = Registration(model, matrix, nothing > 0, nothing, field=field)
    residual_px = np.linalg.norm(found.apply(matches.xy0) - matches.xy1, axis=1)
    return replace(found, inliers=residual_px <= threshold_px, residual_px=residual_px)


@dataclass(frozen=True)
class _Estimator:
    """OpenCV's function for a model, and its robust method where there is a choice."""

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
    """3×3 matrix of a model, None when OpenCV finds none."""
    estimator = _ESTIMATORS[model]
    found, _ = estimator.function(
        xy0,
        xy1,
        method=estimator.method,
        ransacReprojThreshold=threshold_px,
        maxIters=_MAX_ITERATIONS,
        confidence=_CONFIDENCE,
    )
    if found is None:
        return None
    matrix = np.eye(3)
    if model == "translation":
        matrix[:2, 2] = np.ravel(found)
    else:
        matrix[: len(found)] = found
    return np.asarray(matrix / matrix[2, 2])
