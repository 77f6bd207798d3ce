"""Shifts of a series over time, with error bars."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from s2match.outputs.figures.style import LABEL_PT, TICK_PT, label_axes, new_figure
from s2match.outputs.series.layout import FIGURE_IN, groups_of, say_empty
from s2match.outputs.series.statistics import Placements, placements
from s2match.outputs.series.wording import axis_names
from s2match.registration.verdict import NORMAL_975
from s2match.timeseries.result import SeriesResult

_MISSING = "not placed"

# Room for the crosses below the shifts, in heights of the panel.
_MARGIN = 0.12

# More markers than this are drawn smaller.
_MANY = 40


def plot_series_shifts(result: SeriesResult) -> Figure:
    """Both components of the shift of each placed image over time, with bars of 95 %.

    Colours are those of platform and orbit, or of the tile. Images that are not placed are crosses on the axis. Images
    without a date are left out. If these are more than half, the axis has indexes of the images instead of dates.
    """
    figure = new_figure(*FIGURE_IN)
    placed = placements(result)
    if not len(placed.indexes):
        say_empty(figure.subplots(), "no image is placed")
        return figure
    panels = figure.subplots(2, 1, sharex=True)
    times = _times(result)
    for component, (axes, name) in enumerate(zip(panels, axis_names(result.unit), strict=True)):
        _draw_component(axes, result, placed, component, times)
        label_axes(axes, "", f"shift {name} ({result.unit})")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        _mark_missing(axes, result, placed, times)
        if result.unit != "px":
            _add_pixels(axes, result.pixel)
    _format_times(panels[1], result)
    names, handles = _legend(panels[0])
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=TICK_PT)
    return figure


def _draw_component(
    axes: Axes, result: SeriesResult, placed: Placements, component: int, times: NDArray[np.generic]
) -> None:
    axes.axhline(0, color="0.6", lw=1.0)
    size = 9 if len(placed.indexes) <= _MANY else 6
    for group in groups_of(result):
        rows = np.isin(placed.indexes, group.indexes)
        if not rows.any():
            continue
        axes.errorbar(
            times[placed.indexes[rows]],
            placed.shifts[rows, component],
            NORMAL_975 * placed.std[rows, component],
            fmt=group.marker,
            color=group.colour,
            mec="white",
            mew=0.8,
            ms=size,
            elinewidth=1.8,
            capsize=3,
            zorder=3,
            label=group.name or "placed",
        )


def _mark_missing(axes: Axes, result: SeriesResult, placed: Placements, times: NDArray[np.generic]) -> None:
    """Crosses at the lower edge for the images that are not placed."""
    missing = np.setdiff1d(np.arange(len(result.images)), placed.indexes)
    if len(missing):
        low, high = axes.get_ylim()
        axes.set_ylim(low - _MARGIN * (high - low), high)
        axes.plot(
            times[missing],
            np.full(len(missing), 0.04),
            "x",
            transform=axes.get_xaxis_transform(),
            color="0.35",
            ms=8,
            mew=2,
            label=_MISSING,
        )


def _add_pixels(axes: Axes, pixel: float) -> None:
    right = axes.secondary_yaxis(
        "right",
        functions=(lambda length: np.divide(length, pixel), lambda pixels: np.multiply(pixels, pixel)),
    )
    right.set_ylabel("px", fontsize=LABEL_PT)
    right.tick_params(labelsize=TICK_PT)


def _times(result: SeriesResult) -> NDArray[np.generic]:
    """(D,) sensing times, NaT where unknown; indexes of the images if more than half are unknown."""
    if _undated(result) > len(result.images) / 2:
        return np.arange(len(result.images))
    return np.array([image.sensed for image in result.images], "datetime64[s]")


def _undated(result: SeriesResult) -> int:
    """Number of images whose sensing time is unknown."""
    return sum(image.sensed is None for image in result.images)


def _format_times(axes: Axes, result: SeriesResult) -> None:
    if np.issubdtype(_times(result).dtype, np.datetime64):
        # steps of months are 6 at most, which is too short above 3 years; there, 3 ticks of years are enough
        locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.xaxis.get_offset_text().set_fontsize(TICK_PT)
        undated = _undated(result)
        more = f"; {undated} without a date not drawn" if undated else ""
        label_axes(axes, f"sensing date (UTC){more}", axes.get_ylabel())
    else:
        label_axes(axes, "index of the image", axes.get_ylabel())
    axes.tick_params(labelsize=TICK_PT)


def _legend(axes: Axes) -> tuple[list[str], list[Artist]]:
    """Names and handles of the legend; none if there is a single group and no image is missing."""
    handles, names = axes.get_legend_handles_labels()
    # error bars come last in the list, though they are drawn first
    last = sorted(range(len(names)), key=lambda position: names[position] == _MISSING)
    return ([names[k] for k in last], [handles[k] for k in last]) if len(names) > 1 else ([], [])
