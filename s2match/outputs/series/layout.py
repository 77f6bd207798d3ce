"""What the figures of a series share: groups of images with their colours, order of images, and tick labels."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis

from s2match.outputs.figures.style import (
    BLUE,
    GREEN,
    LABEL_PT,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.result import SeriesResult

# Width and height of a figure in inches; in a report two share a row.
FIGURE_IN = (9.0, 7.2)

# Colour and marker of each group.
_MARKS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"), (SKY, "P"))

# Most labels of images along an axis; of more images, every second, third and so on has one.
_MOST_LABELS = 40

# Labels of few images are as large as others. Smaller ones leave each its line.
_FEW, _LARGE_PT, _SMALL_PT = 20, 11.0, 9.0


@dataclass(frozen=True)
class Group:
    """Images of one platform and orbit, or of one tile.

    Attributes:
        name: Such as "S2A R064"; empty if all images are in one group.
        indexes: Indexes of the images.
        colour: Colour of the group.
        marker: Marker of the group.
    """

    name: str
    indexes: tuple[int, ...]
    colour: str
    marker: str


def groups_of(result: SeriesResult) -> list[Group]:
    """Images by platform and relative orbit, or else by what tells them apart: orbit, platform or tile."""
    for name_of in _GROUPINGS:
        names = [name_of(image) for image in result.images]
        distinct = sorted(set(filter(None, names)))
        if None not in names and 2 <= len(distinct) <= len(_MARKS):
            return [
                Group(group, tuple(index for index, name in enumerate(names) if name == group), *mark)
                for group, mark in zip(distinct, _MARKS, strict=False)
            ]
    return [Group("", tuple(range(len(result.images))), *_MARKS[0])]


def display_order(result: SeriesResult) -> list[int]:
    """Indexes of the images by tile and date; images without a date come last."""
    images = enumerate(result.images)
    return [index for index, _ in sorted(images, key=lambda item: (*_tile_and_date(item[1]), item[0]))]


def label_images(axis: Axis, result: SeriesResult, order: Sequence[int], tiles: bool = True) -> None:
    """Label the images along an axis whose ranks are those of an order of display.

    Labels of the horizontal axis are upright. Of more than 40 images, every second one has a label, or fewer.

    Args:
        axis: The axis.
        result: The series.
        order: Indexes of the images along the axis.
        tiles: Whether labels name the tile beside the date, if there are several tiles.
    """
    ranks = range(0, len(order), math.ceil(len(order) / _MOST_LABELS))
    tiles = tiles and len({result.images[index].tile for index in order}) > 1
    labels = [_rank_label(result.images[order[rank]], tiles) for rank in ranks]
    axis.set_ticks(list(ranks), labels, fontsize=_LARGE_PT if len(order) <= _FEW else _SMALL_PT)
    if isinstance(axis, XAxis):
        axis.set_tick_params(labelrotation=90)


def tile_borders(result: SeriesResult, order: Sequence[int]) -> list[float]:
    """Positions between ranks where the tile changes."""
    tiles = [result.images[index].tile for index in order]
    return [rank - 0.5 for rank in range(1, len(tiles)) if tiles[rank] != tiles[rank - 1]]


def say_empty(axes: Axes, text: str) -> None:
    """Write in the middle of empty axes why there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=LABEL_PT, parse_math=False)


def _tile_and_date(image: SeriesImage) -> tuple[str, datetime]:
    return image.tile or "", datetime.max if image.sensed is None else image.sensed.replace(tzinfo=None)


def _rank_label(image: SeriesImage, with_tile: bool) -> str:
    date = f"image {image.index}" if image.date is None else image.date
    return f"{image.tile} {date}" if with_tile and image.tile is not None else date


def _platform_and_orbit(image: SeriesImage) -> str | None:
    platform, orbit = image.platform, _orbit(image)
    return None if platform is None or orbit is None else f"{platform} {orbit}"


def _orbit(image: SeriesImage) -> str | None:
    return None if image.relative_orbit is None else f"R{image.relative_orbit:03d}"


_GROUPINGS: Sequence[Callable[[SeriesImage], str | None]] = (
    _platform_and_orbit,
    _orbit,
    lambda image: image.platform,
    lambda image: image.tile,
)
