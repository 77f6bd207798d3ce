"""Enlarged surroundings of matches in both images, the target in the orientation of the reference."""

from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from s2match.core.georeference import comparable, expected_linear
from s2match.core.point_maps import jacobian
from s2match.core.raster import grid_of
from s2match.core.window import Window
from s2match.errors import UnreadableImageError
from s2match.io.reader import read_window
from s2match.outputs.figures.style import apply_contrast
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
class _Pixels:
    """Pixels of a part of an image.

    Attributes:
        image: H×W×3 uint8.
        corner: (2,) upper left corner (x, y) of the part, in pixels of the matched size.
        per_pixel: (2,) columns and rows per pixel of the matched size.
    """

    image: NDArray[np.uint8]
    corner: NDArray[np.float64]
    per_pixel: NDArray[np.float64]


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
    """The surroundings of matches that lie apart, where both images show the ground most clearly.

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
    linear = _linear_maps(result, result.matches.xy0[candidates])
    clarity = np.array([_clarity(result, views, *each) for each in zip(candidates, linear, strict=True)])
    chosen = _apart(result.matches.xy0[candidates], clarity, count)
    return [_zoom(result, views, int(candidates[number]), linear[number]) for number in chosen]


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
        _sampled(_preview_pixels(view), xy, step, 1).mean(axis=2).ravel()
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
        _sampled(_matched_pixels(view, xy, SIDE_PX * float(np.abs(map_).sum(axis=1).max())), xy, map_, _SAMPLES)
        for view, xy, map_ in zip(views, points, linear, strict=True)
    )
    return Zoom(index, reference, target)


def _linear_maps(result: PairResult, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2, 2) linear maps from steps in the reference to steps in the target."""
    if result.registration is not None:
        return jacobian(result.registration.apply, xy)
    linear = np.eye(2)
    if comparable(result.reference, result.target):
        linear = expected_linear(result.reference, result.target)
    return np.repeat(linear[None], len(xy), axis=0)


def _preview_pixels(view: View) -> _Pixels:
    return _Pixels(view.drawn, np.zeros(2), view.per_pixel)


def _matched_pixels(view: View, xy: NDArray[np.float64], reach_px: float) -> _Pixels:
    """Pixels of the matched size around a point; those of the preview where the file cannot be read any more."""
    window = Window.covering(xy - reach_px, xy + reach_px, view.image.size)
    if view.preview.size == view.image.size or window is None:
        return _preview_pixels(view)
    try:
        patch = read_window(grid_of(view.image), window)
    except UnreadableImageError:
        # images in memory were matched as temporary files
        return _preview_pixels(view)
    image = apply_contrast(view.contrast, patch.image, patch.valid)
    return _Pixels(image, np.array([window.x, window.y], float), np.ones(2))


def _sampled(pixels: _Pixels, xy: NDArray[np.float64], linear: NDArray[np.float64], samples: int) -> NDArray[np.uint8]:
    """S×S×3 uint8, a square of ``SIDE_PX`` pixels of the reference around a point.

    Args:
        pixels: Pixels of the image.
        xy: (2,) the point, in pixels of the matched size.
        linear: (2, 2) map from steps in the reference to steps in the image.
        samples: Samples along a pixel of the reference.
    """
    scale = pixels.per_pixel[:, None] * linear / samples
    # in OpenCV the centre of the first pixel is (0, 0)
    first = (xy - pixels.corner) * pixels.per_pixel - scale @ np.full(2, (SIDE_PX * samples - 1) / 2) - 0.5
    side = SIDE_PX * samples
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC
    inverse = np.column_stack([scale, first])
    square = cv2.warpAffine(pixels.image, inverse, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8)
