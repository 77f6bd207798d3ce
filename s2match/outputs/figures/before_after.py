"""The target before and after its correction, against the reference: a checkerboard and a swipe."""

from collections.abc import Callable

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from s2match.core.window import Window
from s2match.correction.evaluation import Improvement
from s2match.outputs.agreement import measure_text
from s2match.outputs.figures.style import LABEL_PT, TITLE_PT, label_axes, new_figure, stretched

# A part of this side is shown, where errors of a pixel are seen.
_DETAIL_PX = 120
_SQUARES = 5

# Pixels brighter than this in all bands show nothing: cloud, and what the stretch of a bright town cuts off.
_SATURATED = 235

Image = NDArray[np.uint8]


def plot_checkerboard(improvement: Improvement) -> Figure:
    """Squares of the reference and of the target in turn: edges run on where they agree."""
    return _plot(improvement, _checkered, f"checkerboard of {_SQUARES} × {_SQUARES} squares, the first the reference's")


def plot_swipe(improvement: Improvement) -> Figure:
    """The reference in the left half, the target in the right one."""
    return _plot(improvement, _halved, "left of the line the reference, right of it the target")


def _plot(improvement: Improvement, join: Callable[[Image, Image], Image], told: str) -> Figure:
    part = detail(improvement)
    reference, before, after = (_cut(stretched(raster), part) for raster in improvement.previews)
    figure = new_figure(13, 7.3)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, target, name, agreement in zip(
        panels, (before, after), ("before", "after"), (improvement.before, improvement.after), strict=True
    ):
        extent = (part.x, part.x + part.width, part.y + part.height, part.y)
        axes.imshow(join(reference, target), extent=extent, interpolation="nearest")
        if join is _halved:
            axes.axvline(part.x + part.width / 2, color="white", lw=2.5)
        ce90, similarity = (measure_text(agreement, measure, improvement.axes) for measure in ("ce90_m", "similarity"))
        axes.set_title(f"{name}: CE90 {ce90}, SSIM {similarity}", fontsize=LABEL_PT, pad=8)
        label_axes(axes, "column of the reference (px)")
    label_axes(panels[0], "column of the reference (px)", "row of the reference (px)")
    figure.suptitle(f"{improvement.previews[0].scene.title}: {told}", fontsize=TITLE_PT, parse_math=False)
    return figure


def detail(improvement: Improvement) -> Window:
    """The square part of the reference with most straight edges, among those that all three images show best."""
    reference = improvement.previews[0]
    width, height = reference.size
    side = min(_DETAIL_PX, width, height)
    valid = np.logical_and.reduce([raster.valid for raster in improvement.previews]).astype(np.float32)
    grey = cv2.cvtColor(stretched(reference), cv2.COLOR_RGB2GRAY).astype(np.float32)
    for raster in (reference, improvement.previews[2]):
        valid *= stretched(raster).min(axis=2) < _SATURATED
    edges = _straight_edges(grey) * valid
    places = [(x, y) for y in _steps(height, side) for x in _steps(width, side)]

    def worth(place: tuple[int, int]) -> float:
        x, y = place
        here = np.s_[y : y + side, x : x + side]
        # a missing corner costs more than edges bring
        return float(edges[here].mean() * valid[here].mean() ** 4)

    x, y = max(places, key=worth)
    return Window(x, y, side, side)


def _straight_edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much steeper the image is across than along its edges: roads and borders, not the clutter of towns."""
    across, down = (cv2.Sobel(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), 4.0) for product in (across**2, down**2, across * down))
    return np.asarray(np.sqrt(np.hypot(xx - yy, 2 * xy)))


def _steps(length: int, side: int) -> list[int]:
    return [int(start) for start in np.unique(np.linspace(0, length - side, max(1, 2 * length // side)).astype(int))]


def _cut(image: Image, part: Window) -> Image:
    return image[part.y : part.y + part.height, part.x : part.x + part.width]


def _checkered(reference: Image, target: Image) -> Image:
    row, column = (np.arange(side) * _SQUARES // side for side in reference.shape[:2])
    odd = (row[:, None] + column) % 2 == 1
    return np.where(odd[..., None], target, reference)


def _halved(reference: Image, target: Image) -> Image:
    half = reference.shape[1] // 2
    return np.hstack([reference[:, :half], target[:, half:]])
