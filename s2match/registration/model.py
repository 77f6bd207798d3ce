"""Fitted models as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

import numpy as np
from numpy.typing import NDArray

from s2match.core.point_maps import invert
from s2match.registration.bspline_field import Field


@dataclass(frozen=True)
class Registration:
    """A fitted model that maps pixels of the reference to pixels of the target.

    Attributes:
        model: One of :data:`s2match.registration.options.MODELS`.
        matrix: 3×3; ``matrix @ (x, y, 1)`` of a reference pixel is its target pixel, GDAL frame, up to scale. For a
            field it is the affine part. Pixels are those of the matched size, not of the files:
            :attr:`s2match.result.PairResult.file_model` is the model in pixels of the files and on the map.
        inliers: (N,) bool, the matches within the threshold of the model.
        residual_px: (N,) distance of every match from the model, in target pixels.
        held_out_px: Error of each candidate on held-out matches, by model name; empty if the model was not chosen.
        field: The B-spline field; None for the models that are a matrix.
    """

    model: str
    matrix: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    residual_px: NDArray[np.float64]
    held_out_px: Mapping[str, float] = dataclass_field(default_factory=dict)
    field: Field | None = None

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) target pixels of reference pixels (N, 2), (x, y), GDAL frame."""
        return apply_matrix(self.matrix, xy) if self.field is None else self.field.apply(xy)

    def invert(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) reference pixels of target pixels (N, 2), (x, y): the inverse of :meth:`apply`.

        A field is inverted by Newton's method, started from its affine part. Points where the iteration does not
        converge, because the field folds there, are NaN.
        """
        reference_xy = apply_matrix(np.asarray(np.linalg.inv(self.matrix), np.float64), xy)
        return reference_xy if self.field is None else invert(self.apply, xy, reference_xy)


def apply_matrix(matrix: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) points (x, y), mapped by a 3×3 matrix."""
    homogeneous = xy @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])
