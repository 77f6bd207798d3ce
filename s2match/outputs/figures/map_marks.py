"""Scale bar, north arrow and locator of an image."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
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

# Light marks with a dark edge are visible on any ground.
_EDGE = withStroke(linewidth=3.5, foreground="black")


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
    bar.set_path_effects([_EDGE])
    text = axes.text(x, y - 0.4 * place.margin, length_name(length, unit), color="white", fontsize=TICK_PT, va="bottom")
    text.set_path_effects([_EDGE])


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
    style = {"arrowstyle": "-|>,head_width=0.4,head_length=0.7", "color": "white", "lw": 2.6, "path_effects": [_EDGE]}
    axes.annotate("", (float(end[0]), float(end[1])), (float(start[0]), float(start[1])), arrowprops=style)
    x, y = start + 1.3 * north
    label = axes.text(x, y, "N", color="white", fontsize=TICK_PT, ha="center", va="center")
    label.set_path_effects([_EDGE])


def draw_locator(axes: Axes, view: View, place: Place) -> None:
    """Draw the whole image small in an upper corner, with a frame around the part that is shown.

    Args:
        axes: The axes.
        view: The part; where it is most of the image, nothing is drawn.
        place: Its place on the axes.
    """
    if view.share > _SMALL_PART:
        return
    whole = np.array(view.image.size, float)
    drawn = whole * _LOCATOR * float(place.size.max()) / whole.max()
    drawn *= min(1.0, 0.45 * float(place.size[0]) / drawn[0])
    x, y = place.x_of(float(drawn[0])), float(place.corner[1]) + place.margin
    step = max(1, max(view.preview.size) // _LOCATOR_PX)
    axes.imshow(view.drawn[::step, ::step], extent=(x, x + drawn[0], y + drawn[1], y), zorder=4)
    axes.add_patch(Rectangle((x, y), *drawn, fill=False, edgecolor="white", lw=1.5, zorder=4))
    scale = drawn / whole
    left, top = np.array([x, y]) + view.low * scale
    axes.add_patch(Rectangle((left, top), *(view.size * scale), fill=False, edgecolor=OUTLIER, lw=2, zorder=5))
