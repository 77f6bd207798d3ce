"""Where the ground of one image is expected in the other, and which cells of the two show common ground."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import common_corners
from s2match.core.georeference import comparable, expected_linear, predict
from s2match.core.matches import CELL_PX, Matches
from s2match.core.raster import HasGrid
from s2match.registration.evidence import FitFailure, common_ground
from s2match.registration.fit import fit
from s2match.registration.model_selection import GLOBAL_CANDIDATES
from s2match.registration.options import AUTO, DEFAULT_FIT, FitOptions
from s2match.registration.uncertainty import uncertainty_px

# How far off a model may be beside what its matches tell, and the georeference, target pixels.
_MODEL_OFF_PX, _GEOREFERENCE_OFF_PX = 2.0, 32.0

# Standard errors of a model within which it nearly always lies.
_STANDARD_ERRORS = 3.0

# Leaving out less than this share of all pairs of cells changes little of what the network sees.
_WORTHWHILE = 0.5

# Points (x, y) of the reference to those of the target.
PointMap = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class SearchPrior:
    """Where points of the reference lie in the target.

    Attributes:
        map_points: (N, 2) reference pixels (x, y) to target pixels.
        search_radius_px: How far off that may be, target pixels.
    """

    map_points: PointMap
    search_radius_px: float

    def resized(self, sizes: tuple[HasGrid, HasGrid], onto: tuple[HasGrid, HasGrid]) -> "SearchPrior":
        """The same for the reference and the target at other sizes than it was found at."""
        (small0, small1), (large0, large1) = ((np.array(image.size) for image in pair) for pair in (sizes, onto))
        out = large1 / small1
        return SearchPrior(
            lambda xy: self.map_points(xy * (small0 / large0)) * out, self.search_radius_px * float(out.max())
        )


def by_matches(
    matches: Matches, reference: HasGrid, target: HasGrid, options: FitOptions = DEFAULT_FIT
) -> SearchPrior | None:
    """What matches tell; None where they are no evidence.

    Args:
        matches: Matches of the two images, weak ones, too.
        reference: Image of their ``xy0``.
        target: Image of their ``xy1``.
        options: Of the fit; the model is chosen, and its threshold is no lower than the default.
    """
    options = options.using(AUTO).at_least(DEFAULT_FIT.threshold_px)
    expected, ground = expected_linear(reference, target), common_ground(reference, target)
    found = fit(matches, options, expected, GLOBAL_CANDIDATES, ground)
    if isinstance(found, FitFailure):
        return None
    off = float(uncertainty_px(found, matches, common_corners(reference, target)).max())
    return SearchPrior(found.apply, max(_MODEL_OFF_PX, _STANDARD_ERRORS * off))


def by_georeference(reference: HasGrid, target: HasGrid) -> SearchPrior | None:
    """What the georeference of both tells; None where one has none."""
    if not comparable(reference, target):
        return None
    return SearchPrior(lambda xy: predict(xy, reference, target), _GEOREFERENCE_OFF_PX)


def common_cells(
    reference: tuple[int, int], target: tuple[int, int], expected: SearchPrior
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """The cells of 8 px of two images that may show ground of the other.

    Args:
        reference: Its width and height, pixels.
        target: Its width and height.
        expected: Where the ground of the reference lies in the target.

    Returns:
        (rows, columns) of the reference and of the target; None where most cells of both do, or none does.
    """
    columns, rows = (-(-side // CELL_PX) for side in reference)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    there = expected.map_points((np.stack([x, y], -1).reshape(-1, 2).astype(np.float64) + 0.5) * CELL_PX)
    margin_px = expected.search_radius_px + CELL_PX
    here = ((there >= -margin_px) & (there <= np.array(target) + margin_px)).all(axis=1)
    if not here.any():
        return None
    low, high = there[here].min(axis=0) - margin_px, there[here].max(axis=0) + margin_px
    across, down = ((np.arange(-(-side // CELL_PX)) + 0.5) * CELL_PX for side in target)
    shown = ((down >= low[1]) & (down <= high[1]))[:, None] & ((across >= low[0]) & (across <= high[0]))
    if here.mean() * shown.mean() > _WORTHWHILE or not shown.any():
        return None
    return here.reshape(rows, columns), shown
