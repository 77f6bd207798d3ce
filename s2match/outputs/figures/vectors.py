"""Residuals of the model, or shifts before and after a correction, as arrows on the reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.ground_axes import ground_axes, pixel_m
from s2match.core.raster import HasGrid, Raster
from s2match.correction.evaluation import Improvement
from s2match.outputs.figures.profiles import extent_of
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

# Cells along the longer side of the points; each has at most one arrow.
_CELLS = 26

# Margin around the points, relative to their longer side.
_MARGIN = 0.03


@dataclass(frozen=True)
class _Arrows:
    """Vectors to draw.

    Attributes:
        title: What they are.
        xy: (N, 2) where they begin, pixels of the reference.
        vector_px: (N, 2) their components in pixels of ``unit_of``.
        unit_of: Image whose pixels the components are in.
    """

    title: str
    xy: NDArray[np.float64]
    vector_px: NDArray[np.float64]
    unit_of: HasGrid


def plot_vectors(result: PairResult, improvement: Improvement | None = None) -> Figure:
    """Residuals of the inliers, or the shifts before and after a correction, as exaggerated arrows with a key.

    The arrows are thinned evenly. A residual points from the position by the model to the position in the target.

    Args:
        result: A registered pair.
        improvement: The shifts before and after a correction, drawn side by side; None: the residuals.
    """
    panels = _panels(result, improvement)
    extent = extent_of(np.concatenate([arrows.xy for arrows in panels]))
    margin = _MARGIN * float(np.ptp(extent, axis=0).max())
    low, high = np.maximum(extent[0] - margin, 0), np.minimum(extent[1] + margin, result.reference.size)
    width_in = 10.0 if len(panels) == 1 else 6.5
    figure = new_figure(width_in * len(panels), (width_in - 1) * float(np.divide(*(high - low)[::-1])) + 2.2)
    for axes, arrows in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        _draw(axes, arrows, result.previews[0], result.reference)
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
        label_axes(axes, "column of the reference (px)", "row of the reference (px)")
    figure.suptitle(pair_title(result), fontsize=TITLE_PT, parse_math=False)
    return figure


def _panels(result: PairResult, improvement: Improvement | None) -> list[_Arrows]:
    registration = result.registration
    assert registration is not None, "residuals need a registration"
    if improvement is not None:
        both = zip(("before", "after"), improvement.points, strict=True)
        panels = [
            _Arrows(f"{name}: shifts", points.matches.xy0, points.shift_px, result.reference)
            for name, points in both
            if points is not None
        ]
        if panels:
            return panels
    inliers = result.matches.subset(registration.inliers)
    residual_px = inliers.xy1 - registration.apply(inliers.xy0)
    return [_Arrows(f"residuals of the {registration.model}", inliers.xy0, residual_px, result.target)]


def _draw(axes: Axes, arrows: _Arrows, preview: Raster, reference: HasGrid) -> None:
    """Draw thinned arrows on the pale reference, their key above."""
    width, height = reference.size
    axes.imshow(_pale(stretched(preview)), extent=(0, width, height, 0))
    side = float(np.ptp(extent_of(arrows.xy), axis=0).max())
    cell_px = side / _CELLS
    drawn = nearest_to_centres(arrows.xy, cell_px)
    vectors = arrows.vector_px[drawn]
    long_px = float(np.percentile(np.linalg.norm(vectors, axis=1), 90))
    key_px, exaggeration = rounded(long_px), rounded(1.2 * cell_px / max(long_px, 1e-3))
    head: dict[str, Any] = {"headwidth": 4.5, "headlength": 5.0, "headaxislength": 4.5, "minlength": 0.3}
    axes.quiver(
        *arrows.xy[drawn].T,
        *(vectors * exaggeration).T,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        color=BLUE,
        width=0.0026,
        **head,
    )
    label = f"{key_px:g} px"
    if arrows.unit_of.georeferenced:
        label += f" = {key_px * pixel_m(arrows.unit_of):.4g} {ground_axes(arrows.unit_of).unit}"
    _draw_key(axes, key_px * exaggeration / side, f"{label}, exaggerated {exaggeration:g}×")
    axes.set_title(f"{arrows.title}, {len(drawn)} of {len(arrows.xy)} points", fontsize=LABEL_PT, pad=40)


def _draw_key(axes: Axes, length: float, label: str) -> None:
    """Draw an arrow above the axes, its length a fraction of their width."""
    above = 1.035
    arrow: dict[str, Any] = {"arrowstyle": "-|>,head_width=0.35,head_length=0.7", "color": VERMILION, "lw": 2.4}
    arrow |= {"shrinkA": 0, "shrinkB": 0}
    frame = axes.transAxes
    axes.annotate("", (length, above), (0.0, above), xycoords=frame, textcoords=frame, arrowprops=arrow)
    axes.text(length + 0.015, above, label, transform=frame, va="center", fontsize=LABEL_PT)


def _pale(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pale grey image, so that arrows stand out."""
    grey = 165 + image @ np.array([0.299, 0.587, 0.114]) * (90 / 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
