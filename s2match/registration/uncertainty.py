"""Standard error of a fitted model at any point."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.model import Registration
from s2match.util.threads import limit_threads


@limit_threads()
def uncertainty_px(registration: Registration, matches: Matches, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far off the model may be at some places, by the residuals of its inliers and by where they lie.

    The standard error of a least-squares fit to the inliers, both axes together: small among many points, growing with
    the distance from them. Where matches lie where their neighbours agree, what counts is how far each alone lay from
    there, too: averages lie closer together than what they were taken of, but are not independent. Errors that all
    matches share are not in it.

    Args:
        registration: The model.
        matches: The matches it was fitted to.
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
    known: NDArray[np.float64], asked: NDArray[np.float64], shift_alone: bool
) -> tuple[NDArray[np.float64], float]:
    """(M,) variances of a plane, or of a shift, at places (M, 2), fitted to points (N, 2) that are off by 1 px each.

    With them how many parameters it has.
    """
    centre, spread = known.mean(axis=0), max(float(known.std()), 1e-9)

    def design(places: NDArray[np.float64]) -> NDArray[np.float64]:
        ones = np.ones((len(places), 1))
        return ones if shift_alone else np.hstack([ones, (places - centre) / spread])

    covariance = np.linalg.pinv(design(known).T @ design(known))
    return np.einsum("ni,ij,nj->n", design(asked), covariance, design(asked)), len(covariance)
