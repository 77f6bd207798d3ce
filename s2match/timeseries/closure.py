"""Closure of triangles: the sum of the shifts A to B, B to C and C to A, which is 0 without errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.timeseries.observations import PairObservation


@dataclass(frozen=True)
class Closure:
    """Closures of all triangles of the pairs that are kept.

    An error that belongs to one image cancels in every triangle.

    Attributes:
        triangles: (T, 3) indexes of the images.
        lengths: (T,) length of each closure, in the unit of the observations.
        worst: (P,) longest closure of a triangle of measured pairs with each observation; NaN without a triangle.
    """

    triangles: NDArray[np.intp]
    lengths: NDArray[np.float64]
    worst: NDArray[np.float64]

    def quantile(self, fraction: float) -> float:
        """Quantile of the lengths; NaN without triangles."""
        return float(np.quantile(self.lengths, fraction)) if len(self.lengths) else float("nan")


def closure_of(observations: Sequence[PairObservation], weights: NDArray[np.float64]) -> Closure:
    """Closures of triangles.

    Args:
        observations: The observations, in one unit.
        weights: (P,) weight of each observation in the adjustment; 0 if it is rejected.
    """
    number = {
        frozenset((observation.reference, observation.target)): index
        for index, observation in enumerate(observations)
        if observation.measured
    }
    partners: dict[int, set[int]] = {}
    for first, second in map(sorted, number):
        partners.setdefault(first, set()).add(second)
    triangles = [
        (first, second, third)
        for first in sorted(partners)
        for second in sorted(partners[first])
        for third in sorted(partners[first] & partners.get(second, set()))
    ]
    worst = np.full(len(observations), np.nan)
    lengths = np.zeros(len(triangles))
    triangle_sides = [
        [number[frozenset(side)] for side in ((first, second), (second, third), (third, first))]
        for first, second, third in triangles
    ]
    for row, (ends, sides) in enumerate(zip(triangles, triangle_sides, strict=True)):
        turns = [
            np.multiply(1 if observations[side].reference == start else -1, observations[side].shift)
            for side, start in zip(sides, ends, strict=True)
        ]
        lengths[row] = np.linalg.norm(np.sum(turns, axis=0))
        worst[sides] = np.fmax(worst[sides], lengths[row])
    kept = np.array([all(weights[side] > 0 for side in sides) for sides in triangle_sides], dtype=bool)
    return Closure(np.array(triangles, dtype=np.intp).reshape(-1, 3)[kept], lengths[kept], worst)
