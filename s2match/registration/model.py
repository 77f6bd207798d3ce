"""Fitted models as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

import numpy as np
from numpy.typing import NDArray

from s2match.registration.bspline_field import Field

# Steps to the inverse of a field, and how close it must come, target pixels.
_NEWTON_STEPS, _SETTLED_PX = 50, 1e-9


@dataclass(frozen=True)
class Registration:
    """A model that carries the reference onto the target.

    Attributes:
        model: One of :data:`s2match.registration.options.MODELS`.
        matrix: 3×3; ``matrix @ (x, y, 1)`` of a reference pixel is its target pixel, GDAL frame, up to scale; of a
            field its affine part. Pixels are those of the size matched at, not of the files:
            :attr:`s2match.result.PairResult.file_model` is the model in pixels of the files and on the map.
        inliers: (N,) bool, the matches within the threshold of the model.
        residual_px: (N,) distance of every match from the model, in target pixels.
        held_out_px: Where the model was chosen, the error of each that could be on matches it was not fitted to.
        field: What bends beside the matrix; None for the models that are a matrix.
    """

    model: str
    matrix: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    residual_px: NDArray[np.float64]
    held_out_px: Mapping[str, float] = dataclass_field(default_factory=dict)
    field: Field | None = None

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry (N, 2) reference pixels (x, y) to target pixels, GDAL frame."""
        return apply_matrix(self.matrix, xy) if self.field is None else self.field.apply(xy)

    def invert(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry (N, 2) target pixels (x, y) back to reference pixels: the inverse of :meth:`apply`.

        A field is inverted by Newton's method from its affine part. A point that does not settle, which takes a field
        that folds there, comes back as not a number.
        """
        found = apply_matrix(np.asarray(np.linalg.inv(self.matrix), np.float64), xy)
        if self.field is None:
            return found
        off = np.full(len(xy), np.inf)
        for _ in range(_NEWTON_STEPS):
            missing = xy - self.apply(found)
            off = np.linalg.norm(missing, axis=1)
            if (off < _SETTLED_PX).all():
                break
            right, down = (self.apply(found + step) - self.apply(found - step) for step in np.eye(2) / 2)
            # the pseudo-inverse of a slope that is singular is finite, and such a point does not settle
            found = found + np.einsum("nij,nj->ni", np.linalg.pinv(np.stack([right, down], axis=2)), missing)
        return np.where((off < _SETTLED_PX)[:, None], found, np.nan)


def apply_matrix(matrix: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry (N, 2) points (x, y) by a 3×3 matrix."""
    homogeneous = xy @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:])
