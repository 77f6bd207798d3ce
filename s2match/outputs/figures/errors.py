"""Scatter plot of the errors on the ground, before and after a correction."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from s2match.core.ground_errors import GroundErrors
from s2match.correction.evaluation import Improvement
from s2match.outputs.figures.style import (
    BLUE,
    LABEL_PT,
    MAX_DOTS,
    TICK_PT,
    TITLE_PT,
    VERMILION,
    label_axes,
    new_figure,
    pair_title,
    spread,
)
from s2match.result import PairResult


def plot_errors(result: PairResult, improvement: Improvement | None = None) -> Figure:
    """North against east shift of the matches in metres, with the CE90 about their mean.

    Args:
        result: A pair of georeferenced images with matches; all of them are drawn where there is no registration.
        improvement: The shifts before and after a correction, drawn side by side; None: the matches of the pair.
    """
    panels = {"matches" if result.registration is None else "inliers": _shifts_of(result)}
    if improvement is not None:
        both = zip(("before", "after"), improvement.points, strict=True)
        panels = {name: points.errors for name, points in both if points is not None} or panels
    return _plot(panels, pair_title(result))


def compare_errors(results: Mapping[str, PairResult]) -> Figure:
    """The shifts of several results of one pair side by side, at one scale.

    Args:
        results: Georeferenced pairs with matches, by their titles.
    """
    return _plot(
        {name: _shifts_of(result) for name, result in results.items()}, pair_title(next(iter(results.values())))
    )


def _shifts_of(result: PairResult) -> GroundErrors:
    """The finite errors of the inliers, or of all matches where there is no registration."""
    errors = result.errors if result.registration is None else result.inlier_errors
    assert errors is not None and len(errors.finite.east_m), "errors need matches and two georeferenced images"
    return errors.finite


def _plot(panels: Mapping[str, GroundErrors], title: str) -> Figure:
    figure = new_figure(6.5 * len(panels) if len(panels) > 1 else 9, 9 if len(panels) > 1 else 10.6)
    limit = max(map(_half_width, panels.values()))
    for axes, (name, shown) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        _draw(axes, shown, name, limit)
    figure.suptitle(title, fontsize=TITLE_PT, parse_math=False)
    return figure


def _half_width(errors: GroundErrors) -> float:
    """Half the width of a panel around the mean shift."""
    distance = errors.from_mean_m
    return max(1.25 * float(np.percentile(distance, 98)), 1.6 * float(np.percentile(distance, 90)), 1e-6)


def _draw(axes: Axes, errors: GroundErrors, name: str, limit: float) -> None:
    """Draw the shifts around their mean, with its distance from zero."""
    unit, names = errors.axes.unit, ("east", "north") if errors.axes.in_metres else ("x", "y")
    shifts = np.stack([errors.east_m, errors.north_m], axis=1)
    mean = shifts.mean(axis=0)
    ce90 = float(np.percentile(errors.from_mean_m, 90))
    axes.axhline(0, color="0.6", lw=1.2)
    axes.axvline(0, color="0.6", lw=1.2)
    drawn = spread(len(shifts), MAX_DOTS)
    alpha = float(np.clip(1500 / drawn.sum(), 0.15, 0.6))
    axes.scatter(shifts[drawn, 0], shifts[drawn, 1], s=9, color=BLUE, alpha=alpha, lw=0)
    axes.add_patch(Circle((float(mean[0]), float(mean[1])), ce90, fill=False, color=VERMILION, lw=2.6))
    outside = int((np.abs(shifts - mean) > limit).any(axis=1).sum())
    beyond = f", {outside} of them outside of the panel" if outside else ""
    axes.plot([], [], "o", color=BLUE, ms=6, label=f"{len(shifts)} points{beyond}")
    axes.plot([], [], color=VERMILION, lw=2.6, label=f"CE90 about the mean {_text(ce90, errors)}")
    for colour, size, width in (("white", 20, 5.5), ("black", 18, 2.5)):
        axes.plot(*mean, "+", color=colour, ms=size, mew=width)
    digits = _digits(float(np.abs(mean).max()))
    shift = ", ".join(f"{value:+z.{digits}f} {unit} {axis}" for value, axis in zip(mean, names, strict=True))
    axes.plot([], [], "+", color="black", ms=16, mew=2.5, label=f"mean {shift}")
    axes.plot([], [], " ", label=f"CE90 about zero {_text(errors.ce90_m, errors)}")
    axes.set(xlim=(mean[0] - limit, mean[0] + limit), ylim=(mean[1] - limit, mean[1] + limit), aspect="equal")
    to_x, to_y = ("to the east", "to the north") if errors.axes.in_metres else ("in x", "in y")
    label_axes(axes, f"shift of the target {to_x} ({unit})", f"shift of the target {to_y} ({unit})")
    axes.set_title(name, fontsize=LABEL_PT, pad=8)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, fontsize=TICK_PT)


def _text(length: float, errors: GroundErrors) -> str:
    return f"{length:.{_digits(length)}f} {errors.axes.unit} ({length / errors.native_pixel_m:.2f} px)"


def _digits(length: float) -> int:
    """Number of decimals for a length."""
    return 2 if length < 10 else 1 if length < 100 else 0
