"""Histogram of the confidence of matches."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from s2match.core.matches import Matches
from s2match.outputs.figures.style import BLUE, LABEL_PT, ORANGE, TICK_PT, VERMILION, label_axes, new_figure

_BINS = 40
_COLOURS = (ORANGE, BLUE)


def plot_confidence_histogram(matches: Mapping[str, Matches], threshold: float) -> Figure:
    """Draw how many matches have which confidence, with the threshold, and the number above it in the legend.

    Args:
        matches: One or two sets of matches by their names.
        threshold: The confidence that a match must exceed.
    """
    figure = new_figure(11, 5.6)
    axes = figure.subplots()
    edges = np.linspace(0, 1, _BINS + 1).tolist()
    for (name, each), colour in zip(matches.items(), _COLOURS, strict=False):
        above = int((each.confidence > threshold).sum())
        label = f"{name}: {above} of {len(each)} above {threshold:g}"
        axes.hist(each.confidence, edges, histtype="stepfilled", color=colour, alpha=0.35)
        axes.hist(each.confidence, edges, histtype="step", color=colour, lw=2.2, label=label)
    axes.axvline(threshold, color=VERMILION, lw=2.4, ls=(0, (5, 3)), label=f"threshold {threshold:g}")
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    label_axes(axes, "confidence (0 to 1)", "matches")
    axes.legend(fontsize=TICK_PT, loc="upper left", framealpha=0.9)
    axes.set_title("Matches by confidence", fontsize=LABEL_PT, pad=8)
    return figure
