"""Standard error of a fitted model at any point."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.least_squares import derivatives, normalised
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
    frame, points = normalised(fitted)
    matrix = registration.matrix @ frame
    design = derivatives(registration.model, matrix / matrix[2, 2], points)
    covariance = np.linalg.pinv(np.einsum("nai,naj->ij", design, design))
    design = derivatives(
        registration.model, matrix / matrix[2, 2], apply_matrix(np.asarray(np.linalg.inv(frame), np.float64), xy)
    )
    return np.einsum("nai,ij,naj->n", design, covariance, design, optimize=True) / 2, len(covariance) / 2
