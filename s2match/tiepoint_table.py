"""Tie points as columns of a table, and columns as tie points. docs/tie_points.md says what each column means."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from s2match.errors import TiePointError
from s2match.images import Grid, georeferenced
from s2match.models import SMALLEST_SAMPLE
from s2match.tiepoints import TiePoints

# What stands where nothing is known, as in the tables of AROSICS.
UNKNOWN = -9999

# What tie points are made of again.
_PIXELS = ("X_IM", "Y_IM", "X_IM_REF", "Y_IM_REF")
READ = (
    *_PIXELS,
    *("X_MAP", "Y_MAP", "X_MAP_REF", "Y_MAP_REF"),
    *("CONFIDENCE", "SIMILARITY", "SCATTER_PX", "CORRELATED", "ENABLED"),
)

Column = NDArray[np.float64] | NDArray[np.int64]

# How far off the pixel that a table gives beside them map coordinates may lie.
_TOLERANCE_PX = 0.01

# How far beyond the edges of its image a point may lie, as a share of its sides: a match at a slanted edge may.
_BEYOND = 0.01


def columns_of(points: TiePoints) -> dict[str, Column]:
    """Tie points as columns of (N,) numbers, whole ones where they are flags and counts."""
    count = len(points)
    shift_px, shift_m, residual_px = points.shift_px, points.shift_m, points.residual_xy_px
    return {
        "POINT_ID": np.arange(count, dtype=np.int64),
        **_pair("X_IM", "Y_IM", points.xy1_px, count),
        **_pair("X_MAP", "Y_MAP", points.target_map, count),
        **_pair("X_SHIFT_PX", "Y_SHIFT_PX", shift_px, count),
        **_pair("X_SHIFT_M", "Y_SHIFT_M", shift_m, count),
        "ABS_SHIFT": _known(_length(shift_m), count),
        "ANGLE": _known(None if shift_px is None else _angle(shift_px), count),
        "RELIABILITY": points.confidence * 100,
        "OUTLIER": _flags(points.outlier, count),
        **_pair("X_IM_REF", "Y_IM_REF", points.xy0_px, count),
        **_pair("X_MAP_REF", "Y_MAP_REF", points.reference_map, count),
        "CONFIDENCE": points.confidence,
        "SIMILARITY": _known(points.similarity, count),
        "SCATTER_PX": _known(points.scatter_px, count),
        "CORRELATED": _flags(points.correlated, count),
        **_pair("X_RESIDUAL_PX", "Y_RESIDUAL_PX", residual_px, count),
        "RESIDUAL_PX": _known(_length(residual_px), count),
        "RESIDUAL_M": _known(points.residual_m, count),
        "ENABLED": np.ones(count, np.int64),
    }


def points_of(table: Mapping[str, NDArray[np.float64]], reference: Grid, target: Grid) -> TiePoints:
    """Tie points from the columns of a table, without the rows that are not enabled.

    Args:
        table: Columns of (N,) numbers by name, see :data:`READ`. The positions in pixels must be there. Without ENABLED
            all rows are, and without CONFIDENCE it is 1.
        reference: Every pixel of its file.
        target: Likewise.

    Raises:
        TiePointError: A column is missing, a number is none or out of range, a point lies outside of its image or the
            map coordinates beside it elsewhere, or too few points are enabled.
    """
    missing = [name for name in _PIXELS if name not in table]
    if missing:
        raise TiePointError(f"The tie points lack the columns {', '.join(missing)}.")
    flags = table.get("ENABLED", np.ones(len(table["X_IM"])))
    if not np.isin(flags, (0, 1)).all():
        raise TiePointError("The column ENABLED of the tie points holds something other than 0 and 1.")
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
    confidence = rows.get("CONFIDENCE", np.ones(len(xy0_px)))
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise TiePointError("A CONFIDENCE of the tie points is not 0 to 1.")
    return TiePoints(
        reference,
        target,
        xy0_px,
        xy1_px,
        confidence,
        _optional(rows, "SIMILARITY"),
        _optional(rows, "SCATTER_PX"),
        _marks(rows),
    )


def _pair(x: str, y: str, values: NDArray[np.float64] | None, count: int) -> dict[str, Column]:
    known = np.full((count, 2), float(UNKNOWN)) if values is None else values
    return {x: known[:, 0], y: known[:, 1]}


def _known(values: NDArray[np.float64] | None, count: int) -> NDArray[np.float64]:
    return np.full(count, float(UNKNOWN)) if values is None else values


def _flags(values: NDArray[np.bool_] | None, count: int) -> NDArray[np.int64]:
    return np.full(count, UNKNOWN) if values is None else values.astype(np.int64)


def _length(vectors: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    return None if vectors is None else np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))


def _angle(shift_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) degrees clockwise from up, of the way from where the reference has the points to where the target has."""
    return np.asarray(np.degrees(np.arctan2(-shift_px[:, 0], shift_px[:, 1])) % 360)


def _positions(rows: Mapping[str, NDArray[np.float64]], x: str, y: str, grid: Grid) -> NDArray[np.float64]:
    xy = np.stack([rows[x], rows[y]], axis=1)
    beyond = _BEYOND * np.array(grid.size)
    # what is no number is outside, too
    outside = ~((xy >= -beyond) & (xy <= grid.size + beyond)).all(axis=1)
    if outside.any():
        first = xy[outside][0]
        raise TiePointError(
            f"{outside.sum()} tie points lie outside of {grid.scene.path.name}, {grid.size[0]} x {grid.size[1]} px: "
            f"the first at {x} {first[0]:g}, {y} {first[1]:g}."
        )
    return xy


def _check_map(rows: Mapping[str, NDArray[np.float64]], x: str, y: str, xy: NDArray[np.float64], grid: Grid) -> None:
    """Refuse points whose map coordinates, where the table has them, are not those of their pixels."""
    if not (x in rows and y in rows and georeferenced(grid)):
        return
    assert grid.transform is not None
    known = (rows[x] != UNKNOWN) | (rows[y] != UNKNOWN)
    px, py = ~grid.transform @ (rows[x], rows[y])
    apart = np.hypot(px - xy[:, 0], py - xy[:, 1])
    # what is no number is apart, too
    if not (apart[known] <= _TOLERANCE_PX).all():
        raise TiePointError(
            f"The tie points are not of {grid.scene.path.name}: {x} and {y} lie elsewhere than their pixels do. Where "
            "pixels were moved by hand, leave the columns of map coordinates out."
        )


def _marks(rows: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_] | None:
    """Which points are correlated, None where none is said to be or not to be; points added by hand are not."""
    values = rows.get("CORRELATED")
    if values is None or (values == UNKNOWN).all():
        return None
    unsaid = np.isnan(values) | (values == UNKNOWN)
    if not np.isin(values[~unsaid], (0, 1)).all():
        raise TiePointError("The column CORRELATED of the tie points holds something other than 0 and 1.")
    return np.asarray(values == 1)


def _optional(rows: Mapping[str, NDArray[np.float64]], name: str) -> NDArray[np.float64] | None:
    """A column, None where it says nothing."""
    if name not in rows or (rows[name] == UNKNOWN).all():
        return None
    values = rows[name]
    if not (np.isfinite(values) & (values != UNKNOWN)).all():
        raise TiePointError(f"The column {name} of the tie points lacks numbers in some rows.")
    return values
