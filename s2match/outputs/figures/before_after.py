"""Checkerboard, swipe and overlay of the reference with the target before and after its correction."""

from collections.abc import Callable

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.window import Window
from s2match.correction.evaluation import Improvement
from s2match.outputs.agreement import measure_text
from s2match.outputs.figures.style import BLUE, LABEL_PT, ORANGE, TITLE_PT, label_axes, new_figure, stretched

# Side of the window that is shown: small enough to see an error of one pixel.
_DETAIL_PX = 120
_SQUARES = 5

# Share of the colour in a tinted square.
_TINT = 0.24

# Pixels brighter than this in all bands count as saturated: cloud, or bright towns after the stretch.
_SATURATED = 235

Image = NDArray[np.uint8]


def plot_checkerboard(improvement: Improvement) -> Figure:
    """Checkerboard of the reference and the target, before and after the correction."""
    return _plot(improvement, _join_squares, "reference in blue squares, target in orange squares")


def plot_swipe(improvement: Improvement) -> Figure:
    """The reference in the left half and the target in the right half, before and after the correction."""
    return _plot(improvement, _join_halves, "left of the line the reference, right of it the target")


def plot_overlay(improvement: Improvement) -> Figure:
    """The reference in red and the target in cyan, before and after the correction."""
    colours = "reference in red, target in cyan: where both agree, it is grey"
    changes = "coloured rims are shifts, coloured areas have changed between the dates"
    return _plot(improvement, _overlay, f"{colours};\n{changes}")


def _plot(improvement: Improvement, join: Callable[[Image, Image], Image], caption: str) -> Figure:
    window = detail(improvement)
    reference, before, after = (_crop(stretched(raster), window) for raster in improvement.previews)
    figure = new_figure(13, 7.8)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, target, name, agreement in zip(
        panels, (before, after), ("before", "after"), (improvement.before, improvement.after), strict=True
    ):
        extent = (window.x, window.x + window.width, window.y + window.height, window.y)
        axes.imshow(join(reference, target), extent=extent, interpolation="nearest")
        if join is _join_halves:
            axes.axvline(window.x + window.width / 2, color="white", lw=2.5)
        ce90, similarity = (measure_text(agreement, measure, improvement.axes) for measure in ("ce90_m", "similarity"))
        axes.set_title(f"{name}: CE90 {ce90}, SSIM {similarity}", fontsize=LABEL_PT, pad=8)
        label_axes(axes, "column of the reference (px)")
    label_axes(panels[0], "column of the reference (px)", "row of the reference (px)")
    figure.suptitle(f"{improvement.previews[0].scene.title}: {caption}", fontsize=TITLE_PT, parse_math=False)
    return figure


def detail(improvement: Improvement) -> Window:
    """Window of the reference with the most straight edges, where all three images are valid and not saturated.

    Args:
        improvement: The previews to choose a window of.

    Returns:
        A square window, in pixels of the previews.
    """
    reference = improvement.previews[0]
    width, height = reference.size
    side = min(_DETAIL_PX, width, height)
    valid = np.logical_and.reduce([raster.valid for raster in improvement.previews]).astype(np.float32)
    grey = cv2.cvtColor(stretched(reference), cv2.COLOR_RGB2GRAY).astype(np.float32)
    for raster in (reference, improvement.previews[2]):
        valid *= stretched(raster).min(axis=2) < _SATURATED
    edges = _straight_edges(grey) * valid
    corners = [(x, y) for y in _steps(height, side) for x in _steps(width, side)]

    def score(corner: tuple[int, int]) -> float:
        x, y = corner
        inside = np.s_[y : y + side, x : x + side]
        # invalid pixels cost more than edges gain
        return float(edges[inside].mean() * valid[inside].mean() ** 4)

    x, y = max(corners, key=score)
    return Window(x, y, side, side)


def _straight_edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Anisotropy of the structure tensor: high on roads and field borders, low in the texture of towns."""
    across, down = (cv2.Sobel(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), 4.0) for product in (across**2, down**2, across * down))
    return np.asarray(np.sqrt(np.hypot(xx - yy, 2 * xy)))


def _steps(length: int, side: int) -> list[int]:
    return [int(start) for start in np.unique(np.linspace(0, length - side, max(1, 2 * length // side)).astype(int))]


def _crop(image: Image, window: Window) -> Image:
    return image[window.y : window.y + window.height, window.x : window.x + window.width]


def _join_squares(reference: Image, target: Image) -> Image:
    row, column = (np.arange(side) * _SQUARES // side for side in reference.shape[:2])
    odd = (row[:, None] + column) % 2 == 1
    return np.where(odd[..., None], _tinted(target, ORANGE), _tinted(reference, BLUE))


def _tinted(image: Image, colour: str) -> Image:
    return np.asarray((1 - _TINT) * image + _TINT * 255 * np.array(to_rgb(colour)), np.uint8)


def _overlay(reference: Image, target: Image) -> Image:
    """Red of the grey levels of the reference, green and blue of those of the target, of one mean and contrast."""
    first, second = (_normalised(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in (reference, target))
    return np.stack([first, second, second], axis=2)


def _normalised(grey: Image) -> Image:
    levels = grey.astype(np.float32)
    return np.asarray(np.clip((levels - levels.mean()) / max(levels.std(), 1.0) * 55 + 128, 0, 255), np.uint8)


def _join_halves(reference: Image, target: Image) -> Image:
    half = reference.shape[1] // 2
    return np.hstack([reference[:, :half], target[:, half:]])
