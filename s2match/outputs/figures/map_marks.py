"""Scale bar, north arrow and locator of an image."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import NDArray

from s2match.core.ground_axes import METRES, ground_axes, map_step, pixel_m
from s2match.core.raster import HasGrid
from s2match.outputs.figures.style import OUTLIER, TICK_PT, rounded
from s2match.outputs.figures.views import View

# Length of the scale bar, relative to the width of the image.
_BAR = 0.25

# Length of the north arrow, and longest side of the locator, relative to the longer side of the image.
_ARROW, _LOCATOR = 0.09, 0.2

# The whole image is drawn where the part is no larger than this share of it.
_SMALL_PART = 0.5

# Longest side of the pixels of a locator.
_LOCATOR_PX = 160

# Width in points of the dark edges of both sides of a light mark together.
_EDGES_PT = 3.0


@dataclass(frozen=True)
class Place:
    """The place of an image on the axes.

    Attributes:
        corner: (2,) its upper left corner.
        size: (2,) its width and height.
        scale: Length on the axes of a pixel of the image.
        left: Whether marks are drawn at its left side, not at the right.
    """

    corner: NDArray[np.float64]
    size: NDArray[np.float64]
    scale: float
    left: bool

    @property
    def margin(self) -> float:
        """Distance of a mark from the edges."""
        return 0.025 * float(self.size.max())

    def x_of(self, width: float) -> float:
        """Left end of a mark of a width."""
        return float(self.corner[0] + (self.margin if self.left else self.size[0] - self.margin - width))


def dark_edge(width_pt: float = 0.5) -> list[AbstractPathEffect]:
    """Path effects that make a light line of a width in points, or a light text, visible on any ground."""
    return [withStroke(linewidth=width_pt + _EDGES_PT, foreground="black")]


def draw_scale_bar(axes: Axes, image: HasGrid, place: Place) -> None:
    """Draw a bar of a round length on the ground, in a lower corner.

    Args:
        axes: The axes.
        image: The image; without a georeference nothing is drawn.
        place: Its place on the axes.
    """
    if not image.georeferenced:
        return
    side, unit = pixel_m(image) / place.scale, ground_axes(image).unit
    length = rounded(_BAR * float(place.size[0]) * side)
    x, y = place.x_of(length / side), place.corner[1] + place.size[1] - place.margin
    (bar,) = axes.plot([x, x + length / side], [y, y], color="white", lw=4, solid_capstyle="butt")
    bar.set_path_effects(dark_edge(4))
    text = axes.text(x, y - 0.4 * place.margin, length_name(length, unit), color="white", fontsize=TICK_PT, va="bottom")
    text.set_path_effects(dark_edge())


def length_name(length: float, unit: str) -> str:
    """A length with its unit, such as "480 m" or "5.2 km"."""
    return f"{length / 1000:.2g} km" if unit == METRES and length >= 1000 else f"{length:.3g} {unit}"


def draw_north(axes: Axes, image: HasGrid, place: Place) -> None:
    """Draw an arrow to the north above the scale bar; the parameters are those of :func:`draw_scale_bar`."""
    if image.transform is None or not ground_axes(image).in_metres:
        return
    step = map_step(image, np.array([0.0, 1.0]))
    inverse = ~image.transform
    north = np.array([inverse.a * step[0] + inverse.b * step[1], inverse.d * step[0] + inverse.e * step[1]])
    length = _ARROW * float(place.size.max())
    north *= length / np.linalg.norm(north)
    middle = np.array([place.x_of(length) + length / 2, place.corner[1] + place.size[1] - 1.7 * length])
    start, end = middle - north / 2, middle + north / 2
    style = {
        "arrowstyle": "-|>,head_width=0.4,head_length=0.7",
        "color": "white",
        "lw": 2.6,
        "path_effects": dark_edge(2.6),
    }
    axes.annotate("", (float(end[0]), float(end[1])), (float(start[0]), float(start[1])), arrowprops=style)
    x, y = start + 1.3 * north
    label = axes.text(x, y, "N", color="white", fontsize=TICK_PT, ha="center", va="center")
    label.set_path_effects(dark_edge())


def locator_size(view: View, longest: float) -> NDArray[np.float64] | None:
    """(2,) size of the whole image drawn small; None where the part that is shown is most of it.

    Args:
        view: The part.
        longest: Longest side of the part on the axes.
    """
    if view.share > _SMALL_PART:
        return None
    whole = np.array(view.image.size, float)
    return np.asarray(whole * _LOCATOR * longest / whole.max())


def draw_locator(axes: Axes, view: View, corner: NDArray[np.float64], size: NDArray[np.float64]) -> None:
    """Draw the whole image small, with a frame around the part that is shown, and a caption below.

    Args:
        axes: The axes.
        view: The part.
        corner: (2,) upper left corner of the whole image on the axes.
        size: (2,) its size.
    """
    (left, top), (right, bottom) = corner, corner + size
    step = max(1, max(view.preview.size) // _LOCATOR_PX)
    axes.imshow(view.drawn[::step, ::step], extent=(left, right, bottom, top), zorder=4)
    axes.add_patch(Rectangle((left, top), *size, fill=False, edgecolor="0.4", lw=1.0, zorder=4))
    scale = size / view.image.size
    axes.add_patch(
        Rectangle(tuple(corner + view.low * scale), *(view.size * scale), fill=False, ec=OUTLIER, lw=2, zorder=5)
    )
    middle = (left + right) / 2
    axes.annotate(
        "whole image", (middle, bottom), (0, -4), textcoords="offset points", ha="center", va="top", size=TICK_PT
    )
