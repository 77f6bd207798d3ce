"""A smooth displacement field: an affine map and, beside it, cubic B-splines on a coarse grid of control points.

P-splines: Eilers and Marx ("Flexible smoothing with B-splines and penalties", Statistical Science 1996), in two
dimensions Eilers, Currie and Durbán ("Fast and compact smoothing on large multidimensional grids", Computational
Statistics & Data Analysis 2006). The penalty takes differences of neighbouring control points, as if they bent a plate,
and, weakly, the control points themselves: where there are no matches the field goes back to its affine part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import PATCH_PX

# Squares between control points along the longer side of what the matches cover: what bends within half of it takes
# five. Closer than matches that share their neighbours they would tell nothing apart.
_SQUARES, _LEAST_SPACING_PX = 10, PATCH_PX

# What bending may weigh, from the smoothest: control points of neighbouring squares are one, or nearly on their own.
SMOOTHNESS = (5e-2, 3e-3, 2e-4)

# Without matches the field goes back to its affine part within about so many squares.
_DECAY = 2.0

# Matches count less the further they are from the field, and nothing beyond these multiples of the threshold: first
# from the affine map, which the field may leave by pixels, then from closer and closer.
_REACH = (8.0, 5.0, 3.0, 2.0, 2.0)

# Keeps the affine part where it was when no matches tell it, as a share of what matches weigh in one square.
_HOLD = 1e-6

# Basis functions that are not zero at a point: along each axis, and those of an affine map.
_ALONG, _AFFINE = 4, 3

# More than rounding moves a match, as a share of what matches cover.
_ROUNDING = 1e-6

# Places at a time, so that many take little memory.
_CHUNK = 16_384


@dataclass(frozen=True)
class Field:
    """A smooth map from reference to target pixels.

    A point (x, y) goes to ``matrix @ (x, y, 1)`` plus the sum over rows r and columns c of ``coefficients[r, c] *
    b(u - c) * b(v - r)``. There (u, v) is ``((x, y) - origin_px) / spacing_px``, and b the uniform cubic B-spline:
    ``2/3 - t² + |t|³/2`` for |t| < 1, ``(2 - |t|)³/6`` for 1 ≤ |t| < 2, and 0 beyond. So control point (r, c) lies at
    ``origin_px + spacing_px * (c, r)``, and further than two squares from all of them only the affine part is left.

    Attributes:
        matrix: 3×3 affine part, GDAL frame.
        origin_px: The first control point (x, y), reference pixels.
        spacing_px: Between control points.
        coefficients: (rows, columns, 2) displacement (x, y) in target pixels.
        penalty: What bending weighed in the fit, against 1 for each match.
    """

    matrix: NDArray[np.float64]
    origin_px: tuple[float, float]
    spacing_px: float
    coefficients: NDArray[np.float64]
    penalty: float

    def apply(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry (N, 2) reference pixels (x, y), anywhere, to target pixels."""
        rows, columns = self.coefficients.shape[:2]
        flat = self.coefficients.reshape(-1, 2)
        moved = np.asarray(xy @ self.matrix[:2, :2].T + self.matrix[:2, 2])
        for start in range(0, len(xy), _CHUNK):
            part = slice(start, start + _CHUNK)
            control, values = _local(self._along(xy[part]), rows, columns)
            moved[part] += np.einsum("nk,nkd->nd", values, flat[control])
        return moved

    def lattice(self, per_square: int) -> NDArray[np.float64]:
        """(N, 2) reference pixels, so many along each square, over all that is moved otherwise than by ``matrix``."""
        rows, columns = self.coefficients.shape[:2]
        x, y = (np.linspace(-2, n + 1, (n + 3) * per_square + 1) for n in (columns, rows))
        return np.asarray(self.origin_px + self.spacing_px * np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))

    def leverage(self, known: NDArray[np.float64], asked: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """How uncertain the field is, fitted to points that are off by 1 px each, independently.

        The covariance of its parameters is the inverse of the penalised normal matrix (Wahba, "Bayesian 'confidence
        intervals' for the cross-validated smoothing spline", JRSS B 1983): the bending that the penalty keeps down is
        uncertain, too.

        Args:
            known: (N, 2) reference pixels that it was fitted to.
            asked: (M, 2) reference pixels.

        Returns:
            (M,) variances in px², and how many parameters were free in effect.
        """
        rows, columns = self.coefficients.shape[:2]
        normal = np.zeros((rows * columns + _AFFINE,) * 2)
        for square in _squares(self._along(known), rows, columns):
            normal[np.ix_(square.unknowns, square.unknowns)] += square.design.T @ square.design
        covariance = np.asarray(np.linalg.inv(normal + self.penalty * _roughness(rows, columns)), np.float64)
        variance = np.empty(len(asked))
        for start in range(0, len(asked), _CHUNK):
            variance[start : start + _CHUNK] = self._variances(covariance, asked[start : start + _CHUNK])
        return variance, float(np.sum(normal * covariance))

    def _variances(self, covariance: NDArray[np.float64], asked: NDArray[np.float64]) -> NDArray[np.float64]:
        rows, columns = self.coefficients.shape[:2]
        along = self._along(asked)
        control, values = _local(along, rows, columns)
        design = np.zeros((len(asked), len(covariance)))
        np.add.at(design, (np.arange(len(asked))[:, None], control), values)
        design[:, -_AFFINE:] = _affine(along)
        return np.asarray(np.einsum("ni,ij,nj->n", design, covariance, design, optimize=True))

    def _along(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) positions (column, row) among the control points."""
        return np.asarray((xy - self.origin_px) / self.spacing_px)


def fit_fields(
    xy0: NDArray[np.float64],
    xy1: NDArray[np.float64],
    start: NDArray[np.float64],
    threshold_px: float,
    smoothness: Sequence[float],
) -> list[Field]:
    """Fit fields of several smoothness to points of which some are wrong by anything.

    Penalised least squares, reweighted: by Tukey's biweight of the distance from the field, whose reach comes down from
    far to near (graduated non-convexity, Blake and Zisserman, "Visual Reconstruction", 1987).

    Args:
        xy0: (N, 2) reference pixels, at least one.
        xy1: (N, 2) target pixels.
        start: 3×3 affine map that most right points are not far from.
        threshold_px: Largest distance of a right point from the field, target pixels.
        smoothness: What bending weighs in each, against all the points in one square between control points.
    """
    # the furthest matches must not lie on an edge, this side of it or that by how it is rounded
    margin = _ROUNDING * float(np.ptp(xy0, axis=0).max())
    low, extent = xy0.min(axis=0) - margin, np.ptp(xy0, axis=0) + 2 * margin
    spacing_px = max(float(extent.max()) / _SQUARES, _LEAST_SPACING_PX)
    columns, rows = (int(n - _ROUNDING) + _ALONG for n in extent / spacing_px)
    origin = low - spacing_px
    along = (xy0 - origin) / spacing_px
    squares = _squares(along, rows, columns)
    wanted = xy1 - (xy0 @ start[:2, :2].T + start[:2, 2])
    rough, fields = _roughness(rows, columns), []
    for penalty in (each * len(xy0) / len(squares) for each in smoothness):
        found = _fitted(squares, wanted, penalty * rough, threshold_px)
        matrix = start.copy()
        slopes = found[-_AFFINE + 1 :].T / spacing_px
        matrix[:2, :2] += slopes
        matrix[:2, 2] += found[-_AFFINE] - slopes @ origin
        coefficients = found[:-_AFFINE].reshape(rows, columns, 2)
        fields.append(Field(matrix, (float(origin[0]), float(origin[1])), spacing_px, coefficients, penalty))
    return fields


@dataclass(frozen=True)
class _Square:
    """The points between four control points.

    Attributes:
        points: (n,) which they are.
        unknowns: (19,) the parameters that move them.
        design: (n, 19) by how much.
    """

    points: NDArray[np.int64]
    unknowns: NDArray[np.int64]
    design: NDArray[np.float64]


def _squares(along: NDArray[np.float64], rows: int, columns: int) -> list[_Square]:
    """Points at (N, 2) positions among the control points, square by square."""
    cell = np.clip(np.floor(along), 0, [columns - 1, rows - 1]).astype(np.int64)
    order = np.lexsort(cell.T)
    first = np.flatnonzero(np.any(np.diff(cell[order], axis=0, prepend=-1), axis=1))
    own = rows * columns + np.arange(_AFFINE)
    squares = []
    for points in np.split(order, first[1:]):
        control, values = _local(along[points], rows, columns)
        design = np.hstack([values, _affine(along[points])])
        squares.append(_Square(points, np.concatenate([control[0], own]), design))
    return squares


def _fitted(
    squares: list[_Square], wanted: NDArray[np.float64], rough: NDArray[np.float64], threshold_px: float
) -> NDArray[np.float64]:
    """(K, 2) parameters of a field that moves its points by (N, 2), wrong ones left out."""
    off, found = wanted, np.zeros((len(rough), 2))
    for reach in _REACH:
        weight = np.clip(1 - (off**2).sum(axis=1) / (reach * threshold_px) ** 2, 0, None) ** 2
        found = _solve(squares, weight, wanted, rough)
        off = wanted - _predicted(squares, found, len(wanted))
    return found


def _local(along: NDArray[np.float64], rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N, 16) control points around each position, counted row by row, and their weights there, 0 for missing ones."""
    cell = np.floor(along)
    index = cell[:, None].astype(np.int64) + np.arange(-1, _ALONG - 1)[:, None]
    there = (index >= 0) & (index < [columns, rows])
    t = (along - cell)[:, None]
    basis = np.concatenate([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    basis, index = basis * there, np.where(there, index, 0)
    control = index[:, :, None, 1] * columns + index[:, None, :, 0]
    return control.reshape(len(along), -1), (basis[:, :, None, 1] * basis[:, None, :, 0]).reshape(len(along), -1)


def _affine(along: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([np.ones((len(along), 1)), along])


def _roughness(rows: int, columns: int) -> NDArray[np.float64]:
    """The quadratic form of what a field's parameters bend."""
    (across1, across2), (down1, down2) = (
        [step.T @ step for step in (np.diff(np.eye(n), k, axis=0) for k in (1, 2))] for n in (columns, rows)
    )
    count = rows * columns
    rough = np.zeros((count + _AFFINE,) * 2)
    bending = np.kron(np.eye(rows), across2) + np.kron(down2, np.eye(columns)) + 2 * np.kron(down1, across1)
    rough[:count, :count] = bending + np.eye(count) / _DECAY**4
    rough[count:, count:] = _HOLD * np.eye(_AFFINE)
    return rough


def _solve(
    squares: list[_Square], weight: NDArray[np.float64], wanted: NDArray[np.float64], rough: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K, 2) parameters that come closest to the wanted displacements (N, 2)."""
    normal, right = [], []
    for square in squares:
        weighted = square.design.T * weight[square.points]
        normal.append(weighted @ square.design)
        right.append(weighted @ wanted[square.points])
    count, unknowns = len(rough), np.array([square.unknowns for square in squares])
    # counted in one go: adding to some rows and columns of a matrix takes longer than what is added
    pairs = (unknowns[:, :, None] * count + unknowns[:, None]).ravel()
    summed = np.bincount(pairs, np.ravel(normal), count**2).reshape(count, count)
    sides = [np.bincount(unknowns.ravel(), side, count) for side in np.array(right).reshape(-1, 2).T]
    return np.asarray(np.linalg.solve(rough + summed, np.stack(sides, axis=1)))


def _predicted(squares: list[_Square], found: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    moved = np.empty((count, 2))
    for square in squares:
        moved[square.points] = square.design @ found[square.unknowns]
    return moved
