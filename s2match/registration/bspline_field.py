"""A smooth displacement field: an affine map plus cubic B-splines on a coarse grid of control points.

P-splines: Eilers and Marx ("Flexible smoothing with B-splines and penalties", Statistical Science 1996), in two
dimensions Eilers, Currie and Durbán ("Fast and compact smoothing on large multidimensional grids", Computational
Statistics & Data Analysis 2006). The penalty is the bending energy of differences of neighbouring control points and,
weakly, the control points themselves, so that without matches the field returns to its affine part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import PATCH_PX
from s2match.core.point_maps import grid_points
from s2match.registration.robust import biweight, deviation_px

# Squares between control points along the longer side of the matches' extent: a bend within half of it takes five.
# Control points closer than matches that share their neighbours would not be determined.
_SQUARES, _LEAST_SPACING_PX = 10, PATCH_PX

# Weights of the bending penalty, from the smoothest field to one whose control points are nearly independent.
SMOOTHNESS = (5e-2, 3e-3, 2e-4)

# Without matches the field returns to its affine part within about this many squares.
_DECAY = 1.5

# Cutoffs of Tukey's biweight in each iteration, in multiples of the threshold. The first is wide: the field may
# depart by pixels from the affine map that it starts from.
_CUTOFFS = (8.0, 5.0, 3.0, 2.0, 2.0)

# Weights of the bending penalty that :func:`fit_by_evidence` compares, and the cutoffs of Tukey's biweight in each of
# its iterations, in robust standard deviations.
_EVIDENCE_SMOOTHNESS = (1e-1, 1e0, 1e1, 1e2, 1e3, 1e5)
_EVIDENCE_CUTOFFS = (6.0, 4.0, 3.0, 3.0)

# The most that the normalised squared distance of a point counts in the evidence: an outlier of every field.
_MOST_MISFIT = 16.0

# The largest evidence is found once this many smoother fields in a row have less.
_PAST_PEAK = 2

# Penalty of the affine part, which keeps it where no matches determine it, relative to the weight of one square.
_AFFINE_PENALTY = 1e-6

# Basis functions that are not zero at a point: along each axis, and those of an affine map.
_SUPPORT, _AFFINE = 4, 3

# Larger than rounding errors, as a fraction of the matches' extent.
_ROUNDING = 1e-6

# Points at a time, to bound memory.
_CHUNK = 16_384


@dataclass(frozen=True)
class Field:
    """A smooth map from reference to target pixels.

    A point (x, y) goes to ``matrix @ (x, y, 1)`` plus the sum over rows r and columns c of ``coefficients[r, c] *
    b(u - c) * b(v - r)``. Here (u, v) is ``((x, y) - origin_px) / spacing_px``, and b the uniform cubic B-spline:
    ``2/3 - t² + |t|³/2`` for |t| < 1, ``(2 - |t|)³/6`` for 1 ≤ |t| < 2, and 0 beyond. So control point (r, c) lies at
    ``origin_px + spacing_px * (c, r)``. Further than two spacings from all control points only the affine part is left.

    Attributes:
        matrix: 3×3 affine part, GDAL frame.
        origin_px: Control point (0, 0), as (x, y) in reference pixels.
        spacing_px: Spacing of the control points, reference pixels.
        coefficients: (rows, columns, 2) displacement (x, y) in target pixels.
        penalty: Weight of the bending penalty in the fit, relative to 1 for each match.
    """

    matrix: NDArray[np.float64]
    origin_px: tuple[float, float]
    spacing_px: float
    coefficients: NDArray[np.float64]
    penalty: float

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) target pixels of reference pixels (N, 2), (x, y), anywhere."""
        affine = xy @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        return np.asarray(affine + evaluate_spline(self.coefficients, self._grid_xy(xy)))

    def lattice(self, per_square: int) -> NDArray[np.float64]:
        """(N, 2) grid of points over the support of the spline, ``per_square`` per knot interval; reference pixels."""
        rows, columns = self.coefficients.shape[:2]
        x, y = (np.linspace(-2, n + 1, (n + 3) * per_square + 1) for n in (columns, rows))
        return np.asarray(self.origin_px + self.spacing_px * grid_points(x, y))

    def leverage(
        self, fitted: NDArray[np.float64], weights: NDArray[np.float64], xy: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float]:
        """Variance of the field when fitted to points with independent errors of 1 px at weight 1.

        The covariance of its parameters is the inverse of the penalised normal matrix (Wahba, "Bayesian 'confidence
        intervals' for the cross-validated smoothing spline", JRSS B 1983). So it includes the smoothing bias of the
        penalty.

        Args:
            fitted: (N, 2) reference pixels that the field was fitted to.
            weights: (N,) their weights, with mean 1.
            xy: (M, 2) reference pixels at which the variance is evaluated.

        Returns:
            (M,) variances in px², and the effective number of parameters.
        """
        rows, columns = self.coefficients.shape[:2]
        normal = np.zeros((rows * columns + _AFFINE,) * 2)
        for square in _squares(self._grid_xy(fitted), rows, columns):
            normal[np.ix_(square.parameters, square.parameters)] += (
                square.design.T * weights[square.points]
            ) @ square.design
        covariance = np.asarray(np.linalg.inv(normal + self.penalty * _roughness(rows, columns)), np.float64)
        variance = np.empty(len(xy))
        for start in range(0, len(xy), _CHUNK):
            variance[start : start + _CHUNK] = self._variances(covariance, xy[start : start + _CHUNK])
        return variance, float(np.sum(normal * covariance))

    def _variances(self, covariance: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) variances at points (N, 2), from the covariance of the parameters."""
        rows, columns = self.coefficients.shape[:2]
        grid_xy = self._grid_xy(xy)
        control, values = _basis(grid_xy, rows, columns)
        design = np.zeros((len(xy), len(covariance)))
        np.add.at(design, (np.arange(len(xy))[:, None], control), values)
        design[:, -_AFFINE:] = _affine_basis(grid_xy)
        return np.asarray(np.einsum("ni,ij,nj->n", design, covariance, design, optimize=True))

    def _grid_xy(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) positions (column, row) in the grid of control points."""
        return np.asarray((xy - self.origin_px) / self.spacing_px)


def evaluate_spline(coefficients: NDArray[np.float64], grid_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) values of a cubic B-spline.

    Args:
        coefficients: (rows, columns, 2) values (x, y) of the control points.
        grid_xy: (N, 2) positions (column, row) in the grid of control points, anywhere.
    """
    rows, columns = coefficients.shape[:2]
    flat, values = coefficients.reshape(-1, 2), np.empty(grid_xy.shape)
    for start in range(0, len(grid_xy), _CHUNK):
        control, weights = _basis(grid_xy[start : start + _CHUNK], rows, columns)
        values[start : start + _CHUNK] = np.einsum("nk,nkd->nd", weights, flat[control])
    return values


@dataclass(frozen=True)
class Observations:
    """Points that a field is fitted to, with outliers.

    Attributes:
        xy0: (N, 2) reference pixels, at least one.
        xy1: (N, 2) target pixels.
        weights: (N,) inverse variance of each point along an axis, px⁻²; None: all count alike.
    """

    xy0: NDArray[np.float64]
    xy1: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None


def fit_fields(
    points: Observations, start: NDArray[np.float64], threshold_px: float, smoothness: Sequence[float]
) -> list[Field]:
    """Fit fields of different smoothness.

    Iteratively reweighted, penalised least squares. The weights are Tukey's biweight of the distance from the field,
    whose cutoff decreases (graduated non-convexity, Blake and Zisserman, "Visual Reconstruction", 1987).

    Args:
        points: The points; of their weights only the ratios count.
        start: 3×3 affine map that most inliers are close to.
        threshold_px: Largest distance of an inlier from the field, target pixels.
        smoothness: Weight of the bending penalty of each field, relative to the points in one square between control
            points.

    Returns:
        A field for each smoothness.
    """
    xy0 = points.xy0
    lattice = _lattice_over(xy0)
    squares = _squares(lattice.grid_xy(xy0), lattice.rows, lattice.columns)
    displacement = points.xy1 - (xy0 @ start[:2, :2].T + start[:2, 2])
    relative = np.ones(len(xy0)) if points.weights is None else points.weights / points.weights.mean()
    rough, fields = _roughness(lattice.rows, lattice.columns), []
    for penalty in (each * len(xy0) / len(squares) for each in smoothness):
        parameters = _fit_reweighted(squares, relative, displacement, penalty * rough, threshold_px)
        fields.append(_as_field(lattice, start, parameters, penalty))
    return fields


def fit_by_evidence(points: Observations, start: NDArray[np.float64]) -> Field:
    """Fit the field whose smoothness has the largest evidence.

    The evidence is the restricted marginal likelihood of the smoothness (Wood, "Fast stable restricted maximum
    likelihood", JRSS B 2011). It does not depend on held-out points, and takes no time. Outliers are left out by
    Tukey's biweight of the distance from the field, whose cutoff follows the median distance.

    Args:
        points: The points, with weights.
        start: 3×3 affine map that most inliers are close to.
    """
    xy0, weights = points.xy0, points.weights
    assert weights is not None, "the evidence compares errors with their variances"
    lattice = _lattice_over(xy0)
    squares = _squares(lattice.grid_xy(xy0), lattice.rows, lattice.columns)
    displacement = points.xy1 - (xy0 @ start[:2, :2].T + start[:2, 2])
    rough = _roughness(lattice.rows, lattice.columns)
    # the same for every smoothness
    first = _normal_equations(squares, weights, displacement, len(rough))
    best: tuple[float, NDArray[np.float64], float] = (-math.inf, np.zeros((len(rough), 2)), 0.0)
    worse = 0
    for penalty in _EVIDENCE_SMOOTHNESS:
        parameters, evidence = _evidence_fit(squares, weights, displacement, penalty * rough, first)
        worse = 0 if evidence > best[0] else worse + 1
        if worse == 0:
            best = (evidence, parameters, penalty)
        elif worse == _PAST_PEAK:
            break
    return _as_field(lattice, start, best[1], best[2])


def _evidence_fit(
    squares: "list[_Square]",
    weights: NDArray[np.float64],
    displacement: NDArray[np.float64],
    rough: NDArray[np.float64],
    first: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], float]:
    """(K, 2) parameters of the field that fits displacements (N, 2) robustly, and its evidence.

    A point that the fit leaves out still counts in the evidence: otherwise a field would gain by leaving out a corner.
    ``first`` are the normal equations with the weights as they are.
    """
    normal, right = first
    for cutoff in (*_EVIDENCE_CUTOFFS, None):
        parameters = np.asarray(np.linalg.solve(rough + normal, right), np.float64)
        square = np.square(displacement - _evaluate(squares, parameters, len(displacement))).sum(axis=1)
        if cutoff is not None:
            robust = weights * biweight(square, cutoff * deviation_px(square))
            normal, right = _normal_equations(squares, robust, displacement, len(rough))
    misfit = float(
        np.minimum(weights * square, _MOST_MISFIT).sum() + np.einsum("kd,kl,ld->", parameters, rough, parameters)
    )
    # two axes
    ratio = np.linalg.slogdet(rough)[1] - np.linalg.slogdet(rough + normal)[1]
    return parameters, float(ratio - misfit / 2)


@dataclass(frozen=True)
class _Lattice:
    """The control points of a field.

    Attributes:
        origin_px: (2,) control point (0, 0), as (x, y) in reference pixels.
        spacing_px: Their spacing.
        rows: Their number down.
        columns: Their number across.
    """

    origin_px: NDArray[np.float64]
    spacing_px: float
    rows: int
    columns: int

    def grid_xy(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) positions (column, row) in the grid of control points."""
        return np.asarray((xy - self.origin_px) / self.spacing_px)


def _lattice_over(xy: NDArray[np.float64]) -> _Lattice:
    """The control points of a field over points (N, 2)."""
    # a margin, so that rounding does not put the outermost matches on either side of an edge
    margin = _ROUNDING * float(np.ptp(xy, axis=0).max())
    low, extent = xy.min(axis=0) - margin, np.ptp(xy, axis=0) + 2 * margin
    spacing_px = max(float(extent.max()) / _SQUARES, _LEAST_SPACING_PX)
    columns, rows = (int(n - _ROUNDING) + _SUPPORT for n in extent / spacing_px)
    return _Lattice(low - spacing_px, spacing_px, rows, columns)


def _as_field(lattice: _Lattice, start: NDArray[np.float64], parameters: NDArray[np.float64], penalty: float) -> Field:
    """The field of parameters (K, 2), relative to an affine map."""
    origin, spacing_px = lattice.origin_px, lattice.spacing_px
    matrix = start.copy()
    slopes = parameters[-_AFFINE + 1 :].T / spacing_px
    matrix[:2, :2] += slopes
    matrix[:2, 2] += parameters[-_AFFINE] - slopes @ origin
    coefficients = parameters[:-_AFFINE].reshape(lattice.rows, lattice.columns, 2)
    return Field(matrix, (float(origin[0]), float(origin[1])), spacing_px, coefficients, penalty)


@dataclass(frozen=True)
class _Square:
    """The points between four control points.

    Attributes:
        points: (n,) indices of the points.
        parameters: (19,) indices of the parameters that they depend on.
        design: (n, 19) derivatives by these parameters.
    """

    points: NDArray[np.int64]
    parameters: NDArray[np.int64]
    design: NDArray[np.float64]


def _squares(grid_xy: NDArray[np.float64], rows: int, columns: int) -> list[_Square]:
    """Groups of points (N, 2), one for each square of the control-point grid; positions in units of that grid."""
    cell = np.clip(np.floor(grid_xy), 0, [columns - 1, rows - 1]).astype(np.int64)
    order = np.lexsort(cell.T)
    first = np.flatnonzero(np.any(np.diff(cell[order], axis=0, prepend=-1), axis=1))
    affine = rows * columns + np.arange(_AFFINE)
    squares = []
    for points in np.split(order, first[1:]):
        control, values = _basis(grid_xy[points], rows, columns)
        design = np.hstack([values, _affine_basis(grid_xy[points])])
        squares.append(_Square(points, np.concatenate([control[0], affine]), design))
    return squares


def _fit_reweighted(
    squares: list[_Square],
    weights: NDArray[np.float64],
    displacement: NDArray[np.float64],
    rough: NDArray[np.float64],
    threshold_px: float,
) -> NDArray[np.float64]:
    """(K, 2) parameters of the field that fits displacements (N, 2) by iteratively reweighted least squares."""
    residual, parameters = displacement, np.zeros((len(rough), 2))
    for cutoff in _CUTOFFS:
        weight = biweight((residual**2).sum(axis=1), cutoff * threshold_px)
        parameters = _solve(squares, weights * weight, displacement, rough)
        residual = displacement - _evaluate(squares, parameters, len(displacement))
    return parameters


def _basis(grid_xy: NDArray[np.float64], rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N, 16) indices of the control points around each position, row by row, and their weights.

    Control points outside the grid have index and weight 0.
    """
    cell = np.floor(grid_xy)
    index = cell[:, None].astype(np.int64) + np.arange(-1, _SUPPORT - 1)[:, None]
    in_grid = (index >= 0) & (index < [columns, rows])
    t = (grid_xy - cell)[:, None]
    basis = np.concatenate([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    basis, index = basis * in_grid, np.where(in_grid, index, 0)
    control = index[:, :, None, 1] * columns + index[:, None, :, 0]
    weights = basis[:, :, None, 1] * basis[:, None, :, 0]
    return control.reshape(len(grid_xy), -1), weights.reshape(len(grid_xy), -1)


def _affine_basis(grid_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([np.ones((len(grid_xy), 1)), grid_xy])


def _roughness(rows: int, columns: int) -> NDArray[np.float64]:
    """(K, K) matrix Q: a field with parameters p has the roughness pᵀ Q p."""
    (across1, across2), (down1, down2) = (
        [step.T @ step for step in (np.diff(np.eye(n), k, axis=0) for k in (1, 2))] for n in (columns, rows)
    )
    count = rows * columns
    rough = np.zeros((count + _AFFINE,) * 2)
    bending = np.kron(np.eye(rows), across2) + np.kron(down2, np.eye(columns)) + 2 * np.kron(down1, across1)
    rough[:count, :count] = bending + np.eye(count) / _DECAY**4
    rough[count:, count:] = _AFFINE_PENALTY * np.eye(_AFFINE)
    return rough


def _solve(
    squares: list[_Square], weight: NDArray[np.float64], displacement: NDArray[np.float64], rough: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K, 2) parameters by weighted, penalised least squares of displacements (N, 2)."""
    normal, right = _normal_equations(squares, weight, displacement, len(rough))
    return np.asarray(np.linalg.solve(rough + normal, right))


def _normal_equations(
    squares: list[_Square], weight: NDArray[np.float64], displacement: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, K) normal matrix and (K, 2) right side of weighted least squares, for K = ``count`` parameters."""
    normal, right = [], []
    for square in squares:
        weighted = square.design.T * weight[square.points]
        normal.append(weighted @ square.design)
        right.append(weighted @ displacement[square.points])
    parameters = np.array([square.parameters for square in squares])
    # one bincount: adding to rows and columns of a matrix square by square takes longer than the products
    pairs = (parameters[:, :, None] * count + parameters[:, None]).ravel()
    summed = np.bincount(pairs, np.ravel(normal), count**2).reshape(count, count)
    sides = [np.bincount(parameters.ravel(), side, count) for side in np.array(right).reshape(-1, 2).T]
    return np.asarray(summed, np.float64), np.asarray(np.stack(sides, axis=1), np.float64)


def _evaluate(squares: list[_Square], parameters: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(N, 2) displacements by the parameters of a field (K, 2)."""
    displacement = np.empty((count, 2))
    for square in squares:
        displacement[square.points] = square.design @ parameters[square.parameters]
    return displacement
