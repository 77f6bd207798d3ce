"""Statistics of a series: counts, closure, left-out check and standard errors."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.registration.verdict import Decision
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus

# Statuses of a pair, in the order in which they are printed.
PAIR_STATUSES = ("kept", "rejected", "no_evidence", "failed")

_NINETY_PERCENT = 0.9


@dataclass(frozen=True)
class Lengths:
    """Statistics of lengths in the unit of the series; NaN without any.

    Attributes:
        count: Number of lengths.
        median: Median.
        p90: Length that 90 % do not exceed.
        largest: Largest.
    """

    count: int
    median: float
    p90: float
    largest: float


@dataclass(frozen=True)
class Placements:
    """The placed images.

    Attributes:
        indexes: (N,) indexes of the images.
        shifts: (N, 2) shift of each, in the unit of the series.
        std: (N, 2) standard error of each component.
    """

    indexes: NDArray[np.intp]
    shifts: NDArray[np.float64]
    std: NDArray[np.float64]

    @property
    def spread(self) -> tuple[float, float]:
        """Standard deviation of each component over the images; NaN for fewer than two."""
        if len(self.indexes) < 2:
            return float("nan"), float("nan")
        x, y = np.std(self.shifts, axis=0, ddof=1)
        return float(x), float(y)

    @property
    def median_std(self) -> float:
        """Median standard error of the components; NaN without a placed image."""
        return float(np.median(self.std)) if len(self.indexes) else float("nan")


def placements(result: SeriesResult) -> Placements:
    """The images that are placed, those of separate parts of the graph left out."""
    indexes = np.array([row.index for row in result.dates if row.status is DateStatus.PLACED], np.intp)
    variances = np.diagonal(result.adjustment.covariance[indexes], axis1=1, axis2=2)
    return Placements(indexes, result.adjustment.shifts[indexes], np.sqrt(np.maximum(variances, 0.0)))


def image_counts(result: SeriesResult) -> Mapping[DateStatus, int]:
    """Number of images of each status."""
    counts = Counter(row.status for row in result.dates)
    return {status: counts[status] for status in DateStatus}


def verdict_counts(result: SeriesResult) -> Mapping[Decision, int]:
    """Number of placed images of each verdict, those to be registered first."""
    counts = Counter(row.verdict for row in result.dates)
    return {decision: counts[decision] for decision in (Decision.REGISTER, *Decision)}


def pair_counts(result: SeriesResult) -> Mapping[str, int]:
    """Number of pairs of each status of :data:`PAIR_STATUSES`."""
    counts = Counter(str(row.status) for row in result.pairs)
    return {status: counts[status] for status in PAIR_STATUSES}


def closure_lengths(result: SeriesResult) -> Lengths:
    """Closures of all triangles."""
    return _lengths(result.closure.lengths)


def left_out_lengths(result: SeriesResult) -> Lengths:
    """Measured shifts minus those by all other pairs, of the pairs that are kept."""
    values = [row.left_out_m for row in result.pairs if row.status == "kept" and row.left_out_m is not None]
    return _lengths(np.array(values, np.float64))


def _lengths(values: NDArray[np.float64]) -> Lengths:
    values = values[np.isfinite(values)]
    if not len(values):
        return Lengths(0, *[float("nan")] * 3)
    return Lengths(
        len(values), float(np.median(values)), float(np.quantile(values, _NINETY_PERCENT)), float(values.max())
    )
