"""Figure of the accuracy, from the JSON of :mod:`benchmarks.accuracy`."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.scoring import CONFIDENCE_STEPS, WITHIN_PX
from benchmarks.tables import Run, has_confidence, scores_of

# Colours of Okabe and Ito, for colour-blind readers.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_LEAST_IN_BIN = 30


def plot_accuracy(result: dict[str, Any]) -> Figure:
    """Share of matches within an error, and share of correct matches by confidence.

    All offsets are pooled except that of aligned images, which favours LoFTR.
    """
    figure = Figure(figsize=(13, 5.2), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    runs: dict[str, list[Run]] = {}
    for run in result["runs"]:
        if any(run["offset_px"]) and any(s.matches for s in scores_of(run)):
            runs.setdefault(run["matcher"], []).append(run)
    for (name, method_runs), colour in zip(runs.items(), _COLOURS, strict=False):
        _draw_curve(left, name, method_runs, colour)
        if has_confidence(method_runs[0]):
            _draw_reliability(right, name, method_runs, colour)
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
    matches, right = np.sum([s.by_confidence for run in runs for s in scores_of(run)], axis=0)
    enough = matches >= _LEAST_IN_BIN
    middle = (np.array(CONFIDENCE_STEPS[1:]) + CONFIDENCE_STEPS[:-1]) / 2
    axes.plot(middle[enough], right[enough] / matches[enough], marker="o", color=colour, label=name)
