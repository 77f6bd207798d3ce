"""Standard error of a fitted model at any point."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.model import Registration, apply_matrix
from s2match.util.threads import limit_threads


@limit_threads()
def uncertainty_px(registration: Registration, matches: Matches, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of the model at points, by the residuals and the positions of its inliers.

    It is that of a least-squares fit to the inliers, both axes together. It grows with the distance from the inliers.
    Matches at their local affine fit are averages: their residuals are smaller, but not independent. So their raw
    residuals are included. Errors that are common to all matches are not included.

    Args:
        registration: The model.
        matches: The matches that it was fitted to.
        xy: (N, 2) reference pixels.

    Returns:
        (N,) standard error in target pixels.
    """
    inliers = registration.inliers
    points = matches.xy0[inliers]
    leverage, parameters = (
        _matrix_leverage(registration, points, xy)
        if registration.field is None
        else registration.field.leverage(points, xy)
    )
    squares = registration.residual_px**2 + (0.0 if matches.raw_residual_px is None else matches.raw_residual_px**2)
    variance = float(squares[inliers].sum()) / max(len(points) - parameters, 1)
    return np.asarray(np.sqrt(variance * leverage))


def _matrix_leverage(
    registration: Registration, fitted: NDArray[np.float64], xy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Variance of a matrix model when fitted to points with independent errors of 1 px.

    The covariance of the parameters is that of Gauss-Newton, the inverse of the normal matrix (Hartley and Zisserman,
    "Multiple View Geometry in Computer Vision", 2nd ed., 2004, section 5.2).

    Args:
        registration: The model.
        fitted: (N, 2) reference pixels that it was fitted to.
        xy: (M, 2) reference pixels at which the variance is evaluated.

    Returns:
        (M,) variances in px², the mean of both axes, and the number of parameters for each axis.
    """
    centre, spread = fitted.mean(axis=0), max(float(fitted.std()), 1e-9)
    # about the centre of the points and at their scale, so that the normal matrix is well conditioned
    matrix = registration.matrix @ np.array([[spread, 0, centre[0]], [0, spread, centre[1]], [0, 0, 1]])

    def derivatives(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return _derivatives(registration.model, matrix / matrix[2, 2], (points - centre) / spread)

    design = derivatives(fitted)
    covariance = np.linalg.pinv(np.einsum("nai,naj->ij", design, design))
    design = derivatives(xy)
    return np.einsum("nai,ij,naj->n", design, covariance, design, optimize=True) / 2, len(covariance) / 2


def _derivatives(model: str, matrix: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, K) derivatives of a model's points by its K parameters.

    Args:
        model: A model that is a matrix.
        matrix: 3×3, the last element 1; a homography's derivatives depend on it.
        xy: (N, 2) points at which they are evaluated.
    """
    (x, y), one, zero = xy.T, np.ones(len(xy)), np.zeros(len(xy))
    if model == "translation":
        rows = [[one, zero], [zero, one]]
    elif model == "similarity":
        rows = [[one, zero, x, -y], [zero, one, y, x]]
    else:
        rows = [[x, y, one, zero, zero, zero], [zero, zero, zero, x, y, one]]
    affine = np.array(rows).transpose(2, 0, 1)
    if model != "homography":
        return affine
    mapped = apply_matrix(matrix, xy)
    perspective = -mapped[:, :, None] * xy[:, None, :]
    scale = xy @ matrix[2, :2] + 1
    return np.concatenate([affine, perspective], axis=2) / scale[:, None, None]
