"""Weighted least squares of the models that are a matrix, and derivatives of such models."""

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.registration.model import apply_matrix
from s2match.registration.robust import biweight, deviation_px

# Gauss-Newton iterations; all models but the homography are linear in their parameters.
_ITERATIONS = 5

# Cutoff of Tukey's biweight in robust standard deviations, but no more than the threshold of inliers.
_CUTOFF = 4.0

# Elements of a 3×3 matrix, row by row, that change by 1 with each parameter, and their signs.
_PARAMETERS = {
    "translation": [{2: 1.0}, {5: 1.0}],
    "similarity": [{2: 1.0}, {5: 1.0}, {0: 1.0, 4: 1.0}, {1: -1.0, 3: 1.0}],
    "affine": [{0: 1.0}, {1: 1.0}, {2: 1.0}, {3: 1.0}, {4: 1.0}, {5: 1.0}],
    "homography": [{0: 1.0}, {1: 1.0}, {2: 1.0}, {3: 1.0}, {4: 1.0}, {5: 1.0}, {6: 1.0}, {7: 1.0}],
}


def weights_of(matches: Matches) -> NDArray[np.float64] | None:
    """(N,) inverse variance of each match along an axis, px⁻²; None if matches have no covariance."""
    if matches.covariance_px2 is None:
        return None
    return np.asarray(2 / np.trace(matches.covariance_px2, axis1=1, axis2=2))


def refit(
    model: str, matrix: NDArray[np.float64], matches: Matches, weights: NDArray[np.float64], threshold_px: float
) -> NDArray[np.float64]:
    """3×3 matrix of a model by weighted least squares, from a robust estimate that is close to it.

    Args:
        model: A model that is a matrix.
        matrix: 3×3 estimate.
        matches: The matches, with outliers.
        weights: (N,) inverse variance of each match.
        threshold_px: Largest distance of an inlier, target pixels.
    """
    frame, xy = normalised(matches.xy0)
    local = matrix @ frame
    for _ in range(_ITERATIONS):
        local = local / local[2, 2]
        residual = matches.xy1 - apply_matrix(local, xy)
        square = np.square(residual).sum(axis=1)
        inside = square[square <= threshold_px**2]
        cutoff_px = min(_CUTOFF * deviation_px(inside), threshold_px) if len(inside) else threshold_px
        robust = weights * biweight(square, cutoff_px)
        design = derivatives(model, local, xy)
        weighted = design * robust[:, None, None]
        # the pseudo-inverse: points on a line do not determine every parameter
        normal = np.linalg.pinv(np.einsum("nai,naj->ij", weighted, design))
        step = normal @ np.einsum("nai,na->i", weighted, residual)
        for value, elements in zip(step, _PARAMETERS[model], strict=True):
            for element, sign in elements.items():
                local[divmod(element, 3)] += sign * value
    matrix = local @ np.linalg.inv(frame)
    return np.asarray(matrix / matrix[2, 2])


def normalised(xy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """3×3 matrix to points (x, y) from points relative to their centre and spread, and those (N, 2) relative points.

    Normal matrices of relative points are well conditioned.
    """
    centre, spread = xy.mean(axis=0), max(float(xy.std()), 1e-9)
    return np.array([[spread, 0, centre[0]], [0, spread, centre[1]], [0, 0, 1]]), (xy - centre) / spread


def derivatives(model: str, matrix: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
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
