"""Shift of the target against the georeference, by column and by row of the reference."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.ground_axes import pixel_m
from s2match.core.ground_errors import GroundErrors
from s2match.core.matches import Matches
from s2match.correction.evaluation import Improvement
from s2match.outputs.figures.profiles import MARKS, draw_profile, explain_bars, extent_of
from s2match.outputs.figures.style import (
    LABEL_PT,
    MAX_DOTS,
    TITLE_PT,
    label_axes,
    legend_above,
    new_figure,
    pair_title,
    spread,
)
from s2match.registration.residual_profiles import binned
from s2match.result import PairResult

# Percentiles of the shifts that set the range of the axis; far outliers are cut off.
_SHOWN_PERCENT = (2.0, 98.0)


@dataclass(frozen=True)
class _Shifts:
    """Shifts at points.

    Attributes:
        name: What they are.
        matches: The matches that they belong to.
        errors: The shifts.
    """

    name: str
    matches: Matches
    errors: GroundErrors


def plot_shifts(result: PairResult, improvement: Improvement | None = None) -> Figure:
    """Shift of every inlier to the east and north in metres, and the means in bins of columns and rows.

    Args:
        result: A pair of georeferenced images with matches; without a registration all of them are drawn.
        improvement: The shifts before and after a correction, a row each; None: the matches of the pair.
    """
    rows = _rows(result, improvement)
    figure = new_figure(13, 6 if len(rows) == 1 else 9.6)
    panels = figure.subplots(len(rows), 2, sharey="row", squeeze=False)
    for line, shifts in zip(panels, rows, strict=True):
        _draw_row(line[0], line[1], shifts, result)
    legend_above(panels[0, 1])
    title = f"{pair_title(result)}  ·  means with 2 standard errors"
    explain_bars(figure, rows[0].matches)
    figure.suptitle(title, fontsize=TITLE_PT, parse_math=False)
    return figure


def _rows(result: PairResult, improvement: Improvement | None) -> list[_Shifts]:
    """The shifts of each row of the figure."""
    if improvement is not None:
        both = zip(("before", "after"), improvement.points, strict=True)
        rows = [_Shifts(name, points.matches, points.errors) for name, points in both if points is not None]
        if rows:
            return rows
    errors, registration = result.errors, result.registration
    assert errors is not None and len(errors.finite.east_m), "shifts need matches and two georeferenced images"
    chosen = np.asarray(np.isfinite(errors.distance_m))
    if registration is not None:
        chosen = chosen & registration.inliers
    name = "all matches" if registration is None else "inliers"
    return [_Shifts(name, result.matches.subset(chosen), errors.subset(chosen))]


def _draw_row(left: Axes, right: Axes, shifts: _Shifts, result: PairResult) -> None:
    errors = shifts.errors
    names = ("to the east", "to the north") if errors.axes.in_metres else ("in x", "in y")
    shift_m = np.stack([errors.east_m, errors.north_m], axis=1)
    both = binned(shifts.matches, shift_m, extent_of(shifts.matches.xy0), pixel_m(result.target))
    for axis, (axes, profile, name) in enumerate(zip((left, right), both, ("column", "row"), strict=True)):
        _draw_points(axes, shifts.matches.xy0[:, axis], shift_m)
        draw_profile(axes, profile, names)
        label_axes(axes, f"{name} of the reference (px)")
        axes.set_title(shifts.name, loc="left", fontsize=LABEL_PT)
    left.set_ylim(_range(shift_m))
    label_axes(left, "column of the reference (px)", f"shift of the target ({errors.axes.unit})")


def _draw_points(axes: Axes, along_px: NDArray[np.float64], shift_m: NDArray[np.float64]) -> None:
    drawn = spread(len(along_px), MAX_DOTS)
    alpha = float(np.clip(1200 / max(drawn.sum(), 1), 0.1, 0.5))
    for component, (colour, _, _) in zip(shift_m.T, MARKS, strict=True):
        # thousands of points as vectors would make the file large
        axes.scatter(along_px[drawn], component[drawn], s=9, color=colour, alpha=alpha, lw=0, rasterized=True)


def _range(shift_m: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(shift_m, _SHOWN_PERCENT)
    margin = max(0.15 * (high - low), 0.5)
    return min(low, 0.0) - margin, max(high, 0.0) + margin
