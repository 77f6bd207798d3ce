"""Closure of triangles: the sum of the shifts A to B, B to C and C to A, which is 0 without errors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Closure:
    """Closures of all triangles of measured pairs.

    An error that belongs to one image cancels in every triangle.

    Attributes:
        triangles: (T, 3) indexes of the images.
        lengths: (T,) length of each closure, in the unit of the observations.
        worst: (P,) longest closure of a triangle with each observation; NaN without a triangle.
    """

    triangles: NDArray[np.intp]
    lengths: NDArray[np.float64]
    worst: NDArray[np.float64]

    def quantile(self, fraction: float) -> float:
        """Quantile of the lengths; NaN without triangles."""
        return float(np.quantile(self.lengths, fraction)) if len(self.lengths) else float("nan")
