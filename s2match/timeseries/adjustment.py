"""Adjustment of a series: one shift for each image by robust least squares over all pairs.

The design is that of small-baseline networks of radar images (Yunjun, Fattahi and Amelung, "Small baseline InSAR time
series analysis: unwrapping error correction and noise reduction", Computers & Geosciences 133, 2019), with weights by
the covariance of each pair, and Tukey's biweight for pairs that disagree with the others (Charrier et al., "TICOI",
2025).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from s2match.core.ground_axes import METRES
from s2match.registration.uncertainty import season_error
from s2match.timeseries.choices import Datum
from s2match.timeseries.observations import PairObservation
from s2match.util.threads import limit_threads

# Tukey's biweight rejects beyond this many robust standard deviations (Mosteller and Tukey, "Data Analysis and
# Regression", 1977).
_TUKEY = 6.0

# Median length of a 2-vector of normal errors with standard deviation 1.
_MEDIAN_LENGTH = 1.1774

# Robust standard deviations below this are not believed: few pairs agree by chance.
_LEAST_SCALE = 0.5

# Rounds of least absolute residuals, which start the biweight, and most rounds of the biweight.
_FIRST_ROUNDS, _ROUNDS, _CONVERGED = 15, 50, 1e-6

# The variance factor is the mean of that of the residuals, by its degrees of freedom, and of 1 with this many.
_PRIOR_FREEDOM = 10.0

# Redundancy of an observation, 0 to 1, below which nothing checks it.
_LEAST_REDUNDANCY = 1e-6


@dataclass(frozen=True)
class Adjustment:
    """Shifts of all images, adjusted to the pairs.

    The shift of an image is its georeferencing error: where it shows the ground, minus where it is. All lengths are in
    the unit of the observations.

    Attributes:
        shifts: (D, 2) shift of each image, relative to the datum; NaN without a pair that is kept.
        covariance: (D, 2, 2) covariance of the shifts, with the error of the image itself; NaN likewise.
        components: (D,) number of the connected part of each image, 0 for the largest; -1 without a pair that is kept.
        weights: (P,) robust weight of each observation, 0 to 1; 0 if it is rejected or was not measured.
        residuals: (P, 2) measured minus adjusted shift; NaN if not measured, or if no others connect the two images.
        left_out: (P, 2) measured shift minus that by all other pairs; NaN where no others connect the two images.
        variance_factor: Mean squared residual, normalised by the covariances of the observations; 1 if they are right.
    """

    shifts: NDArray[np.float64]
    covariance: NDArray[np.float64]
    components: NDArray[np.intp]
    weights: NDArray[np.float64]
    residuals: NDArray[np.float64]
    left_out: NDArray[np.float64]
    variance_factor: float


@dataclass(frozen=True)
class _Network:
    """Measured pairs as arrays.

    Attributes:
        images: Number of images.
        ends: (M, 2) indexes of reference and target.
        shifts: (M, 2) measured shifts.
        covariance: (M, 2, 2) covariance of each.
    """

    images: int
    ends: NDArray[np.intp]
    shifts: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @cached_property
    def precision(self) -> NDArray[np.float64]:
        """(M, 2, 2) inverse covariance of each shift."""
        return np.asarray(np.linalg.inv(self.covariance), np.float64)

    def components(self, kept: NDArray[np.bool_]) -> NDArray[np.intp]:
        """(D,) number of the connected part of each image by the pairs that are kept, the largest first."""
        row, column = self.ends[kept].T
        graph = coo_array((np.ones(len(row)), (row, column)), shape=(self.images, self.images))
        _, labels = connected_components(graph, directed=False)
        sizes = np.bincount(labels)
        # of equal sizes the one with the first image comes first
        order = np.argsort(-sizes, kind="stable")
        order = order[sizes[order] > 1]
        numbers = np.full(len(sizes), -1)
        numbers[order] = np.arange(len(order))
        return np.asarray(numbers[labels])

    def residuals(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M, 2) measured minus adjusted shifts, for shifts (D, 2) of the images."""
        return np.asarray(self.shifts - (x[self.ends[:, 1]] - x[self.ends[:, 0]]))

    @staticmethod
    def normalised(residuals: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M,) lengths of residuals (M, 2) in standard deviations, by inverse covariances (M, 2, 2)."""
        squares = np.einsum("ni,nij,nj->n", residuals, precision, residuals)
        return np.asarray(np.sqrt(np.maximum(squares, 0)))


@limit_threads()
def adjust(
    images: int, observations: Sequence[PairObservation], datum: Datum = Datum.MEAN, reference: int | None = None
) -> Adjustment:
    """Adjust the shifts of images to observations of pairs.

    Args:
        images: Number of images D.
        observations: The observations, in one unit; those without a shift are left out.
        datum: What the shifts are relative to. ``mean``: they add up to 0 in each connected part. ``reference``: that
            of the reference image is 0 in its part; other parts add up to 0. ``georeference``: their median is 0 in
            each part, and the covariance includes the error of the median.
        reference: Index of the reference image, for its datum.
    """
    measured = np.array([observation.measured for observation in observations], dtype=bool)
    network = _network(images, [observation for observation in observations if observation.measured])
    fit = _robust_fit(network)
    components = network.components(fit.weights > 0)
    residuals, left_out = _left_out(network, fit, components)
    used_in_full = (fit.weights > 0).astype(float)
    kept = _Fit(used_in_full, *_solve(network, used_in_full))
    factor, freedom = _variance_factor(network, kept, components)
    covariance = kept.inverse * (freedom * factor + _PRIOR_FREEDOM) / (freedom + _PRIOR_FREEDOM)
    each = np.arange(images)
    covariance[each, :, each] += np.eye(2) * _own_variance(observations)
    shifts, covariance = _on_datum(fit.x, covariance, components, datum, reference)
    return Adjustment(
        shifts,
        covariance,
        components,
        _at(measured, fit.weights, 0.0),
        _at(measured, residuals, np.nan),
        _at(measured, left_out, np.nan),
        factor,
    )


def _own_variance(observations: Sequence[PairObservation]) -> float:
    """Variance along an axis of the error that an image has in all of its pairs."""
    measured = [observation for observation in observations if observation.measured]
    if not measured:
        return 0.0
    pixel = float(np.median([observation.matched_pixel for observation in measured]))
    return season_error(pixel, measured[0].unit == METRES) ** 2


def _network(images: int, observations: list[PairObservation]) -> _Network:
    ends = np.array([(o.reference, o.target) for o in observations], dtype=np.intp).reshape(-1, 2)
    shifts = np.array([o.shift for o in observations]).reshape(-1, 2)
    covariance = np.array([o.covariance for o in observations]).reshape(-1, 2, 2)
    return _Network(images, ends, shifts, covariance)


@dataclass(frozen=True)
class _Fit:
    """A robust fit.

    Attributes:
        weights: (M,) weights of the pairs, 0 to 1.
        x: (D, 2) shifts, which add up to 0 in each part.
        inverse: (D, 2, D, 2) inverse of the weighted normal matrix.
    """

    weights: NDArray[np.float64]
    x: NDArray[np.float64]
    inverse: NDArray[np.float64]


def _robust_fit(network: _Network) -> _Fit:
    """Least absolute residuals, then Tukey's biweight of the studentized residuals."""
    fit = _Fit(np.ones(len(network.ends)), *_solve(network, np.ones(len(network.ends))))
    for _ in range(_FIRST_ROUNDS):
        lengths = network.normalised(network.residuals(fit.x), network.precision)
        weights = _LEAST_SCALE / np.maximum(lengths, _LEAST_SCALE)
        fit = _Fit(weights, *_solve(network, weights))
    for _ in range(_ROUNDS):
        lengths = _studentized(network, fit)
        checked = lengths[_redundancy(network, fit) > _LEAST_REDUNDANCY]
        scale = max(float(np.median(checked)) / _MEDIAN_LENGTH, _LEAST_SCALE) if len(checked) else 1.0
        previous, weights = fit.weights, np.square(np.maximum(1 - np.square(lengths / (_TUKEY * scale)), 0))
        fit = _Fit(weights, *_solve(network, weights))
        if np.abs(weights - previous).max(initial=0) < _CONVERGED:
            break
    return fit


def _studentized(network: _Network, fit: _Fit) -> NDArray[np.float64]:
    """(M,) lengths of residuals in their own standard deviations, which are smaller where few others check them.

    The covariance of a residual is that of the pair minus that of the adjusted shift if the pair is used in full, and
    plus it if the pair is rejected.
    """
    adjusted = _adjusted_covariance(network, fit)
    own = network.covariance * (1 + _LEAST_REDUNDANCY) + (1 - 2 * fit.weights)[:, None, None] * adjusted
    return network.normalised(network.residuals(fit.x), np.asarray(np.linalg.inv(own), np.float64))


def _variance_factor(network: _Network, kept: _Fit, components: NDArray[np.intp]) -> tuple[float, float]:
    """Mean squared residual of the pairs that are kept, normalised by their covariances, and its degrees of freedom.

    Args:
        network: The pairs.
        kept: The fit to the pairs that are kept, with weight 1.
        components: (D,) connected part of each image.
    """
    placed, parts = int((components >= 0).sum()), components.max(initial=-1) + 1
    freedom = 2 * float(kept.weights.sum() - (placed - parts))
    if freedom <= 0:
        return 1.0, 0.0
    squares = np.square(network.normalised(network.residuals(kept.x), network.precision))
    return float((kept.weights * squares).sum() / freedom), freedom


def _solve(network: _Network, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shifts (D, 2) and inverse normal matrix (D, 2, D, 2) of a weighted fit whose shifts add up to 0 in each part."""
    count, (reference, target) = network.images, network.ends.T
    blocks = weights[:, None, None] * network.precision
    normal = np.zeros((count, count, 2, 2))
    for row, column, sign in (
        (reference, reference, 1),
        (target, target, 1),
        (reference, target, -1),
        (target, reference, -1),
    ):
        np.add.at(normal, (row, column), sign * blocks)
    pull = np.einsum("nij,nj->ni", blocks, network.shifts)
    right = np.zeros((count, 2))
    np.add.at(right, target, pull)
    np.add.at(right, reference, -pull)
    components = network.components(weights > 0)
    inverse = np.zeros((count, 2, count, 2))
    for number in range(components.max(initial=-1) + 1):
        members = np.flatnonzero(components == number)
        block = normal[np.ix_(members, members)].transpose(0, 2, 1, 3).reshape(2 * len(members), -1)
        # the mean of a part is free: it is added to make the matrix regular, and taken out again
        size = float(np.trace(block)) / len(block)
        mean = np.kron(np.full((len(members), len(members)), 1 / len(members)), np.eye(2))
        part = np.linalg.inv(block + size * mean) - mean / size
        axes = np.arange(2)
        inverse[np.ix_(members, axes, members, axes)] = part.reshape(len(members), 2, len(members), 2)
    return np.einsum("aibj,bj->ai", inverse, right), inverse


def _hat(network: _Network, fit: _Fit) -> NDArray[np.float64]:
    """(M, 2, 2) by how much an adjusted shift follows its own measured shift."""
    return np.asarray(_adjusted_covariance(network, fit) @ (fit.weights[:, None, None] * network.precision))


def _adjusted_covariance(network: _Network, fit: _Fit) -> NDArray[np.float64]:
    """(M, 2, 2) covariance of the adjusted shift of each pair, as the weights of the fit give it."""
    a, b = network.ends.T
    inverse = fit.inverse
    return np.asarray(inverse[a, :, a] + inverse[b, :, b] - inverse[a, :, b] - inverse[b, :, a])


def _redundancy(network: _Network, fit: _Fit) -> NDArray[np.float64]:
    """(M,) redundancy number of each pair (Baarda, 1968): 0 if nothing checks it, 1 if it has no influence."""
    return np.asarray(1 - np.trace(_hat(network, fit), axis1=1, axis2=2) / 2)


def _left_out(
    network: _Network, fit: _Fit, components: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Residuals (M, 2), and those of each pair against the fit to all others; NaN where nothing checks it."""
    part = components[network.ends]
    checked = (part[:, 0] >= 0) & (part[:, 0] == part[:, 1]) & (_redundancy(network, fit) > _LEAST_REDUNDANCY)
    residuals = np.where(checked[:, None], network.residuals(fit.x), np.nan)
    left_out = np.full_like(residuals, np.nan)
    hat = _hat(network, fit)[checked]
    left_out[checked] = np.linalg.solve(np.eye(2) - hat, residuals[checked][..., None])[..., 0]
    return residuals, left_out


def _on_datum(
    x: NDArray[np.float64],
    covariance: NDArray[np.float64],
    components: NDArray[np.intp],
    datum: Datum,
    reference: int | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shifts (D, 2) and their covariance (D, 2, 2) on a datum, from those that add up to 0 in each part."""
    each = np.arange(len(x))
    own = covariance[each, :, each]
    shifts = np.where(components[:, None] >= 0, x, np.nan)
    own = np.where(components[:, None, None] >= 0, own, np.nan)
    if datum is Datum.REFERENCE:
        assert reference is not None, "the datum needs a reference"
        part = np.flatnonzero((components == components[reference]) & (components >= 0))
        cross = covariance[part, :, reference]
        own[part] += covariance[reference, :, reference] - cross - cross.transpose(0, 2, 1)
        shifts[part] -= x[reference]
    elif datum is Datum.GEOREFERENCE:
        for number in range(components.max(initial=-1) + 1):
            part = np.flatnonzero(components == number)
            middle = np.median(shifts[part], axis=0)
            # standard error of a median, by the median absolute deviation (Rousseeuw and Croux, 1993)
            deviation = 1.4826 * np.median(np.abs(shifts[part] - middle), axis=0)
            shifts[part] -= middle
            own[part] += np.diag(np.pi / 2 * deviation**2 / len(part))
    return shifts, own


def _at(measured: NDArray[np.bool_], values: NDArray[np.float64], missing: float) -> NDArray[np.float64]:
    """Values of the measured observations at their places among all."""
    everywhere = np.full((len(measured), *values.shape[1:]), missing)
    everywhere[measured] = values
    return everywhere
