"""Whether sure matches are right matches, where the georeference knows."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.figures.style import (
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
from s2match.georeference import predict
from s2match.results import PairResult

# Bands of equally many matches.
_BANDS = 10

# What counts as right, matched pixels of the target.
RIGHT_PX = 1.5


def plot_confidence(result: PairResult) -> Figure:
    """Distance from the georeference against confidence, and what share of the matches is right.

    Args:
        result: A pair of georeferenced images with matches, whose georeference is the truth.
    """
    errors, matches = result.errors, result.matches
    assert errors is not None and len(matches), "errors in metres need matches and two georeferenced images"
    off_px = np.linalg.norm(predict(matches.xy0, result.reference, result.target) - matches.xy1, axis=1)
    bands = _bands(matches.confidence)
    figure = new_figure(13, 6)
    left, right = figure.subplots(1, 2)
    _draw_errors(left, matches.confidence, errors.distance_m, bands)
    _draw_shares(right, matches.confidence, off_px <= RIGHT_PX, bands)
    for axes in (left, right):
        axes.set_xlim(min(matches.origin.confidence, 0.99), 1.0)
    title = f"{pair_title(result)}  ·  all {len(matches)} matches"
    figure.suptitle(title, fontsize=TITLE_PT, parse_math=False)
    return figure


def _bands(confidence: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Indices of the matches of each band, from the least sure."""
    order = np.argsort(confidence, kind="stable")
    return [band for band in np.array_split(order, _BANDS) if len(band)]


def _draw_errors(
    axes: Axes, confidence: NDArray[np.float64], distance_m: NDArray[np.float64], bands: list[NDArray[np.int64]]
) -> None:
    drawn = spread(len(confidence), MAX_DOTS)
    alpha = float(np.clip(1000 / drawn.sum(), 0.06, 0.5))
    axes.scatter(confidence[drawn], distance_m[drawn], s=9, color="0.35", alpha=alpha, lw=0)
    middle = [float(np.median(confidence[band])) for band in bands]
    for percent, colour, marker, name in (
        (90, VERMILION, "s", "nine of ten are below"),
        (50, BLUE, "o", "half are below"),
    ):
        line = [float(np.percentile(distance_m[band], percent)) for band in bands]
        axes.plot(middle, line, marker=marker, color=colour, lw=2.2, ms=9, mec="white", mew=0.8, label=name)
    axes.set_ylim(0, 1.25 * float(np.percentile(distance_m, 98)) or 1.0)
    axes.legend(fontsize=TICK_PT, loc="upper right", framealpha=0.9)
    label_axes(axes, "confidence", "distance from the georeference (m)")


def _draw_shares(
    axes: Axes, confidence: NDArray[np.float64], right: NDArray[np.bool_], bands: list[NDArray[np.int64]]
) -> None:
    middle = [float(confidence[band].mean()) for band in bands]
    share = np.array([right[band].mean() for band in bands])
    error = 2 * np.sqrt(share * (1 - share) / [len(band) for band in bands])
    axes.plot([0, 1], [0, 100], color="0.5", lw=1.6, ls=(0, (5, 3)), label="as confident as right")
    axes.errorbar(
        middle,
        100 * share,
        100 * error,
        fmt="o-",
        color=GREEN,
        lw=2.2,
        ms=9,
        mec="white",
        mew=0.8,
        capsize=4,
        label="measured, 2 standard errors",
    )
    lowest = min(100 * float((share - error).min()), 100 * min(middle))
    axes.set_ylim(max(0.0, lowest - 5), 101)
    axes.legend(fontsize=TICK_PT, loc="lower right", framealpha=0.9)
    label_axes(axes, "confidence", f"matches within {RIGHT_PX:g} px of the georeference (%)")
