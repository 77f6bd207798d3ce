"""What the figures of a series share: groups of images with their colours, order of images, and tick labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from matplotlib.axes import Axes

from s2match.outputs.figures.style import (
    BLUE,
    GREEN,
    LABEL_PT,
    ORANGE,
    PURPLE,
    SKY,
    TICK_PT,
    VERMILION,
)
from s2match.timeseries.images import SeriesImage
from s2match.timeseries.result import SeriesResult

# Width and height of a figure in inches; in a report two share a row.
FIGURE_IN = (9.0, 7.2)

# Colour and marker of each group.
_MARKS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"), (SKY, "P"))

_MOST_TICKS = 5


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


def label_ranks(result: SeriesResult, order: Sequence[int]) -> tuple[list[int], list[str]]:
    """Ranks of at most five images in an order of display, and labels of their dates and tiles."""
    ranks = np.unique(np.linspace(0, len(order) - 1, min(_MOST_TICKS, len(order))).round().astype(int)).tolist()
    return ranks, [_rank_label(result.images[order[rank]]) for rank in ranks]


def tile_borders(result: SeriesResult, order: Sequence[int]) -> list[float]:
    """Positions between ranks where the tile changes."""
    tiles = [result.images[index].tile for index in order]
    return [rank - 0.5 for rank in range(1, len(tiles)) if tiles[rank] != tiles[rank - 1]]


def say_empty(axes: Axes, text: str) -> None:
    """Write in the middle of empty axes why there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=LABEL_PT, parse_math=False)


def label_ticks(axes: Axes) -> None:
    """Font size of the tick labels."""
    axes.tick_params(labelsize=TICK_PT)


def _tile_and_date(image: SeriesImage) -> tuple[str, datetime]:
    return image.tile or "", datetime.max if image.sensed is None else image.sensed.replace(tzinfo=None)


def _rank_label(image: SeriesImage) -> str:
    date = f"image {image.index}" if image.date is None else image.date
    return date if image.tile is None else f"{date}\n{image.tile}"


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
