"""Predicted position of one image's points in the other, and the cells of common ground."""

import logging
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2match.core.footprint import common_corners
from s2match.core.georeference import comparable, expected_linear, predict
from s2match.core.matches import CELL_PX, Matches
from s2match.core.point_maps import PointMap, grid_points
from s2match.core.raster import HasGrid
from s2match.registration.evidence import FitFailure, common_ground
from s2match.registration.fit import fit
from s2match.registration.model_selection import GLOBAL_CANDIDATES
from s2match.registration.options import AUTO, DEFAULT_FIT, FitOptions
from s2match.registration.uncertainty import uncertainty_px

# Least search radius around a model's predictions, and the radius around those of the georeference, target pixels.
_MODEL_RADIUS_PX, _GEOREFERENCE_RADIUS_PX = 2.0, 32.0

# Least threshold of the fit: matches of reduced images are not refined.
_COARSE_THRESHOLD_PX = 1.5

# Standard errors of a model that its search radius spans.
_STANDARD_ERRORS = 3.0

# A second pass is worthwhile if the cells of common ground make up at most this fraction of all pairs of cells.
_WORTHWHILE = 0.5

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchPrior:
    """Predicted positions in the target of points of the reference.

    Attributes:
        map_points: (N, 2) reference pixels (x, y) to target pixels.
        search_radius_px: Largest error of a prediction, target pixels.
    """

    map_points: PointMap
    search_radius_px: float

    def resized(self, sizes: tuple[HasGrid, HasGrid], onto: tuple[HasGrid, HasGrid]) -> "SearchPrior":
        """The same prior for a reference and a target of other sizes.

        Args:
            sizes: Reference and target at the sizes of this prior.
            onto: Reference and target at the sizes of the returned one.
        """
        (small0, small1), (large0, large1) = ((np.array(image.size) for image in pair) for pair in (sizes, onto))
        scale = large1 / small1
        return SearchPrior(
            lambda xy: self.map_points(xy * (small0 / large0)) * scale, self.search_radius_px * float(scale.max())
        )


def by_matches(
    matches: Matches, reference: HasGrid, target: HasGrid, options: FitOptions = DEFAULT_FIT
) -> SearchPrior | None:
    """The prior by a model of the matches; None if no model is accepted.

    Args:
        matches: Matches of the two images, down to a low confidence.
        reference: Image of their ``xy0``.
        target: Image of their ``xy1``.
        options: Of the fit; the model is chosen, and its threshold is at least 1.5 px.
    """
    options = options.using(AUTO).with_min_threshold(_COARSE_THRESHOLD_PX)
    expected, ground = expected_linear(reference, target), common_ground(reference, target)
    registration = fit(matches, options, expected, GLOBAL_CANDIDATES, ground)
    if isinstance(registration, FitFailure):
        return None
    error_px = float(uncertainty_px(registration, matches, common_corners(reference, target)).max())
    radius_px = max(_MODEL_RADIUS_PX, _STANDARD_ERRORS * error_px)
    _LOG.info("search prior: %s of %d matches, radius %.1f px", registration.model, len(matches), radius_px)
    return SearchPrior(registration.apply, radius_px)


def by_georeference(reference: HasGrid, target: HasGrid) -> SearchPrior | None:
    """The prior by the georeferences; None if an image has none."""
    if not comparable(reference, target):
        return None
    _LOG.info("search prior: georeference, radius %.0f px", _GEOREFERENCE_RADIUS_PX)
    return SearchPrior(lambda xy: predict(xy, reference, target), _GEOREFERENCE_RADIUS_PX)


def common_cells(
    reference: tuple[int, int], target: tuple[int, int], prior: SearchPrior, network_scale: int = 1
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Masks of the network's cells of two images that may show ground of the other.

    Args:
        reference: Its width and height, pixels.
        target: Its width and height, pixels.
        prior: Predicted positions of the reference's points in the target.
        network_scale: Factor by which both images are enlarged for the network, whose cells have 8 px.

    Returns:
        (rows, columns) bool of the reference and of the target; None if most cells are common, or none.
    """
    cell_px = CELL_PX / network_scale
    columns, rows = (math.ceil(side / cell_px) for side in reference)
    target_xy = prior.map_points((grid_points(np.arange(columns), np.arange(rows)) + 0.5) * cell_px)
    margin_px = prior.search_radius_px + cell_px
    common0 = ((target_xy >= -margin_px) & (target_xy <= np.array(target) + margin_px)).all(axis=1)
    if not common0.any():
        return None
    low, high = target_xy[common0].min(axis=0) - margin_px, target_xy[common0].max(axis=0) + margin_px
    across, down = ((np.arange(math.ceil(side / cell_px)) + 0.5) * cell_px for side in target)
    common1 = ((down >= low[1]) & (down <= high[1]))[:, None] & ((across >= low[0]) & (across <= high[0]))
    if common0.mean() * common1.mean() > _WORTHWHILE or not common1.any():
        return None
    return common0.reshape(rows, columns), common1
