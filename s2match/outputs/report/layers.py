"""Images of the page's map: the reference and the target, all on the pixels of the reference."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import comparable, predict, same_pixels
from s2match.core.point_maps import PointMap, grid_points
from s2match.core.validity import valid_at
from s2match.correction.evaluation import Improvement
from s2match.outputs.figures.views import View, common_views
from s2match.registration.verdict import Decision
from s2match.result import PairResult

# Longest side of an image, in pixels.
_LONGEST_PX = 1100

# Margin around points that lie outside of the common ground, in pixels of the matched size.
_MARGIN_PX = 8.0

_OPAQUE = 255


@dataclass(frozen=True)
class Layer:
    """An image of the map.

    Attributes:
        name: ``reference``, ``target`` or ``corrected``.
        title: Its name for people.
        image: H×W×4 uint8; transparent where it has no data.
    """

    name: str
    title: str
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class MapImages:
    """The images of the map and the ground that they cover.

    Attributes:
        layers: The reference, the target, and the target where the model or the correction put it.
        low: (2,) upper left corner (x, y) of all of them, in pixels of the reference at the matched size.
        high: (2,) lower right corner.
    """

    layers: tuple[Layer, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def map_images(result: PairResult, improvement: Improvement | None) -> MapImages:
    """Images of the common ground of a pair and of all of its points.

    The target lies where its georeference puts it; without one, on the same pixels if both images have the same size.
    If it is displaced, it is shown a second time: corrected, or where the model puts it.

    Args:
        result: The result.
        improvement: The target before and after its correction; None without one.
    """
    views = common_views(result)
    low, high = _bounds(result, views[0])
    per_pixel = views[0].per_pixel * min(1.0, _LONGEST_PX / float(((high - low) * views[0].per_pixel).max()))
    columns, rows = np.maximum(np.round((high - low) * per_pixel), 1).astype(int)
    step = (high - low) / (columns, rows)
    xy = grid_points(low[0] + (np.arange(columns) + 0.5) * step[0], low[1] + (np.arange(rows) + 0.5) * step[1])

    def layer(name: str, title: str, view: View, place: PointMap) -> Layer:
        return Layer(name, title, _sampled(view, place(xy), (rows, columns), per_pixel))

    layers = [layer("reference", "reference", views[0], _same)]
    placed = _georeferenced_place(result)
    if placed is not None:
        layers.append(layer("target", "target", views[1], placed))
    if improvement is not None:
        corrected = improvement.previews[2]
        view = View(views[0].image, corrected, low, high, views[1].contrast)
        layers.append(layer("corrected", "corrected target", view, _same))
    elif result.registration is not None and (placed is None or result.verdict.decision is not Decision.REGISTERED):
        layers.append(layer("corrected", "target by the model", views[1], result.registration.apply))
    return MapImages(tuple(layers), low, high)


def _same(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return xy


def _bounds(result: PairResult, view: View) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the common ground with all points, in pixels of the reference."""
    xy = result.matches.xy0
    if not len(xy):
        return view.low, view.high
    low = np.minimum(view.low, xy.min(axis=0) - _MARGIN_PX)
    high = np.maximum(view.high, xy.max(axis=0) + _MARGIN_PX)
    return np.maximum(low, 0), np.minimum(high, result.reference.size)


def _georeferenced_place(result: PairResult) -> PointMap | None:
    """Map from the reference to the target without the model; None if nothing relates them."""
    reference, target = result.reference, result.target
    if comparable(reference, target):
        return lambda xy: predict(xy, reference, target)
    return _same if same_pixels(reference, target) else None


def _sampled(
    view: View, xy: NDArray[np.float64], shape: tuple[int, int], per_pixel: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """H×W×4 pixels of a view at positions (H · W, 2) in its image, bilinear.

    Args:
        view: The view.
        xy: The positions, in pixels of the matched size.
        shape: Rows and columns of the result.
        per_pixel: (2,) columns and rows of the result per pixel of the matched size.
    """
    # averaged first where the result is smaller: single samples would alias
    size = np.minimum(np.array(view.preview.size), np.ceil(np.array(view.image.size) * per_pixel)).astype(int)
    drawn = cv2.resize(view.drawn, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    # in OpenCV the centre of the first pixel is (0, 0)
    pixels = np.nan_to_num(xy * (size / view.image.size) - 0.5, nan=-1e6).reshape(*shape, 2)
    pixels = np.clip(pixels, -1e4, 3e4).astype(np.float32)
    image = cv2.remap(drawn, pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    valid = valid_at(view.preview.valid, xy, view.image.size).reshape(shape)
    return np.dstack([image, np.where(valid, _OPAQUE, 0).astype(np.uint8)])
