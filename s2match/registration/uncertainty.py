"""Standard error of a fitted model at any point."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.model import Registration
from s2match.util.threads import limit_threads


@limit_threads()
def uncertainty_px(registration: Registration, matches: Matches, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of the model at points, by the residuals and the positions of its inliers.

    It is that of a least-squares fit to the inliers, both axes together: small among many points, and larger with the
    distance from them. Matches at their local affine fit are averages, which scatter less but are not independent.
    So their raw residuals are included. Errors that all matches share are not.

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
        _leverage(points, xy, registration.model == "translation")
        if registration.field is None
        else registration.field.leverage(points, xy)
    )
    squares = registration.residual_px**2 + (0.0 if matches.raw_residual_px is None else matches.raw_residual_px**2)
    variance = float(squares[inliers].sum()) / max(len(points) - parameters, 1)
    return np.asarray(np.sqrt(variance * leverage))


def _leverage(
    fitted: NDArray[np.float64], xy: NDArray[np.float64], shift_only: bool
) -> tuple[NDArray[np.float64], float]:
    """Variance of a plane or of a shift, fitted to points with independent errors of 1 px.

    Args:
        fitted: (N, 2) points that it was fitted to.
        xy: (M, 2) points at which the variance is evaluated.
        shift_only: Whether it is a shift.

    Returns:
        (M,) variances in px², and the number of parameters.
    """
    centre, spread = fitted.mean(axis=0), max(float(fitted.std()), 1e-9)

    def design(points: NDArray[np.float64]) -> NDArray[np.float64]:
        ones = np.ones((len(points), 1))
        return ones if shift_only else np.hstack([ones, (points - centre) / spread])

    covariance = np.linalg.pinv(design(fitted).T @ design(fitted))
    return np.einsum("ni,ij,nj->n", design(xy), covariance, design(xy)), len(covariance)
