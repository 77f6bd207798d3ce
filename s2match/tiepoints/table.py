"""Tie points as columns of a table, and columns as tie points; docs/tie_points.md explains the columns."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.errors import TiePointError
from s2match.registration.estimators import SMALLEST_SAMPLE
from s2match.tiepoints.points import TiePoints

# AROSICS' number for a missing value, which is read as such; here missing values are written as empty.
_AROSICS_MISSING = -9999

# Columns of 0 and 1.
FLAGS = ("OUTLIER", "CORRELATED", "ENABLED")

# Decimals of positions and other inputs of a fit, in pixels: with seven a fit to them may be 1e-6 px off.
_FIT_DECIMALS = 8

# Decimals of other lengths in pixels, of metres, of degrees and percent, and of ratios.
_PX_DECIMALS, _M_DECIMALS, _ANGLE_DECIMALS, _RATIO_DECIMALS = 4, 4, 2, 4

# Last decimal of map coordinates, in pixels at most.
_MAP_STEP_PX = 1e-5

# Columns that are read; the positions in pixels are required.
_PIXELS = ("X_IM", "Y_IM", "X_IM_REF", "Y_IM_REF")
READ = (
    *_PIXELS,
    *("X_MAP", "Y_MAP", "X_MAP_REF", "Y_MAP_REF"),
    *("CONFIDENCE", "SIMILARITY", "SCATTER_PX", "CORRELATED", "ENABLED"),
    *("X_STD_PX", "Y_STD_PX", "XY_CORRELATION"),
)

Column = NDArray[np.float64] | NDArray[np.int64]

# Largest distance between map coordinates and the pixel of the same row.
_TOLERANCE_PX = 0.01

# Largest distance of a point beyond the edges of its image, as a fraction of the sides: a match at a slanted edge.
_BEYOND = 0.01


def columns_of(points: TiePoints) -> dict[str, Column]:
    """Columns of tie points by name, (N,) numbers each, rounded to their significant decimals.

    Flags and counts are whole numbers, unless they are missing. Missing values are NaN.
    """
    count = len(points)
    shift_px, shift_m, residual_px = points.shift_px, points.shift_m, points.residual_xy_px
    angle = None if shift_px is None else _angle(shift_px)
    return {
        "POINT_ID": np.arange(count, dtype=np.int64),
        **_pair("X_IM", "Y_IM", points.xy1_px, count, _FIT_DECIMALS),
        **_pair("X_MAP", "Y_MAP", points.target_map, count, map_decimals(points.target, _MAP_STEP_PX)),
        **_pair("X_SHIFT_PX", "Y_SHIFT_PX", shift_px, count, _PX_DECIMALS),
        **_pair("X_SHIFT_M", "Y_SHIFT_M", shift_m, count, _M_DECIMALS),
        "ABS_SHIFT": _round(_length(shift_m), count, _M_DECIMALS),
        "ANGLE": _round(angle, count, _ANGLE_DECIMALS) % 360,
        "RELIABILITY": _round(points.confidence * 100, count, _ANGLE_DECIMALS),
        "OUTLIER": _flags(points.outlier, count),
        **_pair("X_IM_REF", "Y_IM_REF", points.xy0_px, count, _FIT_DECIMALS),
        **_pair("X_MAP_REF", "Y_MAP_REF", points.reference_map, count, map_decimals(points.reference, _MAP_STEP_PX)),
        "CONFIDENCE": _round(points.confidence, count, _RATIO_DECIMALS),
        "SIMILARITY": _round(points.similarity, count, _RATIO_DECIMALS),
        "SCATTER_PX": _round(points.raw_residual_px, count, _FIT_DECIMALS),
        "CORRELATED": _flags(points.correlated, count),
        **_deviations(points.covariance_px2, count),
        **_pair("X_RESIDUAL_PX", "Y_RESIDUAL_PX", residual_px, count, _PX_DECIMALS),
        "RESIDUAL_PX": _round(_length(residual_px), count, _PX_DECIMALS),
        "RESIDUAL_M": _round(points.residual_m, count, _M_DECIMALS),
        "ENABLED": np.ones(count, np.int64),
    }


def map_decimals(grid: Grid, step_px: float) -> int:
    """Number of decimals of map coordinates, or of pixels if there is no georeference.

    Args:
        grid: Every pixel of a file.
        step_px: Largest value of the last decimal, in pixels of the file.
    """
    side = 1.0 if grid.transform is None else math.sqrt(abs(grid.transform.determinant))
    return max(0, math.ceil(-math.log10(side * step_px) - 1e-9))


def points_of(table: Mapping[str, NDArray[np.float64]], reference: Grid, target: Grid) -> TiePoints:
    """Tie points from the enabled rows of a table.

    Args:
        table: Columns of (N,) numbers by name, those of :data:`READ`. The positions in pixels are required. Without
            ENABLED all rows are enabled, and without CONFIDENCE it is 1. "Not a number" and -9999 are missing values.
        reference: Every pixel of the reference's file.
        target: Every pixel of the target's file.

    Raises:
        TiePointError: A column is missing, a number is missing or out of range, a point lies outside its image, its map
            coordinates disagree with its pixels, or too few points are enabled.
    """
    missing = [name for name in _PIXELS if name not in table]
    if missing:
        raise TiePointError(f"The tie points lack the columns {', '.join(missing)}.")
    table = {name: np.where(values == _AROSICS_MISSING, np.nan, values) for name, values in table.items()}
    flags = _or_one(table.get("ENABLED"), len(table["X_IM"]))
    if not np.isin(flags, (0, 1)).all():
        raise TiePointError("The column ENABLED of the tie points has values other than 0 and 1.")
    enabled = np.asarray(flags == 1)
    if enabled.sum() < SMALLEST_SAMPLE:
        raise TiePointError(
            f"Only {enabled.sum()} of {len(enabled)} tie points are enabled: a model needs {SMALLEST_SAMPLE} or more."
        )
    rows = {name: values[enabled] for name, values in table.items()}
    xy0_px = _positions(rows, "X_IM_REF", "Y_IM_REF", reference)
    xy1_px = _positions(rows, "X_IM", "Y_IM", target)
    _check_map(rows, "X_MAP_REF", "Y_MAP_REF", xy0_px, reference)
    _check_map(rows, "X_MAP", "Y_MAP", xy1_px, target)
    confidence = _or_one(rows.get("CONFIDENCE"), len(xy0_px))
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise TiePointError("The column CONFIDENCE of the tie points has values outside of 0 to 1.")
    return TiePoints(
        reference,
        target,
        xy0_px,
        xy1_px,
        confidence,
        _optional(rows, "SIMILARITY"),
        _optional(rows, "SCATTER_PX"),
        _is_correlated(rows),
        covariance_px2=_covariance(rows),
    )


def _pair(x: str, y: str, values: NDArray[np.float64] | None, count: int, decimals: int) -> dict[str, Column]:
    first, second = (None, None) if values is None else values.T
    return {x: _round(first, count, decimals), y: _round(second, count, decimals)}


def _round(values: NDArray[np.float64] | None, count: int, decimals: int) -> NDArray[np.float64]:
    """(N,) rounded values; NaN where they are missing."""
    if values is None:
        return np.full(count, np.nan)
    # adding 0 leaves no -0
    return np.where(np.isfinite(values), np.round(values, decimals) + 0.0, np.nan)


def _deviations(covariance: NDArray[np.float64] | None, count: int) -> dict[str, Column]:
    """Standard deviations along both axes, and the correlation between them, of covariances (N, 2, 2)."""
    names = ("X_STD_PX", "Y_STD_PX", "XY_CORRELATION")
    if covariance is None:
        return {name: np.full(count, np.nan) for name in names}
    x, y = np.sqrt(covariance[:, 0, 0]), np.sqrt(covariance[:, 1, 1])
    values = (x, y, covariance[:, 0, 1] / (x * y))
    return {name: _round(each, count, _FIT_DECIMALS) for name, each in zip(names, values, strict=True)}


def _covariance(rows: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """(N, 2, 2) covariances by the columns of :func:`_deviations`; None if the standard deviations are missing.

    Raises:
        TiePointError: A standard deviation is missing in some rows, is not positive, or there is one of the two alone.
    """
    x, y = _optional(rows, "X_STD_PX"), _optional(rows, "Y_STD_PX")
    if x is None and y is None:
        return None
    if x is None or y is None or not (x > 0).all() or not (y > 0).all():
        raise TiePointError("X_STD_PX and Y_STD_PX of the tie points must both be given, and be above 0.")
    correlation = _optional(rows, "XY_CORRELATION")
    correlation = np.zeros(len(x)) if correlation is None else correlation
    if not (np.abs(correlation) < 1).all():
        raise TiePointError("The column XY_CORRELATION of the tie points has values outside of -1 to 1.")
    mixed = correlation * x * y
    return np.asarray(np.stack([np.stack([x**2, mixed], 1), np.stack([mixed, y**2], 1)], 1))


def _flags(values: NDArray[np.bool_] | None, count: int) -> Column:
    return np.full(count, np.nan) if values is None else values.astype(np.int64)


def _or_one(values: NDArray[np.float64] | None, count: int) -> NDArray[np.float64]:
    """(N,) values, 1 where they are missing."""
    return np.ones(count) if values is None else np.where(np.isnan(values), 1.0, values)


def _length(vectors: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    return None if vectors is None else np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))


def _angle(shift_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) directions from the reference's points to the target's, degrees clockwise from up."""
    return np.asarray(np.degrees(np.arctan2(-shift_px[:, 0], shift_px[:, 1])) % 360)


def _positions(rows: Mapping[str, NDArray[np.float64]], x: str, y: str, grid: Grid) -> NDArray[np.float64]:
    """(N, 2) positions (x, y) of two columns.

    Raises:
        TiePointError: A position is missing, or outside of the image.
    """
    xy = np.stack([rows[x], rows[y]], axis=1)
    beyond = _BEYOND * np.array(grid.size)
    # "not a number" is outside, too
    outside = ~((xy >= -beyond) & (xy <= grid.size + beyond)).all(axis=1)
    if outside.any():
        first = xy[outside][0]
        raise TiePointError(
            f"{outside.sum()} tie points lie outside of {grid.scene.path.name}, {grid.size[0]} x {grid.size[1]} px: "
            f"the first at {x} {first[0]:g}, {y} {first[1]:g}."
        )
    return xy


def _check_map(rows: Mapping[str, NDArray[np.float64]], x: str, y: str, xy: NDArray[np.float64], grid: Grid) -> None:
    """Refuse rows whose map coordinates disagree with their pixels; missing map coordinates are ignored.

    Raises:
        TiePointError: Map coordinates disagree with the pixels of their row.
    """
    if not (x in rows and y in rows and grid.georeferenced):
        return
    assert grid.transform is not None
    present = ~(np.isnan(rows[x]) & np.isnan(rows[y]))
    px, py = ~grid.transform @ (rows[x], rows[y])
    distance_px = np.hypot(px - xy[:, 0], py - xy[:, 1])
    # "not a number" fails, too
    if not (distance_px[present] <= _TOLERANCE_PX).all():
        raise TiePointError(
            f"The tie points do not belong to {grid.scene.path.name}: {x} and {y} do not lie at the pixels of their "
            "rows. If you moved pixels by hand, leave the columns of map coordinates out."
        )


def _is_correlated(rows: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_] | None:
    """(N,) bool: tie points added by correlation, from the column CORRELATED; None if no row has a value."""
    values = rows.get("CORRELATED")
    if values is None or np.isnan(values).all():
        return None
    if not np.isin(values[~np.isnan(values)], (0, 1)).all():
        raise TiePointError("The column CORRELATED of the tie points has values other than 0 and 1.")
    return np.asarray(values == 1)


def _optional(rows: Mapping[str, NDArray[np.float64]], name: str) -> NDArray[np.float64] | None:
    """A column; None if it is missing in all rows.

    Raises:
        TiePointError: It is missing in some rows.
    """
    if name not in rows or np.isnan(rows[name]).all():
        return None
    values = rows[name]
    if not np.isfinite(values).all():
        raise TiePointError(f"The column {name} of the tie points is empty in some rows.")
    return values
