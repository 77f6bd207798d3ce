"""Where the model leaves how much over, as arrows on the reference."""

import math

import numpy as np
from matplotlib.figure import Figure

from s2match.figures.style import (
    BLUE,
    LABEL_PT,
    TICK_PT,
    TITLE_PT,
    VERMILION,
    label_axes,
    new_figure,
    pair_title,
    stretched,
)
from s2match.georeference import georeferenced, pixel_sides_m
from s2match.results import PairResult
from s2match.thinning import thin

_MOST_ARROWS = 600


def plot_vectors(result: PairResult) -> Figure:
    """Residuals of inliers, thinned evenly and exaggerated, with an arrow of stated length.

    An arrow points from where the model puts the feature in the target to where the target shows it.

    Args:
        result: A registered pair.
    """
    registration = result.registration
    assert registration is not None, "residuals need a registration"
    inliers = thin(result.matches.of(registration.inliers), _MOST_ARROWS)
    residual_px = inliers.xy1 - registration.apply(inliers.xy0)
    width, height = result.reference.size
    figure = new_figure(10.4, 10.4 * height / width + 1.6)
    axes = figure.subplots()
    axes.imshow(_pale(stretched(result.shown[0])), extent=(0, width, height, 0))
    key_px = _round(float(np.percentile(np.linalg.norm(residual_px, axis=1), 75)))
    exaggeration = _round(0.8 * math.sqrt(width * height / _MOST_ARROWS) / key_px)
    arrows = axes.quiver(
        *inliers.xy0.T,
        *residual_px.T,
        angles="xy",
        scale_units="xy",
        scale=1 / exaggeration,
        color=BLUE,
        width=0.0022,
        headwidth=4.5,
        headlength=5,
        headaxislength=4.5,
        minlength=0.3,
    )
    told = f"{key_px:g} px"
    if georeferenced(result.target):
        told += f" ({key_px * math.sqrt(math.prod(pixel_sides_m(result.target, result.target.transform))):.2g} m)"
    key = axes.quiverkey(
        arrows, 0.02, 1.035, key_px, f"{told}, exaggerated {exaggeration:g}×", labelpos="E", color=VERMILION
    )
    key.text.set_fontsize(LABEL_PT)
    axes.text(
        1.0,
        1.035,
        f"{len(inliers)} of {registration.inliers.sum()} inliers",
        transform=axes.transAxes,
        ha="right",
        va="center",
        fontsize=TICK_PT,
    )
    axes.set(xlim=(0, width), ylim=(height, 0))
    label_axes(axes, "column of the reference (px)", "row of the reference (px)")
    figure.suptitle(
        f"{pair_title(result)}  ·  residuals of the {registration.model}", fontsize=TITLE_PT, parse_math=False
    )
    return figure


def _pale(image: np.ndarray) -> np.ndarray:
    """Grey and light, so that arrows stand out."""
    grey = image @ np.array([0.299, 0.587, 0.114])
    return np.repeat((150 + grey * (105 / 255)).astype(np.uint8)[..., None], 3, axis=2)


def _round(value: float) -> float:
    """The nearest of 1, 2 and 5 times a power of ten."""
    if value <= 0:
        return 0.1
    power = 10.0 ** math.floor(math.log10(value))
    return min((step * power for step in (1, 2, 5, 10)), key=lambda rounded: abs(math.log(rounded / value)))
