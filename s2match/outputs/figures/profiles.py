"""Draw means in bins of columns or rows."""

import numpy as np
from matplotlib.axes import Axes

from s2match.outputs.figures.style import BLUE, VERMILION
from s2match.registration.residual_profiles import Profile

# A marker each, and a step aside in widths of a bin, so that neither hides the other.
MARKS = ((BLUE, "o", -0.1), (VERMILION, "s", 0.1))


def draw_profile(axes: Axes, profile: Profile, names: tuple[str, str]) -> None:
    """Means and error bars, 2 standard errors long, of both components of a vector.

    Args:
        axes: Where to draw.
        profile: What to draw.
        names: Of the components, for a legend.
    """
    middle, width = (profile.edges_px[1:] + profile.edges_px[:-1]) / 2, np.diff(profile.edges_px).mean()
    axes.axhline(0, color="0.6", lw=1.0)
    for axis, (name, (colour, marker, aside)) in enumerate(zip(names, MARKS, strict=True)):
        axes.errorbar(
            middle + aside * width,
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
