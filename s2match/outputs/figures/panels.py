"""Places of two views and of the small whole images on the axes of a figure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import comparable
from s2match.outputs.figures.map_marks import locator_size
from s2match.outputs.figures.views import View

# Gap between the images, relative to their longest side: beside each other, and one above the other with its title.
_GAP, _GAP_BELOW = 0.03, 0.09

# Images wider than this relative to their height lie one above the other.
WIDE = 2.0


@dataclass(frozen=True)
class Locator:
    """The place of a whole image that is drawn small.

    Attributes:
        corner: (2,) its upper left corner on the axes.
        size: (2,) its size on the axes.
    """

    corner: NDArray[np.float64]
    size: NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A view at its place on the axes.

    Attributes:
        view: The view.
        corner: (2,) its upper left corner on the axes.
        scale: Length on the axes of a pixel of the view.
        locator: The whole image, drawn small; None where the view shows most of it.
    """

    view: View
    corner: NDArray[np.float64]
    scale: float
    locator: Locator | None

    @property
    def size(self) -> NDArray[np.float64]:
        """(2,) width and height on the axes."""
        return self.view.size * self.scale

    @property
    def ends(self) -> NDArray[np.float64]:
        """(2, 2) lowest and highest (x, y) on the axes of the view and of its locator."""
        low, high = self.corner, self.corner + self.size
        if self.locator is not None:
            low = np.minimum(low, self.locator.corner)
            high = np.maximum(high, self.locator.corner + self.locator.size)
        return np.stack([low, high])

    def place(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) places on the axes of pixels (N, 2) of the image."""
        return (xy - self.view.low) * self.scale + self.corner


def arranged(views: tuple[View, View]) -> tuple[Panel, Panel]:
    """Both views beside each other, or one above the other, the target as large as the reference.

    The whole images stand where no line between matches runs: on the outer sides of views beside each other, and at the
    right of views one above the other.
    """
    reference, target = views
    side_by_side = float(reference.size[0] / reference.size[1]) <= WIDE
    axis = 1 if side_by_side else 0
    same_pixels = comparable(reference.image, target.image)
    scales = 1.0, 1.0 if same_pixels else float(reference.size[axis] / target.size[axis])
    longest = float(max((view.size * scale).max() for view, scale in zip(views, scales, strict=True)))
    right = reference.size[0] + _GAP * longest, 0.0
    below = 0.0, reference.size[1] + _GAP_BELOW * longest
    corners = np.zeros(2), np.array(right if side_by_side else below)
    first, second = (
        Panel(view, corner, scale, _locator(view, (corner, view.size * scale), longest, side_by_side and number == 0))
        for number, (view, corner, scale) in enumerate(zip(views, corners, scales, strict=True))
    )
    return first, second


def _locator(
    view: View, box: tuple[NDArray[np.float64], NDArray[np.float64]], longest: float, at_left: bool
) -> Locator | None:
    """The place beside a view, whose corner and size on the axes are ``box``; None where it is not drawn."""
    size = locator_size(view, longest)
    if size is None:
        return None
    corner, gap = box[0], _GAP * longest
    x = corner[0] - gap - size[0] if at_left else corner[0] + box[1][0] + gap
    return Locator(np.array([x, corner[1]]), size)
