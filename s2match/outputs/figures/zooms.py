"""Enlarged surroundings of matches in both images, the target in the orientation of the reference."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from s2match.outputs.figures.patches import Pixels, linear_maps, matched_pixels, sampled
from s2match.outputs.figures.style import inliers_of, spread_evenly
from s2match.outputs.figures.views import View
from s2match.result import PairResult

# Side of the surroundings in pixels of the matched size, and samples along a pixel of their drawing.
SIDE_PX, _SAMPLES = 48, 6

# Half length of the gap in the middle of the cross, and its length, relative to the side.
_GAP, _CROSS = 0.06, 0.32

# Gap between both images, relative to the side.
_BETWEEN = 0.03

# Level of the darkest colour from which the drawn ground counts as cloud.
_BRIGHT = 215

# Standard deviation of the surroundings that structure stands out from, in pixels of the matched size, and at least in
# those of the preview.
_AROUND_PX, _LEAST_AROUND_PX = 6.0, 1.5

# Surroundings of which less than this fraction is clear in both images show nothing.
_LEAST_CLEAR = 0.5

# Matches that are compared, at most.
_COMPARED = 600

# Dark ground is drawn brighter: its brightest levels, at this percentile, are raised to this level by at most this
# factor.
_BRIGHTEST_PERCENT, _RAISED, _MOST_RAISED = 98.0, 200.0, 3.0

# Grey level that stands for no structure.
_EVEN = 128

_CROSS_COLOUR = "#fff34d"


@dataclass(frozen=True)
class Zoom:
    """The surroundings of a match.

    Attributes:
        index: Index of the match.
        reference: S×S×3 uint8, the reference around its point. Dark ground is brightened.
        target: Likewise the target around its point, in the orientation and scale of the reference.
    """

    index: int
    reference: NDArray[np.uint8]
    target: NDArray[np.uint8]


def candidates_of(result: PairResult) -> NDArray[np.intp]:
    """Indexes of matches that may be enlarged: of the inliers the half nearest to the model; all without a model."""
    chosen = np.arange(len(result.matches))
    if result.registration is not None:
        inliers, residual_px = inliers_of(result), result.registration.residual_px
        chosen = np.flatnonzero(inliers & (residual_px <= np.median(residual_px[inliers])))
    return chosen[spread_evenly(result.matches.xy0[chosen], _COMPARED)]


def zooms_of(result: PairResult, views: tuple[View, View], candidates: NDArray[np.intp], count: int) -> list[Zoom]:
    """The surroundings of :func:`clearest_matches`, whose parameters it has."""
    chosen = clearest_matches(result, views, candidates, count)
    linear = linear_maps(result, result.matches.xy0[chosen])
    return [_zoom(result, views, index, to_target) for index, to_target in zip(chosen, linear, strict=True)]


def clearest_matches(
    result: PairResult, views: tuple[View, View], candidates: NDArray[np.intp], count: int, side_px: int = SIDE_PX
) -> list[int]:
    """Indexes of matches that lie apart, where both images show the ground most clearly.

    Args:
        result: The pair.
        views: The images, with their contrast.
        candidates: Indexes of the matches to choose from.
        count: Number of matches, at most.
        side_px: Side of the surroundings that count.
    """
    inside = np.ones(len(candidates), np.bool_)
    for view, xy in zip(views, (result.matches.xy0, result.matches.xy1), strict=True):
        near = xy[candidates]
        inside &= ((near > side_px / 2) & (near < np.array(view.image.size) - side_px / 2)).all(axis=1)
    candidates = candidates[inside]
    linear = linear_maps(result, result.matches.xy0[candidates])
    first, second = (_structure(view) for view in views)
    clarity = np.zeros(len(candidates))
    for number, (index, to_target) in enumerate(zip(candidates, linear, strict=True)):
        clarity[number] = _clarity(
            sampled(first, result.matches.xy0[index], np.eye(2), (side_px, 1)),
            sampled(second, result.matches.xy1[index], to_target, (side_px, 1)),
        )
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


def _structure(view: View) -> Pixels:
    """Two channels: the grey level compared with the ground around, 128 if equal; and 255 at cloud and nodata."""
    red, green, blue = cv2.split(view.drawn)
    clear = (view.preview.valid & (cv2.min(cv2.min(red, green), blue) < _BRIGHT)).astype(np.float32)
    grey = cv2.cvtColor(view.drawn, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sigma = max(_AROUND_PX * float(view.per_pixel.mean()), _LEAST_AROUND_PX)
    # means of the clear ground alone: the edge of a cloud is no structure
    weight = np.maximum(cv2.GaussianBlur(clear, (0, 0), sigma), np.finfo(np.float32).eps)
    around = cv2.GaussianBlur(grey * clear, (0, 0), sigma) / weight
    levels = np.clip(_EVEN + (grey - around) * clear, 0, 255).astype(np.uint8)
    pixels = cv2.merge([levels, np.where(clear > 0, 0, 255).astype(np.uint8)])
    return Pixels(np.asarray(pixels, np.uint8), np.zeros(2), view.per_pixel)


def _clarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """How clearly both images show the same ground: the strength of its structure times the correlation.

    Args:
        first: S×S×2 uint8, :func:`_structure` of the reference around a match.
        second: Likewise for the target.
    """
    clear = (first[..., 1] < _EVEN) & (second[..., 1] < _EVEN)
    share = float(clear.mean())
    if share < _LEAST_CLEAR:
        return 0.0
    levels = first[clear, 0].astype(float), second[clear, 0].astype(float)
    contrast = min(level.std() for level in levels)
    return 0.0 if contrast < 1 else float(contrast * max(np.corrcoef(*levels)[0, 1], 0.0) * share**4)


def _apart(xy: NDArray[np.float64], score: NDArray[np.float64], count: int) -> list[int]:
    """Indexes of the points of the highest score, far from each other, from left to right or from top to bottom.

    A point counts less, the nearer it lies to those that are chosen; their surroundings do not overlap.
    """
    if not len(xy):
        return []
    extent = np.ptp(xy, axis=0)
    far = max(float(extent.max()) / count, 1.0)
    value = score.copy()
    chosen: list[int] = []
    while len(chosen) < count and value.max() > 0:
        chosen.append(int(value.argmax()))
        distance = np.linalg.norm(xy - xy[chosen[-1]], axis=1)
        value = np.minimum(value, score * np.minimum(distance / far, 1.0))
        value[distance < math.sqrt(2) * SIDE_PX] = 0.0
    axis = int(np.argmax(extent))
    return sorted(chosen, key=lambda index: float(xy[index, axis]))


def _zoom(result: PairResult, views: tuple[View, View], index: int, to_target: NDArray[np.float64]) -> Zoom:
    points, linear = (result.matches.xy0[index], result.matches.xy1[index]), (np.eye(2), to_target)

    def surroundings(view: View, xy: NDArray[np.float64], map_: NDArray[np.float64]) -> NDArray[np.uint8]:
        reach_px = SIDE_PX * float(np.abs(map_).sum(axis=1).max())
        return _brightened(sampled(matched_pixels(view, xy, reach_px), xy, map_, (SIDE_PX, _SAMPLES)))

    # both files are decoded at the same time
    with ThreadPoolExecutor(2) as pool:
        return Zoom(index, *pool.map(surroundings, views, points, linear))


def _brightened(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image with its clear ground no darker than needed to see it."""
    levels = image[image.min(axis=2) < _BRIGHT]
    brightest = float(np.percentile(levels, _BRIGHTEST_PERCENT)) if levels.size else _RAISED
    factor = float(np.clip(_RAISED / max(brightest, 1.0), 1.0, _MOST_RAISED))
    return np.asarray(np.clip(image * factor, 0, 255), np.uint8)
