"""The pair graph of a series."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from s2match.outputs.figures.style import BLUE, ORANGE, TICK_PT, VERMILION, label_axes, new_figure
from s2match.outputs.series.layout import (
    FIGURE_IN,
    display_order,
    label_images,
    say_empty,
    tile_borders,
)
from s2match.outputs.series.statistics import PAIR_STATUSES, pair_counts
from s2match.timeseries.result import SeriesResult
from s2match.timeseries.rows import DateStatus, PairRow

# Points of the half ellipse of a pair.
_ARC = np.linspace(0, np.pi, 41)

# Direction, colour and line style of the arcs of each status.
_ARCS = {
    "kept": (1, BLUE, "-"),
    "rejected": (-1, VERMILION, "-"),
    "no_evidence": (-1, "0.55", (0, (3, 2))),
    "failed": (-1, ORANGE, (0, (1, 1.5))),
}
_ARC_NAMES = {"kept": "kept", "rejected": "rejected", "no_evidence": "no evidence", "failed": "failed"}

# Marker, face colour and name of an image of each status.
_DOTS = {
    DateStatus.PLACED: ("o", "black", "placed"),
    DateStatus.SEPARATE: ("s", ORANGE, "separate"),
    DateStatus.NOT_SEEN: ("o", "white", "not seen"),
    DateStatus.UNREADABLE: ("X", VERMILION, "unreadable"),
}

# Lines become thinner with the number of pairs.
_WIDEST_PT, _NARROWEST_PT, _PAIRS_OF_A_POINT = 2.4, 0.8, 90.0

# Lines of more pairs are more transparent.
_PAIRS_OF_FULL_COLOUR = 250.0


def plot_pair_graph(result: SeriesResult) -> Figure:
    """All pairs as arcs between the images: kept ones above the images, all others below."""
    figure = new_figure(*FIGURE_IN)
    axes = figure.subplots()
    order = display_order(result)
    if not order:
        say_empty(axes, "there are no images")
        return figure
    ranks = {index: rank for rank, index in enumerate(order)}
    counts = pair_counts(result)
    width = float(np.clip(_PAIRS_OF_A_POINT / max(len(result.pairs), 1), _NARROWEST_PT, _WIDEST_PT))
    alpha = float(np.clip(_PAIRS_OF_FULL_COLOUR / max(len(result.pairs), 1), 0.15, 0.7))
    for status in PAIR_STATUSES:
        rows = [row for row in result.pairs if row.status == status]
        if rows:
            _, colour, style = _ARCS[status]
            arcs = LineCollection(_arcs(rows, ranks), colors=colour, linestyles=[style], linewidths=width, alpha=alpha)
            arcs.set_label(f"{_ARC_NAMES[status]} ({counts[status]})")
            axes.add_collection(arcs)
    _draw_images(axes, result, order)
    _format(axes, result, order)
    legend = figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=TICK_PT)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
    return figure


def _arcs(rows: Sequence[PairRow], ranks: Mapping[int, int]) -> list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Half ellipses between the ranks of the images; the height grows with the square root of the width."""
    arcs = []
    for row in rows:
        left, right = sorted((ranks[row.reference], ranks[row.target]))
        height = _ARCS[row.status][0] * np.sqrt(right - left)
        x = (left + right) / 2 + (right - left) / 2 * np.cos(_ARC)
        arcs.append(np.stack([x, height * np.sin(_ARC)], axis=1))
    return arcs


def _draw_images(axes: Axes, result: SeriesResult, order: Sequence[int]) -> None:
    size = float(np.clip(260 / len(order), 5, 11))
    for status, (marker, colour, name) in _DOTS.items():
        ranks = [rank for rank, index in enumerate(order) if result.dates[index].status is status]
        if ranks:
            axes.plot(
                ranks,
                np.zeros(len(ranks)),
                marker,
                color=colour,
                mec="black",
                mew=1.2,
                ms=size,
                zorder=4,
                ls="",
                label=f"{name} ({len(ranks)})",
            )


def _format(axes: Axes, result: SeriesResult, order: Sequence[int]) -> None:
    for border in tile_borders(result, order):
        axes.axvline(border, color="0.75", lw=1.2, ls=(0, (4, 3)), zorder=0)
    axes.set_xlim(-0.8, len(order) - 0.2)
    axes.autoscale_view(scalex=False)
    axes.margins(y=0.06)
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    label_axes(axes, "images by tile and date", "pairs: kept above, others below")
    label_images(axes.xaxis, result, order)
