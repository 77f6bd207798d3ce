"""Figures of two images side by side, with and without their matches."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from s2match.core.footprint import common_corners, outline
from s2match.core.georeference import predict
from s2match.core.raster import HasGrid, Raster
from s2match.outputs.figures.style import CONFIDENCE, DPI, MAX_DOTS, VERMILION, inliers_of, spread, stretched
from s2match.result import PairResult

_MAX_LINES = 60


def plot_pair(reference: Raster, target: Raster, figure: Figure | None = None) -> Figure:
    """Draw two images side by side.

    Args:
        reference: The image on the left.
        target: The image on the right.
        figure: Figure to draw on; a new one when None.

    Returns:
        The figure.
    """
    figure = figure or Figure(figsize=(13, 6.8), dpi=DPI, layout="constrained")
    for axes, raster, role in zip(figure.subplots(1, 2), (reference, target), ("reference", "target"), strict=True):
        axes.imshow(stretched(raster), extent=(0, raster.size[0], raster.size[1], 0))
        axes.set_title(f"{raster.scene.title}  ({role})", fontsize=13, parse_math=False)
        axes.set_xlabel("x (px)")
        axes.set_ylabel("y (px)")
    return figure


def plot_matches(result: PairResult, figure: Figure | None = None) -> Figure:
    """Draw two images side by side, with lines between their matches.

    Every match is a dot on both images, coloured by confidence. At most 60 of them, spread evenly, are joined by lines.
    Outliers of the registration are crosses and broken lines; without a registration all matches are.

    Args:
        result: The matched pair.
        figure: Figure to draw on; a new one when None.

    Returns:
        The figure.
    """
    figure = figure or Figure(figsize=(13, 7.6), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[30, 1])
    axes = figure.add_subplot(grid[0, :])
    reference, target = result.reference, result.target
    offset = np.array([reference.size[0] + 0.04 * max(reference.size[0], target.size[0]), 0.0])
    for raster, shown, left in ((reference, result.previews[0], 0.0), (target, result.previews[1], float(offset[0]))):
        axes.imshow(stretched(shown), extent=(left, left + raster.size[0], raster.size[1], 0))
        axes.add_patch(Rectangle((left, 0), *raster.size, fill=False, color="0.5", lw=0.8))
        middle = left + raster.size[0] / 2
        above = -0.008 * raster.size[1]
        axes.text(middle, above, raster.scene.title, ha="center", va="bottom", fontsize=13, parse_math=False)
    axes.set_xlim(0, offset[0] + target.size[0])
    axes.set_ylim(max(reference.size[1], target.size[1]), 0)
    axes.set_axis_off()
    figure.suptitle(_title(result), fontsize=14, parse_math=False)
    _draw_common_footprint(axes, reference, target, offset)
    _draw_matches(axes, result, offset)
    _draw_key(figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1]), result)
    return figure


def _title(result: PairResult) -> str:
    parts = [result.headline]
    if result.registration is not None:
        parts.append(f"{result.registration.model}, {result.settings.ransac_threshold_px:g} px")
    errors = result.inlier_errors
    if errors is not None and len(errors.finite.east_m):
        parts.append(f"CE90 of inliers {errors.ce90_m:.0f} {errors.axes.unit}")
    return f"{'  ·  '.join(parts)}  ·  {result.matches.origin.weights}"


def _draw_matches(axes: Axes, result: PairResult, offset: NDArray[np.float64]) -> None:
    dots = spread(len(result.matches), MAX_DOTS)
    matches, inlier = result.matches.subset(dots), inliers_of(result)[dots]
    colours = CONFIDENCE(_norm(result)(matches.confidence))
    colours[~inlier] = to_rgba(VERMILION)
    drawn = spread(len(matches), _MAX_LINES)
    ends = np.stack([matches.xy0, matches.xy1 + offset], axis=1)
    area = float(np.clip(16_000 / max(len(matches), 1), 2.5, 28))
    for mask, marker, style in ((~inlier, "x", (0, (4, 3))), (inlier, "o", "solid")):
        lines = mask & drawn
        axes.add_collection(
            LineCollection(list(ends[lines]), linewidths=0.8, linestyles=[style], colors=colours[lines])
        )
        x, y = ends[mask].reshape(-1, 2).T
        axes.scatter(
            x, y, area, c=np.repeat(colours[mask], 2, axis=0), marker=marker, linewidths=0.7 if marker == "x" else 0
        )


def _draw_key(left: Axes, right: Axes, result: PairResult) -> None:
    """Draw the colour bar of the confidence and the legend of the markers."""
    colour_bar = left.figure.colorbar(ScalarMappable(_norm(result), CONFIDENCE), cax=left, orientation="horizontal")
    colour_bar.set_label("confidence of inliers")
    inlier = inliers_of(result)
    right.set_axis_off()
    handles = [
        Line2D([], [], color=CONFIDENCE(0.5), marker="o", label=f"inliers ({inlier.sum()})"),
        Line2D([], [], color=VERMILION, marker="x", ls="--", label=f"outliers ({(~inlier).sum()})"),
    ]
    if _footprints_differ(result.reference, result.target):
        handles.append(Line2D([], [], color="grey", ls=(0, (6, 4)), label="footprint of the other image"))
    right.legend(handles=handles, loc="center", ncols=3, frameon=False)


def _norm(result: PairResult) -> Normalize:
    return Normalize(min(result.matches.origin.confidence, 0.99), 1.0)


def _draw_common_footprint(axes: Axes, reference: HasGrid, target: HasGrid, offset: NDArray[np.float64]) -> None:
    """Draw on each image the footprint of the other one, by their georeference."""
    if not _footprints_differ(reference, target):
        return
    for image, other, left in ((reference, target, 0 * offset), (target, reference, offset)):
        frame = Rectangle((left[0], 0), *image.size, transform=axes.transData)
        (line,) = axes.plot(*(predict(outline(other), other, image) + left).T, color="white", lw=1.4, ls=(0, (6, 4)))
        line.set_clip_path(frame)


def _footprints_differ(reference: HasGrid, target: HasGrid) -> bool:
    corners = common_corners(reference, target)
    return bool(np.abs(np.ptp(corners, axis=0) - reference.size).max() > 1)
