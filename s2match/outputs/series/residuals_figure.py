"""Residuals of the pairs of a series as a matrix of dates."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.outputs.figures.style import LABEL_PT, TICK_PT, VERMILION, label_axes, new_figure
from s2match.outputs.series.layout import (
    FIGURE_IN,
    display_order,
    label_images,
    say_empty,
    tile_borders,
)
from s2match.timeseries.result import SeriesResult

# From pale to dark: large residuals stand out on the white of dates without a pair.
_COLOURS = LinearSegmentedColormap.from_list("residual", ["#cfe6f5", "#56B4E9", "#0072B2", "#00203d"])

# Quantile of the residuals of kept pairs at the end of the scale.
_SCALE_END = 0.98

_UNCHECKED_GREY = "0.9"


def plot_residual_matrix(result: SeriesResult) -> Figure:
    """Length of the residual of each pair, at the two dates; rejected pairs have a cross.

    White: the pair was not planned. Grey: it was not measured, or no other pairs connect the
    two images.
    """
    figure = new_figure(*FIGURE_IN)
    axes = figure.subplots()
    order = display_order(result)
    values = _matrix(result, order)
    if not np.isfinite(values).any():
        say_empty(axes, "no pair has a residual")
        return figure
    kept = [row.residual_m for row in result.pairs if row.status == "kept" and row.residual_m is not None]
    end = float(np.quantile(kept, _SCALE_END)) if kept else float(np.nanmax(values))
    planned = _planned(result, order)
    grey = np.ma.masked_where(~planned | np.isfinite(values), np.ones(values.shape))
    axes.imshow(grey, cmap=LinearSegmentedColormap.from_list("grey", [_UNCHECKED_GREY] * 2), interpolation="nearest")
    image = axes.imshow(values, cmap=_COLOURS, vmin=0, vmax=end or 1.0, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, extend="max", shrink=0.9)
    bar.set_label(f"residual ({result.unit})", fontsize=LABEL_PT)
    bar.ax.tick_params(labelsize=TICK_PT)
    _draw_rejected(axes, result, order)
    _format(axes, result, order)
    return figure


def _matrix(result: SeriesResult, order: Sequence[int]) -> NDArray[np.float64]:
    """(D, D) symmetric residuals in the order of display; NaN without a measured pair."""
    ranks = {index: rank for rank, index in enumerate(order)}
    values = np.full((len(order), len(order)), np.nan)
    for row in result.pairs:
        if row.residual_m is not None:
            one, other = ranks[row.reference], ranks[row.target]
            values[one, other] = values[other, one] = row.residual_m
    return values


def _planned(result: SeriesResult, order: Sequence[int]) -> NDArray[np.bool_]:
    ranks = {index: rank for rank, index in enumerate(order)}
    planned = np.zeros((len(order), len(order)), np.bool_)
    for row in result.pairs:
        one, other = ranks[row.reference], ranks[row.target]
        planned[one, other] = planned[other, one] = True
    return planned


def _draw_rejected(axes: Axes, result: SeriesResult, order: Sequence[int]) -> None:
    ranks = {index: rank for rank, index in enumerate(order)}
    places = [(ranks[row.reference], ranks[row.target]) for row in result.pairs if row.status == "rejected"]
    if not places:
        return
    x, y = np.array([*places, *(place[::-1] for place in places)], float).T
    size = float(np.clip(240 / len(order), 1.5, 16))
    width = min(2.5, size / 2)
    axes.plot(x, y, "x", color="white", ms=size + 1, mew=1.8 * width, ls="")
    axes.plot(x, y, "x", color=VERMILION, ms=size, mew=width, ls="", label=f"rejected ({len(places)})")
    axes.figure.legend(loc="outside lower center", frameon=False, fontsize=TICK_PT)


def _format(axes: Axes, result: SeriesResult, order: Sequence[int]) -> None:
    for border in tile_borders(result, order):
        axes.axvline(border, color="0.6", lw=1.2, ls=(0, (4, 3)))
        axes.axhline(border, color="0.6", lw=1.2, ls=(0, (4, 3)))
    label_axes(axes, "", "")
    label_images(axes.xaxis, result, order, tiles=False)
    label_images(axes.yaxis, result, order)
