"""Error and share of correct matches by confidence, with the georeference as ground truth."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.georeference import predict
from s2match.core.ground_errors import GroundErrors
from s2match.outputs.figures.style import (
    BLUE,
    GREEN,
    MAX_DOTS,
    TITLE_PT,
    VERMILION,
    label_axes,
    legend_above,
    new_figure,
    pair_title,
    spread,
)
from s2match.result import PairResult

_BANDS = 8
# Bands with fewer matches are left out.
_FEWEST = 20

# Upper end of the axis; higher confidences are drawn there.
_HIGHEST = 0.9999
_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999)

# Largest error of a correct match, in pixels of the target at the matched size.
CORRECT_PX = 1.5


def plot_confidence(result: PairResult) -> Figure:
    """Distance from the georeference by confidence, and share of correct matches by confidence.

    Args:
        result: A pair of georeferenced images with matches; the georeference is taken as ground truth.
    """
    errors, matches = result.errors, result.matches
    assert errors is not None and len(errors.finite.east_m), "errors need matches and two georeferenced images"
    finite = np.asarray(np.isfinite(errors.distance_m))
    matches, errors = matches.subset(finite), errors.subset(finite)
    error_px = np.linalg.norm(predict(matches.xy0, result.reference, result.target) - matches.xy1, axis=1)
    bands = _bands(matches.confidence)
    figure = new_figure(13, 6.2)
    left, right = figure.subplots(1, 2)
    _draw_errors(left, matches.confidence, errors, bands)
    _draw_shares(right, matches.confidence, error_px <= CORRECT_PX, bands)
    for axes in (left, right):
        _label_confidence(axes, matches.confidence)
    title = f"{pair_title(result)}  ·  all {len(matches)} matches"
    figure.suptitle(title, fontsize=TITLE_PT, parse_math=False)
    return figure


def _axis_position(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position of confidences on the axis, -log10(1 - confidence)."""
    return -np.log10(1 - np.clip(confidence, 0, _HIGHEST))


def _bands(confidence: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Indices of the matches in each confidence interval, from the lowest interval on."""
    position = _axis_position(confidence)
    edges = np.linspace(position.min(), position.max(), _BANDS + 1)
    band = np.clip(np.searchsorted(edges, position, side="right") - 1, 0, _BANDS - 1)
    members = [np.flatnonzero(band == index) for index in range(_BANDS)]
    return [indices for indices in members if len(indices) >= _FEWEST]


def _label_confidence(axes: Axes, confidence: NDArray[np.float64]) -> None:
    low, high = _axis_position(confidence).min(), _axis_position(confidence).max()
    margin = max(0.04 * (high - low), 0.02)
    ticks = [tick for tick in _TICKS if low - margin <= _axis_position(np.array(tick)) <= high + margin]
    axes.set_xticks(_axis_position(np.array(ticks)), [f"{tick:g}" for tick in ticks])
    axes.set_xlim(low - margin, high + margin)


def _draw_errors(
    axes: Axes, confidence: NDArray[np.float64], errors: GroundErrors, bands: list[NDArray[np.int64]]
) -> None:
    distance_m = errors.distance_m
    drawn = spread(len(confidence), MAX_DOTS)
    alpha = float(np.clip(1500 / drawn.sum(), 0.1, 0.5))
    axes.scatter(_axis_position(confidence[drawn]), distance_m[drawn], s=9, color="0.4", alpha=alpha, lw=0)
    middle = [float(_axis_position(confidence[band]).mean()) for band in bands]
    lines = ((90, VERMILION, "s", "90 % lie below"), (50, BLUE, "o", "50 % lie below"))
    top = float(np.percentile(distance_m, 98))
    for percent, colour, marker, name in lines:
        line = [float(np.percentile(distance_m[band], percent)) for band in bands]
        axes.plot(middle, line, marker=marker, color=colour, lw=2.2, ms=9, mec="white", mew=0.8, label=name)
        top = max([top, *line])
    axes.set_ylim(0, 1.15 * top or 1.0)
    legend_above(axes)
    label_axes(axes, "confidence (0 to 1)", f"distance from the georeference ({errors.axes.unit})")


def _draw_shares(
    axes: Axes, confidence: NDArray[np.float64], correct: NDArray[np.bool_], bands: list[NDArray[np.int64]]
) -> None:
    middle = [float(_axis_position(confidence[band]).mean()) for band in bands]
    share = np.array([correct[band].mean() for band in bands])
    error = 2 * np.sqrt(share * (1 - share) / [len(band) for band in bands])
    expected = np.sort(confidence)[:: max(1, len(confidence) // 500)]
    axes.plot(_axis_position(expected), 100 * expected, color="0.45", lw=2.0, ls=(0, (5, 3)), label="the confidence")
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
        label="correct, 2 standard errors",
    )
    lowest = 100 * min([float(expected[0]), *(share - error)])
    axes.set_ylim(max(0.0, lowest - 3), 100 + 0.04 * (100 - lowest) + 0.3)
    legend_above(axes)
    label_axes(axes, "confidence (0 to 1)", f"within {CORRECT_PX:g} px of the georeference (%)")
