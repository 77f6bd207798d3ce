"""Histogram of the closure of triangles."""

import numpy as np
from matplotlib.figure import Figure

from s2match.outputs.figures.style import GREEN, TICK_PT, VERMILION, label_axes, new_figure
from s2match.outputs.series.layout import FIGURE_IN, say_empty
from s2match.outputs.series.statistics import closure_lengths
from s2match.outputs.series.wording import length_text, number_text
from s2match.timeseries.result import SeriesResult

# The axis ends at this quantile of the closures times the factor; longer ones are counted in the label.
_SHOWN, _MARGIN = 0.98, 1.25

_FEWEST_BINS, _MOST_BINS = 6, 30

# Pale, so that the lines stand out.
_BAR = "#a9cfe8"


def plot_closure(result: SeriesResult) -> Figure:
    """Histogram of the closure of all triangles, with the median and the length that 90 % do not exceed."""
    figure = new_figure(*FIGURE_IN)
    axes = figure.subplots()
    lengths = result.closure.lengths
    statistics = closure_lengths(result)
    if not statistics.count:
        say_empty(axes, "there is no triangle of measured pairs")
        return figure
    end = max(_MARGIN * float(np.quantile(lengths, _SHOWN)), 1e-9)
    bins = int(np.clip(np.sqrt(len(lengths)), _FEWEST_BINS, _MOST_BINS))
    axes.hist(lengths, bins=bins, range=(0, end), color=_BAR, ec="white", lw=0.8)
    for value, name, colour, style in (
        (statistics.median, "median", GREEN, "-"),
        (statistics.p90, "90 %", VERMILION, (0, (4, 2))),
    ):
        axes.axvline(value, color=colour, lw=3, ls=style, label=f"{name} {length_text(value, result)}")
    beyond = int((lengths > end).sum())
    verb = "is" if beyond == 1 else "are"
    more = f"; {beyond} of {len(lengths)} {verb} longer than {number_text(end, result)} {result.unit}" if beyond else ""
    label_axes(axes, f"length of the closure ({result.unit}){more}", f"number of the {len(lengths)} triangles")
    axes.set_xlim(0, end)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=TICK_PT)
    return figure
