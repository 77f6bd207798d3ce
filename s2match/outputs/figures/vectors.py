"""Residuals of the model as arrows on the reference."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.ground_axes import ground_axes, pixel_m
from s2match.outputs.figures.style import (
    BLUE,
    LABEL_PT,
    TITLE_PT,
    VERMILION,
    label_axes,
    nearest_to_centres,
    new_figure,
    pair_title,
    rounded,
    stretched,
)
from s2match.result import PairResult

# Cells along the longer side of the reference; each has at most one arrow.
_CELLS = 26


def plot_vectors(result: PairResult) -> Figure:
    """Residuals of the inliers as exaggerated arrows, thinned evenly, with a key.

    An arrow points from the position by the model to the position in the target.

    Args:
        result: A registered pair.
    """
    registration = result.registration
    assert registration is not None, "residuals need a registration"
    width, height = result.reference.size
    cell_px = max(width, height) / _CELLS
    inliers = result.matches.subset(registration.inliers)
    chosen = np.zeros(len(inliers), np.bool_)
    chosen[nearest_to_centres(inliers.xy0, cell_px)] = True
    drawn = inliers.subset(chosen)
    residual_px = drawn.xy1 - registration.apply(drawn.xy0)
    figure = new_figure(10, 9 * height / width + 1.9)
    axes = figure.subplots()
    axes.imshow(_pale(stretched(result.previews[0])), extent=(0, width, height, 0))
    length_px = np.linalg.norm(residual_px, axis=1)
    key_px = rounded(float(np.percentile(length_px, 90)))
    exaggeration = rounded(1.2 * cell_px / max(float(np.percentile(length_px, 90)), 1e-3))
    _draw_arrows(axes, drawn.xy0, residual_px * exaggeration)
    label = f"{key_px:g} px"
    if result.target.georeferenced:
        label += f" = {key_px * pixel_m(result.target):.4g} {ground_axes(result.target).unit}"
    _draw_key(axes, key_px * exaggeration / width, f"{label}, exaggerated {exaggeration:g}×")
    axes.set(xlim=(0, width), ylim=(height, 0))
    label_axes(axes, "column of the reference (px)", "row of the reference (px)")
    title = f"{pair_title(result)}\nresiduals of the {registration.model}: {len(drawn)} of {len(inliers)} inliers"
    figure.suptitle(title, fontsize=TITLE_PT, parse_math=False)
    return figure


def _draw_arrows(axes: Axes, xy: NDArray[np.float64], arrow: NDArray[np.float64]) -> None:
    head: dict[str, Any] = {"headwidth": 4.5, "headlength": 5.0, "headaxislength": 4.5, "minlength": 0.3}
    axes.quiver(*xy.T, *arrow.T, angles="xy", scale_units="xy", scale=1.0, color=BLUE, width=0.0026, **head)


def _draw_key(axes: Axes, length: float, label: str) -> None:
    """Draw an arrow above the axes, its length a fraction of their width."""
    above = 1.025
    arrow: dict[str, Any] = {"arrowstyle": "-|>,head_width=0.35,head_length=0.7", "color": VERMILION, "lw": 2.4}
    arrow |= {"shrinkA": 0, "shrinkB": 0}
    frame = axes.transAxes
    axes.annotate("", (length, above), (0.0, above), xycoords=frame, textcoords=frame, arrowprops=arrow)
    axes.text(length + 0.015, above, label, transform=frame, va="center", fontsize=LABEL_PT)


def _pale(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pale grey image, so that arrows stand out."""
    grey = 165 + image @ np.array([0.299, 0.587, 0.114]) * (90 / 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
