"""Figures of two images side by side, with and without their matches."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from s2match.core.ground_axes import ground_axes, pixel_m
from s2match.core.raster import Raster
from s2match.outputs.figures.map_marks import (
    Place,
    dark_edge,
    draw_locator,
    draw_north,
    draw_scale_bar,
    length_name,
)
from s2match.outputs.figures.panels import WIDE, Panel, arranged
from s2match.outputs.figures.style import (
    DISTANCE,
    DPI,
    LABEL_PT,
    OUTLIER,
    TICK_PT,
    inliers_of,
    spread_evenly,
    stretched,
)
from s2match.outputs.figures.views import common_views, covers, outlines
from s2match.outputs.figures.zooms import SIDE_PX, candidates_of, draw_zoom, zooms_of
from s2match.outputs.headline import headline
from s2match.result import PairResult
from s2match.util.names import shown_name

# Matches that are drawn, joined by lines, and enlarged. More hide the ground and each other.
_POINTS, _LINES, _ZOOMS = 300, 60, 3

# Outliers that are all drawn.
_OUTLIERS = 30

# Width of the figure in inches, and heights of its rows: title, a row of enlarged matches, key.
_WIDTH_IN, _TITLE_IN, _ZOOM_IN, _KEY_IN = 13.0, 1.15, 2.45, 0.75

# Highest row of the images, in inches.
_HIGHEST_IN = 9.0

# Images higher than this relative to their width stand beside the enlarged matches, not above them.
_TALL = 1.25

# Part of the width and height that a scale bar and a north arrow may take in a lower corner.
_MARKS = 0.35

# Longest title and longest line of text in their largest fonts, in characters.
_LONG_TITLE, _LONG_TEXT = 62, 105


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
    """Draw the common ground of two images with some of their matches, three of them enlarged.

    At most 300 matches, spread evenly, are dots on both images, coloured by their distance from the model. At most 60
    of them are joined by lines. Outliers are crosses, all of them if they are few; without a model all matches are.
    Enlarged are inliers near the model where both images show the same clear ground; the target is turned and scaled as
    the reference.

    Args:
        result: The matched pair.
        figure: Figure to draw on; a new one when None.

    Returns:
        The figure.
    """
    views = common_views(result)
    panels = arranged(views)
    drawn = _chosen(result)
    zooms = zooms_of(result, views, candidates_of(result), _ZOOMS)
    drawn = np.union1d(drawn, np.array([zoom.index for zoom in zooms], np.intp))
    layout = _layout(panels, len(zooms), figure)
    _draw_titles(layout.figure, result, len(drawn))
    for panel, role, other in zip(panels, ("reference", "target"), outlines(result), strict=True):
        _draw_view(layout.main, panel, role, other)
    _draw_matches(layout.main, result, panels, drawn)
    _draw_marks(layout.main, panels, result, (drawn, np.array([zoom.index for zoom in zooms], np.intp)))
    for number, (box, zoom) in enumerate(zip(layout.zooms, zooms, strict=True)):
        label = "ABC"[number]
        draw_zoom(box, zoom, label, _zoom_caption(result, zoom.index))
        for panel, xy in zip(panels, (result.matches.xy0, result.matches.xy1), strict=True):
            _draw_label(layout.main, panel, xy[zoom.index], label)
    _draw_key(layout.key, result)
    return layout.figure


@dataclass(frozen=True)
class _Layout:
    """The axes of a figure.

    Attributes:
        figure: The figure.
        main: The axes of both images.
        zooms: The axes of each enlarged match.
        key: The axes of the colour bar and of the legend.
    """

    figure: Figure
    main: Axes
    zooms: list[Axes]
    key: tuple[Axes, Axes]


def _layout(panels: tuple[Panel, Panel], zooms: int, figure: Figure | None) -> _Layout:
    """Axes for both images, the enlarged matches and the key, in a figure that fits them."""
    ends = np.stack([panel.ends for panel in panels])
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    aspect = float(np.divide(*(high - low)))
    images = np.maximum(*(panel.corner + panel.size for panel in panels))
    beside = float(images[0]) * _TALL < float(images[1]) and zooms > 0
    heights = [3.2 * _ZOOM_IN] if beside else [min(_WIDTH_IN / aspect, _HIGHEST_IN), _ZOOM_IN if zooms else 0.01]
    heights.append(_KEY_IN)
    figure = figure or Figure(figsize=(_WIDTH_IN, sum(heights) + _TITLE_IN), dpi=DPI, layout="constrained")
    rows = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    if beside:
        halves = rows[0].subgridspec(1, 2, width_ratios=[_WIDTH_IN - 2.2 * _ZOOM_IN, 2.2 * _ZOOM_IN])
        main, places = halves[0], halves[1].subgridspec(_ZOOMS, 1)
    else:
        main, places = rows[0], rows[1].subgridspec(1, _ZOOMS)
    key = rows[len(heights) - 1].subgridspec(1, 2, width_ratios=[1, 1.6])
    axes = figure.add_subplot(main)
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal")
    axes.set_axis_off()
    boxes = [figure.add_subplot(places[number]) for number in range(zooms)]
    return _Layout(figure, axes, boxes, (figure.add_subplot(key[0]), figure.add_subplot(key[1])))


def _chosen(result: PairResult) -> NDArray[np.intp]:
    """Indexes of the matches that are drawn: some of all, and the outliers of a model where they are few."""
    xy = result.matches.xy0
    chosen = spread_evenly(xy, _POINTS - _ZOOMS)
    outliers = np.flatnonzero(~inliers_of(result))
    if result.registration is None or len(outliers) > _OUTLIERS:
        return chosen
    return np.union1d(chosen, outliers)


def _draw_titles(figure: Figure, result: PairResult, drawn: int) -> None:
    title = headline(result.verdict)
    parts = [f"{result.headline}, {drawn} drawn"]
    errors = result.inlier_errors
    if errors is not None and len(errors.finite.east_m):
        scatter = float(np.percentile(errors.from_mean_m, 90))
        parts.append(f"scatter about the mean (90 %) {scatter:.{2 if scatter < 10 else 0}f} {errors.axes.unit}")
    if result.registration is not None:
        parts.append(f"model: {result.registration.model}")
    parts.append(f"weights: {shown_name(result.matches.origin.weights)}")
    size = 25 if len(title) <= _LONG_TITLE else 25 * _LONG_TITLE / len(title)
    figure.suptitle(title, fontsize=size, fontweight="bold", parse_math=False)
    text = "  ·  ".join(parts)
    figure.supxlabel(text, fontsize=LABEL_PT * min(1, _LONG_TEXT / len(text)), parse_math=False)


def _draw_view(axes: Axes, panel: Panel, role: str, other: NDArray[np.float64] | None) -> None:
    """Draw a view with its title, and the outline of the other image if its edge lies inside."""
    pixels, low, high = panel.view.pixels()
    (left, top), (right, bottom) = panel.place(np.stack([low, high]))
    image = axes.imshow(pixels, extent=(left, right, bottom, top), zorder=0)
    frame = Rectangle(tuple(panel.corner), *panel.size, fill=False, color="0.4", lw=1.0)
    axes.add_patch(frame)
    image.set_clip_path(frame)
    axes.set(aspect="equal")
    # narrow images have no room for one line
    words = [role, *panel.view.image.scene.title.split(" ")]
    title = f"{role}: {' '.join(words[1:])}" if panel.size[0] > panel.size[1] / WIDE else "\n".join(words)
    x, y = panel.corner + panel.size * (0.5, 0.0)
    above = axes.annotate(title, (x, y), (0, 5), textcoords="offset points", ha="center", va="bottom", fontsize=17)
    above.set_parse_math(False)
    if other is not None and not covers(other, panel.view.image):
        (line,) = axes.plot(*panel.place(other).T, color="white", lw=1.8, ls=(0, (5, 3)), zorder=1)
        line.set_path_effects(dark_edge(1.8))
        line.set_clip_path(frame)


def _draw_matches(axes: Axes, result: PairResult, panels: tuple[Panel, Panel], drawn: NDArray[np.intp]) -> None:
    """Draw matches as dots or crosses, and lines between some of them."""
    ends = np.stack([panel.place(xy[drawn]) for panel, xy in _sides(result, panels)], axis=1)
    inlier = inliers_of(result)[drawn]
    colours = np.tile(to_rgba(OUTLIER), (len(drawn), 1))
    if result.registration is not None:
        colours[inlier] = DISTANCE(_norm(result)(result.registration.residual_px[drawn[inlier]]))
    joined = np.zeros(len(drawn), np.bool_)
    joined[spread_evenly(result.matches.xy0[drawn], _LINES)] = True
    lines = LineCollection(list(ends[joined]), linewidths=1.3, colors=colours[joined], alpha=0.75, zorder=2)
    axes.add_collection(lines)
    twice = np.repeat(colours, 2, axis=0)
    x, y = ends.reshape(-1, 2).T
    dots = np.repeat(inlier, 2)
    axes.scatter(x[dots], y[dots], 34, c=twice[dots], marker="o", edgecolors="black", linewidths=0.7, zorder=3)
    axes.scatter(x[~dots], y[~dots], 34, c=twice[~dots], marker="x", linewidths=2.0, zorder=3)


def _sides(
    result: PairResult, panels: tuple[Panel, Panel]
) -> tuple[tuple[Panel, NDArray[np.float64]], tuple[Panel, NDArray[np.float64]]]:
    return (panels[0], result.matches.xy0), (panels[1], result.matches.xy1)


def _draw_marks(
    axes: Axes, panels: tuple[Panel, Panel], result: PairResult, indexes: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> None:
    """Draw the scale bars and north arrows, where they hide few of the drawn and enlarged matches; and whole images."""
    for panel, xy in _sides(result, panels):
        drawn, enlarged = (((panel.place(xy[some]) - panel.corner) / panel.size).T for some in indexes)
        place = Place(panel.corner, panel.size, panel.scale, left=_left_is_free(drawn, enlarged))
        draw_scale_bar(axes, panel.view.image, place)
        draw_north(axes, panel.view.image, place)
        if panel.locator is not None:
            draw_locator(axes, panel.view, panel.locator.corner, panel.locator.size)


def _left_is_free(drawn: NDArray[np.float64], enlarged: NDArray[np.float64]) -> bool:
    """Whether marks hide less at the left of a panel than at the right.

    Args:
        drawn: (2, N) places of the drawn matches, 0 to 1 from the left and from the top.
        enlarged: (2, M) places of the enlarged matches, whose frames would hide marks.
    """
    across, down = enlarged
    low = down > 1 - _MARKS
    left, right = (across < _MARKS) & low, (across > 1 - _MARKS) & low
    at_left = int((drawn[0] < 0.5).sum())
    return (int(left.sum()), at_left) <= (int(right.sum()), drawn.shape[1] - at_left)


def _draw_label(axes: Axes, panel: Panel, xy: NDArray[np.float64], label: str) -> None:
    """Draw the frame and the letter of an enlarged match."""
    x, y = panel.place(xy[None])[0]
    side = SIDE_PX * panel.scale
    frame = Rectangle((x - side / 2, y - side / 2), side, side, fill=False, color="white", lw=2.0, zorder=4)
    frame.set_path_effects(dark_edge(2.0))
    axes.add_patch(frame)
    box = {"facecolor": "white", "edgecolor": "black", "boxstyle": "square,pad=0.15"}
    axes.annotate(
        label, (x + side / 2, y - side / 2), (2, 2), textcoords="offset points", fontsize=12, bbox=box, zorder=6
    )


def _zoom_caption(result: PairResult, index: int) -> str:
    """Distance of an enlarged match from the model, and the side of its surroundings."""
    reference, registration = result.reference, result.registration
    side = f"{SIDE_PX} px"
    if reference.georeferenced:
        side = length_name(SIDE_PX * pixel_m(reference), ground_axes(reference).unit)
    if registration is None:
        return f"{side} wide"
    if not inliers_of(result)[index]:
        return f"outlier, {side} wide"
    return f"{registration.residual_px[index]:.2f} px from the model, {side} wide"


def _draw_key(axes: tuple[Axes, Axes], result: PairResult) -> None:
    """Draw the colour bar of the distances and the legend of the markers."""
    left, right = axes
    right.set_axis_off()
    left.set_axis_off()
    inlier = inliers_of(result)
    handles = [Line2D([], [], color=OUTLIER, marker="x", mew=2, ls="none", label=f"outliers ({(~inlier).sum()})")]
    if result.registration is not None:
        bar = left.inset_axes((0.02, 0.55, 0.96, 0.3))
        colour_bar = left.figure.colorbar(ScalarMappable(_norm(result), DISTANCE), cax=bar, orientation="horizontal")
        colour_bar.set_label("distance of an inlier from the model (px)", fontsize=TICK_PT)
        dot = Line2D([], [], color=DISTANCE(0.0), marker="o", mec="black", ls="none", label=f"inliers ({inlier.sum()})")
        handles.insert(0, dot)
    right.legend(handles=handles, loc="center", ncols=len(handles), frameon=False, fontsize=TICK_PT)


def _norm(result: PairResult) -> Normalize:
    return Normalize(0.0, result.settings.ransac_threshold_px)
