"""Draw a profile: means in bins of columns or rows."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.matches import Matches
from s2match.outputs.figures.style import BLUE, TICK_PT, VERMILION
from s2match.registration.residual_profiles import Profile

# Colour, marker and offset in bin widths of each component; the offsets keep them from hiding each other.
MARKS = ((BLUE, "o", -0.1), (VERMILION, "s", 0.1))


def extent_of(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 2) lowest and highest (x, y) of points (N, 2), at least a pixel apart."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    return np.stack([low, np.maximum(high, low + 1)])


def explain_bars(figure: Figure, matches: Matches) -> None:
    """Say below a figure of profiles why the means scatter less than the bars, where they do."""
    if matches.raw_residual_px is None:
        return
    scatter = "The bars contain the scatter of single points as the network found them."
    figure.supxlabel(f"{scatter} They were then averaged or refined: means scatter less.", fontsize=TICK_PT)


def draw_profile(axes: Axes, profile: Profile, names: tuple[str, str]) -> None:
    """Draw the means of both components of a vector, with error bars of 2 standard errors.

    Args:
        axes: The axes to draw on.
        profile: The means and standard errors.
        names: Names of the components for the legend.
    """
    middle, width = (profile.edges_px[1:] + profile.edges_px[:-1]) / 2, np.diff(profile.edges_px).mean()
    axes.axhline(0, color="0.6", lw=1.0)
    for axis, (name, (colour, marker, offset)) in enumerate(zip(names, MARKS, strict=True)):
        axes.errorbar(
            middle + offset * width,
            profile.mean[:, axis],
            2 * profile.error[:, axis],
            fmt=marker,
            ls="-",
            color=colour,
            mec="white",
            mew=0.8,
            lw=2.0,
            ms=9,
            capsize=4,
            zorder=3,
            label=name,
        )
    axes.set_xlim(profile.edges_px[0], profile.edges_px[-1])
