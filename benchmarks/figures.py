"""Figures of accuracy, series and times, from the JSON of the benchmarks."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.scoring import CONFIDENCE_STEPS, WITHIN_PX
from benchmarks.tables import Run, has_confidence, scores_of

# Colours of Okabe and Ito, for colour-blind readers.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_LEAST_IN_BIN = 30
# Stages that take less of every command are not drawn apart.
_LEAST_SHARE = 0.04


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


def plot_series(result: dict[str, Any]) -> Figure:
    """Shifts of real dates with their errors, closure, and the scatter over time before and after the correction."""
    figure = Figure(figsize=(15, 4.8), dpi=150, layout="constrained")
    shifts, closure, scatter = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    dates = result["ukraine"]["dates"]
    for tile, colour in zip(sorted({date[1] for date in dates}), _COLOURS, strict=False):
        own = [date for date in dates if date[1] == tile]
        # the years between have no image: the order of the dates, not their time
        position = [k for k, date in enumerate(dates) if date[1] == tile]
        error = 1.96 * np.array([date[5] for date in own])
        north = -np.array([date[3] for date in own])
        shifts.errorbar(position, north, error, fmt="o", color=colour, label=tile, markersize=4, elinewidth=1)
    ticks = range(0, len(dates), max(1, len(dates) // 8))
    shifts.set_xticks(list(ticks), [dates[k][0] for k in ticks], rotation=35, ha="right")
    shifts.axhline(0, color="0.4", linewidth=1)
    shifts.set(ylabel="shift to the north (px, with 95 %)", title="50 dates whose georeference is right")
    shifts.legend(fontsize=11)
    lengths = np.array(result["slovenia"]["closures_px"])
    closure.hist(lengths, bins=np.linspace(0, max(0.3, lengths.max()), 30), color=_COLOURS[0], alpha=0.6)
    for value, text, colour in zip(
        np.quantile(lengths, [0.5, 0.9]), ("median", "90 %"), (_COLOURS[2], _COLOURS[1]), strict=True
    ):
        closure.axvline(value, color=colour, linewidth=2, label=f"{text}: {value:.2f} px")
    closure.set(xlabel="closure (px)", ylabel="triangles", title="68 dates off by up to 2 px")
    closure.legend(fontsize=11)
    before, after = result["slovenia"]["scatter_quantiles"]
    share = np.linspace(2, 98, len(before))
    for values, text, colour in ((before, "as delivered", _COLOURS[1]), (after, "corrected", _COLOURS[0])):
        scatter.plot(values, share, color=colour, label=text)
    scatter.set(
        xlabel="standard deviation over time (NDVI)", ylabel="pixels below (%)", title="Scatter of the same 68 dates"
    )
    scatter.legend(loc="lower right", fontsize=11)
    for axes in (shifts, closure, scatter):
        axes.grid(alpha=0.3)
    return figure


def plot_stages(result: dict[str, Any]) -> Figure:
    """Bars of the time of commands, divided into stages; those that take little are drawn together."""
    cases = [case for case in result["cases"] if case["seconds"] > 0]
    figure = Figure(figsize=(13, 1.2 + 0.55 * len(cases)), dpi=150, layout="constrained")
    axes = figure.subplots()
    names = list(cases[0]["stages_s"])
    shares = {name: np.array([case["stages_s"][name] / case["seconds"] for case in cases]) for name in names}
    shown = [name for name in names if shares[name].max() >= _LEAST_SHARE]
    rest = sum((shares[name] for name in names if name not in shown), np.zeros(len(cases)))
    left = np.zeros(len(cases))
    colours = colormaps["tab20"](np.linspace(0, 1, len(shown) + 1))
    for (name, share), colour in zip([*((name, shares[name]) for name in shown), ("rest", rest)], colours, strict=True):
        axes.barh(range(len(cases)), 100 * share, left=100 * left, color=colour, label=name)
        left += share
    axes.set_yticks(range(len(cases)), [f"{case['name']}: {case['seconds']:.1f} s" for case in cases], fontsize=11)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="share of the time (%)")
    axes.legend(ncols=7, fontsize=10, loc="lower center", bbox_to_anchor=(0.4, 1.0), frameon=False)
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
