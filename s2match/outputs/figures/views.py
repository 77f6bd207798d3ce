"""The parts of two images that show their common ground."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import outline
from s2match.core.georeference import comparable, predict
from s2match.core.point_maps import PointMap
from s2match.core.raster import HasGrid, Raster
from s2match.outputs.figures.style import apply_contrast, contrast_table
from s2match.result import PairResult

# Margin around the common ground, relative to its sides.
_MARGIN = 0.1

# A narrow strip is shown with so much of its surroundings that its sides have at most this ratio.
_LARGEST_ASPECT = 3.0

# An image whose sides are covered to this share is covered.
_NEARLY_ALL = 0.97


@dataclass(frozen=True)
class View:
    """A part of an image to draw, always with the same contrast.

    Attributes:
        image: The image, at the size it was matched at.
        preview: Its pixels, at this size or smaller.
        low: (2,) upper left corner (x, y) of the part, in pixels of the matched size.
        high: (2,) lower right corner.
        contrast: (256,) uint8 table from grey levels to those that are drawn.
    """

    image: HasGrid
    preview: Raster
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    contrast: NDArray[np.uint8]

    @property
    def size(self) -> NDArray[np.float64]:
        """(2,) width and height of the part, in pixels of the matched size."""
        return self.high - self.low

    @property
    def share(self) -> float:
        """Area of the part as a fraction of the image."""
        return float(np.prod(self.size / self.image.size))

    @property
    def per_pixel(self) -> NDArray[np.float64]:
        """(2,) pixels of the preview per pixel of the matched size."""
        return np.array(self.preview.size) / self.image.size

    @cached_property
    def drawn(self) -> NDArray[np.uint8]:
        """The pixels of the preview with the contrast of the part."""
        return apply_contrast(self.contrast, self.preview.image, self.preview.valid)

    def pixels(self) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
        """The pixels of the part: H×W×3, and their corners (2,) and (2,) in pixels of the matched size."""
        first, after = _preview_window(self.low, self.high, self.per_pixel)
        inside = np.s_[first[1] : after[1], first[0] : after[0]]
        return self.drawn[inside], first / self.per_pixel, after / self.per_pixel


def common_views(result: PairResult) -> tuple[View, View]:
    """The parts of the reference and of the target that show their common ground and a margin.

    The model relates the images; without one, their georeferences. If neither does, both are shown whole.
    """
    reference, target = result.reference, result.target
    whole = [(np.zeros(2), np.array(image.size, float)) for image in (reference, target)]
    first, second = _common_boxes(result) or whole
    return _view(reference, result.previews[0], *first), _view(target, result.previews[1], *second)


def _view(image: HasGrid, preview: Raster, low: NDArray[np.float64], high: NDArray[np.float64]) -> View:
    (left, top), (right, bottom) = _preview_window(low, high, np.array(preview.size) / image.size)
    inside = np.s_[top:bottom, left:right]
    valid = preview.valid[inside]
    # a part without data has the contrast of the whole image
    values = preview.image[inside][valid] if valid.any() else preview.image[preview.valid]
    return View(image, preview, low, high, contrast_table(values))


def _preview_window(
    low: NDArray[np.float64], high: NDArray[np.float64], per_pixel: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(2,) first pixel (x, y) of a preview that a part touches, and (2,) the pixel after the last one."""
    first = np.floor(low * per_pixel).astype(int)
    return first, np.maximum(np.ceil(high * per_pixel).astype(int), first + 1)


_Box = tuple[NDArray[np.float64], NDArray[np.float64]]


def outlines(result: PairResult) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """(N, 2) outline of the target in the reference, and of the reference in the target; None if it is unknown."""
    maps = _maps(result)
    if maps is None:
        return None, None
    return maps[1](outline(result.target)), maps[0](outline(result.reference))


def covers(edge: NDArray[np.float64], image: HasGrid) -> bool:
    """Whether the bounding box of an outline (N, 2) covers nearly all of an image."""
    box = _box_of(edge, image)
    return box is not None and bool(((box[1] - box[0]) > _NEARLY_ALL * np.array(image.size)).all())


def _maps(result: PairResult) -> tuple[PointMap, PointMap] | None:
    """Maps from the reference to the target and back, by the model or by the georeferences; None without both."""
    reference, target, registration = result.reference, result.target, result.registration
    if registration is not None:
        return registration.apply, registration.invert
    if not comparable(reference, target):
        return None
    return (lambda xy: predict(xy, reference, target)), (lambda xy: predict(xy, target, reference))


def _common_boxes(result: PairResult) -> tuple[_Box, _Box] | None:
    """Boxes of the common ground and its margin in the reference and in the target; None if they are unknown."""
    edges = outlines(result)
    boxes = (_box_of(edge, image) for edge, image in zip(edges, (result.reference, result.target), strict=True))
    first, second = boxes
    if first is None or second is None:
        return None
    return _padded(*first, result.reference), _padded(*second, result.target)


def _box_of(edge: NDArray[np.float64] | None, image: HasGrid) -> _Box | None:
    """Bounding box of an outline (N, 2), cut off at the edges of an image; None if nothing lies in it."""
    if edge is None:
        return None
    edge = edge[np.isfinite(edge).all(axis=1)]
    if not len(edge):
        return None
    low, high = np.clip(edge.min(axis=0), 0, image.size), np.clip(edge.max(axis=0), 0, image.size)
    return (low, high) if (high - low >= 1).all() else None


def _padded(low: NDArray[np.float64], high: NDArray[np.float64], image: HasGrid) -> _Box:
    """A box with its margin, at least so wide that its aspect is not extreme, inside the image."""
    size = high - low
    margin = _MARGIN * size
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, image.size)
    # at an edge of the image all of the surroundings lie on one side
    wanted = np.minimum(np.maximum(high - low, (high - low).max() / _LARGEST_ASPECT), image.size)
    first = np.clip((low + high - wanted) / 2, 0, image.size - wanted)
    return first, first + wanted
