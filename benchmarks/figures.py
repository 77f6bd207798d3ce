"""Figures from the JSON of :mod:`benchmarks.accuracy`."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.scoring import CONFIDENCE_STEPS, WITHIN_PX
from benchmarks.tables import Run, has_confidence, scores_of

# Okabe and Ito's colours, which colour-blind readers tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_LEAST_IN_BIN = 30


def plot_accuracy(result: dict[str, Any]) -> Figure:
    """Shares of matches within an error, and how often matches of a confidence are right, off the grid.

    All offsets but that of aligned images are pooled, which would flatter LoFTR.
    """
    figure = Figure(figsize=(13, 5.2), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    runs: dict[str, list[Run]] = {}
    for run in result["runs"]:
        if any(run["offset_px"]) and any(s.matches for s in scores_of(run)):
            runs.setdefault(run["matcher"], []).append(run)
    for (name, some), colour in zip(runs.items(), _COLOURS, strict=False):
        _draw_curve(left, name, some, colour)
        if has_confidence(some[0]):
            _draw_reliability(right, name, some, colour)
    left.set(
        xlabel="error (px)", ylabel="share of all matches", xscale="log", ylim=(0, 1), title="How exact matches are"
    )
    left.set_xticks(WITHIN_PX, [f"{limit:g}" for limit in WITHIN_PX])
    left.minorticks_off()
    right.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="calibrated")
    right.set(
        xlabel="confidence", ylabel="share within 1.5 px", ylim=(0, 1), xlim=(0, 1), title="What confidence means"
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize=12)
    return figure


def _draw_curve(axes: Axes, name: str, runs: list[Run], colour: str) -> None:
    within = np.sum([s.within for run in runs for s in scores_of(run)], axis=0)
    count = sum(s.matches for run in runs for s in scores_of(run))
    axes.plot(WITHIN_PX, within / count, marker="o", color=colour, label=f"{name} ({count} matches)")


def _draw_reliability(axes: Axes, name: str, runs: list[Run], colour: str) -> None:
    found, right = np.sum([s.by_confidence for run in runs for s in scores_of(run)], axis=0)
    enough = found >= _LEAST_IN_BIN
    middle = (np.array(CONFIDENCE_STEPS[1:]) + CONFIDENCE_STEPS[:-1]) / 2
    axes.plot(middle[enough], right[enough] / found[enough], marker="o", color=colour, label=name)
