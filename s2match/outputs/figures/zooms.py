"""Enlarged surroundings of matches in both images, the target in the orientation of the reference."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from s2match.outputs.figures.patches import linear_maps, matched_pixels, preview_pixels, sampled
from s2match.outputs.figures.views import View
from s2match.result import PairResult

# Side of the surroundings in pixels of the matched size, and samples along a pixel of their drawing.
SIDE_PX, _SAMPLES = 48, 6

# Half length of the gap in the middle of the cross, and its length, relative to the side.
_GAP, _CROSS = 0.06, 0.32

# Gap between both images, relative to the side.
_BETWEEN = 0.03

# Grey level from which the drawn ground counts as cloud.
_BRIGHT = 250

_CROSS_COLOUR = "#fff34d"


@dataclass(frozen=True)
class Zoom:
    """The surroundings of a match.

    Attributes:
        index: Index of the match.
        reference: S×S×3 uint8, the reference around its point.
        target: S×S×3 uint8, the target around its point, in the orientation and scale of the reference.
    """

    index: int
    reference: NDArray[np.uint8]
    target: NDArray[np.uint8]


def zooms_of(result: PairResult, views: tuple[View, View], candidates: NDArray[np.intp], count: int) -> list[Zoom]:
    """The surroundings of :func:`clearest_matches`, whose parameters it has."""
    chosen = clearest_matches(result, views, candidates, count)
    linear = linear_maps(result, result.matches.xy0[chosen])
    return [_zoom(result, views, index, to_target) for index, to_target in zip(chosen, linear, strict=True)]


def clearest_matches(
    result: PairResult, views: tuple[View, View], candidates: NDArray[np.intp], count: int
) -> list[int]:
    """Indexes of matches that lie apart, where both images show the ground most clearly.

    Args:
        result: The pair.
        views: The images, with their contrast.
        candidates: Indexes of the matches to choose from.
        count: Number of matches, at most.
    """
    inside = np.ones(len(candidates), np.bool_)
    for view, xy in zip(views, (result.matches.xy0, result.matches.xy1), strict=True):
        near = xy[candidates]
        inside &= ((near > SIDE_PX / 2) & (near < np.array(view.image.size) - SIDE_PX / 2)).all(axis=1)
    candidates = candidates[inside]
    linear = linear_maps(result, result.matches.xy0[candidates])
    clarity = np.array([_clarity(result, views, *each) for each in zip(candidates, linear, strict=True)])
    return [int(candidates[number]) for number in _apart(result.matches.xy0[candidates], clarity, count)]


def draw_zoom(axes: Axes, zoom: Zoom, label: str, caption: str) -> None:
    """Draw the surroundings of a match side by side, with a cross at its points.

    Args:
        axes: The axes.
        zoom: The match.
        label: Its letter.
        caption: What is said of it.
    """
    for middle, image, role in ((0.0, zoom.reference, "reference"), (1.0 + _BETWEEN, zoom.target, "target")):
        left, right = middle - 0.5, middle + 0.5
        axes.imshow(image, extent=(left, right, 0.5, -0.5))
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            cross = np.array([[x, y]]) * np.array([[_GAP], [_CROSS]]) + (middle, 0)
            axes.plot(*cross.T, color=_CROSS_COLOUR, lw=1.6)
        axes.text(middle, 0.53, role, fontsize=11, ha="center", va="top")
    axes.set(xlim=(-0.5, 1.5 + _BETWEEN), ylim=(0.5, -0.5), aspect="equal")
    axes.set_axis_off()
    axes.set_title(f"{label}   {caption}", loc="left", fontsize=13, pad=5)


def _clarity(result: PairResult, views: tuple[View, View], index: int, to_target: NDArray[np.float64]) -> float:
    """Contrast around a match times the correlation of both images: low on cloud and on even ground."""
    points, linear = (result.matches.xy0[index], result.matches.xy1[index]), (np.eye(2), to_target)
    first, second = (
        sampled(preview_pixels(view), xy, step, (SIDE_PX, 1)).mean(axis=2).ravel()
        for view, xy, step in zip(views, points, linear, strict=True)
    )
    contrast, bright = min(first.std(), second.std()), np.mean((first >= _BRIGHT) | (second >= _BRIGHT))
    return 0.0 if contrast < 1 else float(contrast * np.corrcoef(first, second)[0, 1] * (1 - bright) ** 4)


def _apart(xy: NDArray[np.float64], score: NDArray[np.float64], count: int) -> list[int]:
    """Indexes of the points of the highest score, far from each other, from left to right or from top to bottom."""
    if not len(xy):
        return []
    extent = np.ptp(xy, axis=0)
    nearest = float(extent.max()) / (count + 1)
    chosen: list[int] = []
    for index in np.argsort(-score, kind="stable"):
        if all(np.linalg.norm(xy[index] - xy[other]) > nearest for other in chosen):
            chosen.append(int(index))
    axis = int(np.argmax(extent))
    return sorted(chosen[:count], key=lambda index: float(xy[index, axis]))


def _zoom(result: PairResult, views: tuple[View, View], index: int, to_target: NDArray[np.float64]) -> Zoom:
    points, linear = (result.matches.xy0[index], result.matches.xy1[index]), (np.eye(2), to_target)
    reference, target = (
        sampled(
            matched_pixels(view, xy, SIDE_PX * float(np.abs(map_).sum(axis=1).max())), xy, map_, (SIDE_PX, _SAMPLES)
        )
        for view, xy, map_ in zip(views, points, linear, strict=True)
    )
    return Zoom(index, reference, target)
