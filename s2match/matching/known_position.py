"""Windows whose position is known: their tie points are measured by correlation, without the network."""

import logging
import math

import numpy as np

from s2match.core.matches import CELL_PX, GreyImage, Matches, Provenance
from s2match.core.point_maps import grid_points, tangent
from s2match.core.raster import Raster
from s2match.matching.displacement import align
from s2match.matching.greyscale import prepare
from s2match.matching.search_prior import SearchPrior
from s2match.matching.subpixel import measure, valid_grid
from s2match.matching.tile_plan import WindowPair
from s2match.registration.model import apply_matrix

# Least share of the valid grid points of a window with a distinct peak: with fewer the network looks at it, too.
_LEAST_SHARE = 0.5

# Points along a side at which a refined prior is compared with the given one.
_SAMPLES = 17

_LOG = logging.getLogger(__name__)


def aligned_prior(prior: SearchPrior, previews: tuple[Raster, Raster]) -> SearchPrior | None:
    """A prior whose predictions are refined by correlation of the images that it was found on.

    Args:
        prior: The prior by a model of matches.
        previews: Reference and target.

    Returns:
        The refined prior; None if it contradicts the given one, as where no affine map is near a strong perspective.
    """
    reference, target = (np.array(preview.size) for preview in previews)
    start = tangent(prior.map_points, reference / 2)
    aligned = align((prepare(previews[0]), prepare(previews[1])), start).map_points
    along = np.linspace(0, 1, _SAMPLES)
    xy = grid_points(along, along) * reference
    predicted = prior.map_points(xy)
    common = ((predicted >= 0) & (predicted <= target)).all(axis=1)
    moved_px = np.linalg.norm(aligned(xy[common]) - predicted[common], axis=1)
    if not (moved_px <= prior.search_radius_px).all():
        _LOG.info("the correlation of the reduced images contradicts the model of the matches")
        return None
    return SearchPrior(aligned, prior.search_radius_px)


def matches_at_known_position(
    images: tuple[GreyImage, GreyImage], pair: WindowPair, most: int, origin: Provenance
) -> Matches | None:
    """Tie points on a grid over the common ground of a window's core, by correlation alone.

    Args:
        images: Reference and target, the pixels of the two windows.
        pair: The windows; the affine map between them is within about 4 px of the truth.
        most: Maximum number of points.
        origin: Provenance of the points; its confidence is the threshold that theirs exceeds.

    Returns:
        The points, in pixels of the windows; None if too few grid points have a distinct peak.
    """
    core, valid = pair.region.core, images[0].valid
    assert core is not None
    step_px = max(CELL_PX, math.ceil(math.sqrt(core.width * core.height / most)))
    xy0 = valid_grid(valid, core, step_px)
    # ground that the target does not show says nothing about the position
    xy0 = xy0[images[1].valid_at(apply_matrix(pair.window_affine, xy0))]
    if len(xy0) == 0:
        return None
    points = measure(xy0, align(images, pair.window_affine), origin, 0.0)
    _LOG.debug("%d of %d grid points have a distinct peak", len(points), len(xy0))
    if len(points) < _LEAST_SHARE * len(xy0):
        return None
    return points.subset(images[1].valid_at(points.xy1))
