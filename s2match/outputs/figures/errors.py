"""Scatter plot of the errors on the ground."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from s2match.outputs.figures.style import (
    BLUE,
    GREEN,
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


def plot_errors(result: PairResult) -> Figure:
    """North against east error in metres, with circles of the CE90 and the RMSE, and the mean.

    Args:
        result: A pair of georeferenced images with matches; all of them are
            drawn where there is no registration.
    """
    errors = result.errors if result.registration is None else result.inlier_errors
    assert errors is not None and len(errors.finite.east_m), "errors need matches and two georeferenced images"
    errors, unit = errors.finite, errors.axes.unit
    x, y = ("east", "north") if errors.axes.in_metres else ("x", "y")
    counted = "matches" if result.registration is None else "inliers"
    figure = new_figure(9, 10)
    axes = figure.subplots()
    limit = max(1.25 * float(np.percentile(errors.distance_m, 98)), 1.1 * errors.rmse_m)
    east, north = float(errors.east_m.mean()), float(errors.north_m.mean())
    axes.axhline(0, color="0.8", lw=0.8)
    axes.axvline(0, color="0.8", lw=0.8)
    drawn = spread(len(errors.east_m), MAX_DOTS)
    alpha = float(np.clip(1500 / drawn.sum(), 0.15, 0.6))
    axes.scatter(errors.east_m[drawn], errors.north_m[drawn], s=9, color=BLUE, alpha=alpha, lw=0)
    axes.plot([], [], "o", color=BLUE, ms=6, label=f"{counted} ({len(drawn)})")
    for radius, colour, style, name in (
        (errors.ce90_m, VERMILION, "-", "CE90"),
        (errors.rmse_m, GREEN, (0, (5, 3)), "RMSE"),
    ):
        axes.add_patch(Circle((0, 0), radius, fill=False, color=colour, lw=2.4, ls=style))
        label = f"{name} {radius:.{_digits(radius)}f} {unit} ({radius / errors.native_pixel_m:.2f} px)"
        axes.plot([], [], color=colour, lw=2.4, ls=style, label=label)
    digits = _digits(errors.ce90_m)
    mean = f"mean {east:z.{digits}f} {unit} {x}, {north:z.{digits}f} {unit} {y}"
    axes.plot(east, north, "+", color="white", ms=20, mew=5.5)
    axes.plot(east, north, "+", color="black", ms=18, mew=2.5, label=mean)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    to_x, to_y = ("to the east", "to the north") if errors.axes.in_metres else ("in x", "in y")
    label_axes(axes, f"shift of the target {to_x} ({unit})", f"shift of the target {to_y} ({unit})")
    figure.suptitle(pair_title(result), fontsize=TITLE_PT, parse_math=False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=TICK_PT)
    return figure


def _digits(metres: float) -> int:
    """Number of decimals for a length."""
    return 1 if metres < 100 else 0
