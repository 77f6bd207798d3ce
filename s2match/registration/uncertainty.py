"""Covariance of a fitted model at any point."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.least_squares import derivatives, normalised, weights_of
from s2match.registration.model import Registration, apply_matrix
from s2match.util.threads import limit_threads

# Matches within a square of this side share their error: a match stands for a window that overlaps with those of its
# neighbours, and shadows and haze extend further.
_INDEPENDENT_PX = 128.0

# Standard deviation along an axis of the error that all matches of a pair share: of the network's own points, and of
# refined ones. With it and the squares, the 95 % regions of models hold the truth in 95 % of all pairs with known truth
# (benchmarks/accuracy.py, registration.py, warps.py, months.py).
SYSTEMATIC_PX, REFINED_SYSTEMATIC_PX = 0.1, 0.014

# Standard deviation along an axis of the error that season and shadows give an image against its ground, in all of its
# pairs: in pixels, and most in metres. Along north, where it is larger, dates whose georeference is right have 0.05 px
# at 10 m, 0.07 px at 20 and 30 m (the sample), and 2.9 m, 0.03 px, at 107 m per pixel (benchmarks/series.py).
_SEASON_PX, _SEASON_M = 0.07, 3.0


@limit_threads()
def covariance_px2(registration: Registration, matches: Matches, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of the model's points, by the residuals, weights and positions of its inliers.

    It is the sum of three parts. The first is that of a weighted least-squares fit (Hartley and Zisserman, "Multiple
    View Geometry in Computer Vision", 2nd ed., 2004, section 5.2), for as many independent matches as there are squares
    of 128 px with inliers; it grows with the distance from the inliers. The second is the error that all matches share.
    The third, of refined matches, is what the model does not follow: the mean residuals of these squares. Matches at
    their local affine fit are averages; their raw residuals are included.

    Args:
        registration: The model.
        matches: The matches that it was fitted to.
        xy: (N, 2) reference pixels.

    Returns:
        (N, 2, 2), rows and columns (x, y), in square pixels of the target.
    """
    inliers = registration.inliers
    points, square_px2 = matches.xy0[inliers], registration.residual_px[inliers] ** 2
    weights = weights_of(matches)
    if weights is None:
        weights = np.ones(len(matches))
        if matches.raw_residual_px is not None:
            square_px2 = square_px2 + matches.raw_residual_px[inliers] ** 2
    weights = weights[inliers] / weights[inliers].mean()
    leverage, parameters = _leverage(registration, points, weights, xy)
    count = len(np.unique(np.floor(points / _INDEPENDENT_PX), axis=0))
    # both axes together
    variance = float((weights * square_px2).sum()) / 2 / max(len(points) - parameters, 1)
    # the penalty of a field stands in for matches: its parameters take no degrees of freedom from the squares
    lost = 0.0 if registration.field is not None else parameters
    per_independent = len(points) / max(count - lost, 0.5)
    if matches.covariance_px2 is None:
        everywhere = SYSTEMATIC_PX**2
    else:
        everywhere = REFINED_SYSTEMATIC_PX**2 + _misfit_px2(registration, matches)
    return np.asarray(variance * max(per_independent, 1.0) * leverage + everywhere * np.eye(2))


def season_error(pixel: float, in_metres: bool) -> float:
    """Standard deviation along an axis of the error that season and shadows give an image against its ground.

    Args:
        pixel: Side of a pixel.
        in_metres: Whether the side is in metres.

    Returns:
        The error, in the unit of the side.
    """
    return min(_SEASON_PX * pixel, _SEASON_M) if in_metres else _SEASON_PX * pixel


def uncertainty_px(registration: Registration, matches: Matches, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of the model at points, both axes together: the root of the trace of :func:`covariance_px2`.

    Args:
        registration: The model.
        matches: The matches that it was fitted to.
        xy: (N, 2) reference pixels.

    Returns:
        (N,) standard error in target pixels.
    """
    return np.asarray(np.sqrt(np.trace(covariance_px2(registration, matches, xy), axis1=1, axis2=2)))


def _misfit_px2(registration: Registration, matches: Matches) -> float:
    """Variance along an axis of what a model does not follow, from the mean residual in each square with inliers.

    The variance that these means have by the covariances of the matches is subtracted, as in the estimate of a random
    effect by moments (DerSimonian and Laird, "Meta-analysis in clinical trials", 1986).
    """
    inliers, weights = registration.inliers, weights_of(matches)
    assert weights is not None
    points, weights = matches.xy0[inliers], weights[inliers]
    residual = matches.xy1[inliers] - registration.apply(points)
    _, square = np.unique(np.floor(points / _INDEPENDENT_PX), axis=0, return_inverse=True)
    square = square.ravel()
    total = np.bincount(square, weights)
    mean = np.stack([np.bincount(square, weights * along) / total for along in residual.T], axis=1)
    return max(0.0, float(((mean**2).sum(axis=1) / 2 - 1 / total).mean()))


def _leverage(
    registration: Registration, fitted: NDArray[np.float64], weights: NDArray[np.float64], xy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Covariance of a model at points when fitted to points with independent errors of 1 px at weight 1.

    Args:
        registration: The model.
        fitted: (N, 2) reference pixels that it was fitted to.
        weights: (N,) their weights.
        xy: (M, 2) reference pixels.

    Returns:
        (M, 2, 2) covariance in px², and the number of parameters for each axis.
    """
    if registration.field is not None:
        variance, parameters = registration.field.leverage(fitted, weights, xy)
        return variance[:, None, None] * np.eye(2), parameters
    frame, points = normalised(fitted)
    to_points = np.asarray(np.linalg.inv(frame), np.float64)
    matrix = registration.matrix @ frame
    matrix = matrix / matrix[2, 2]
    design = derivatives(registration.model, matrix, points)
    covariance = np.linalg.pinv(np.einsum("nai,n,naj->ij", design, weights, design, optimize=True))
    design = derivatives(registration.model, matrix, apply_matrix(to_points, xy))
    return np.einsum("nai,ij,nbj->nab", design, covariance, design, optimize=True), len(covariance) / 2
