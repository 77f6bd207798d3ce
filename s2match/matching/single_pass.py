"""Match two rasters in one pass of the network."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import expected_linear
from s2match.core.matches import GreyImage, Matches
from s2match.core.raster import Raster
from s2match.matching.greyscale import prepare
from s2match.matching.matcher import Encoded, Matcher
from s2match.matching.memory import check_memory
from s2match.matching.postprocess import Region, postprocess
from s2match.matching.search_prior import by_georeference, by_matches, common_cells
from s2match.settings import Settings
from s2match.util.threads import limit_threads

_LOG = logging.getLogger(__name__)

# Matches above this suffice to locate the common ground, be they right or not.
WEAK_CONFIDENCE = 0.2


@limit_threads()
def match_rasters(
    matcher: Matcher[Encoded],
    reference: Raster,
    target: Raster,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Matches:
    """Match two images at once.

    If they share only a part of their ground, a second pass matches that part alone, because attention is spread over
    the whole input of the network.

    Args:
        matcher: The network.
        reference: Image of ``xy0``.
        target: Image of ``xy1``.
        settings: Confidence, options of the fit that locates the common ground, and post-processing.
        progress: Called with the fraction done, 0 to 1.

    Returns:
        The matches, in pixels of the two rasters, GDAL frame.

    Raises:
        ImageSizeError: The images are too large for one pass in the memory that is free.
    """
    images, matches = _match_passes(matcher, (reference, target), settings, progress)
    return postprocess(matches, images, Region(expected_linear(reference, target)), settings)


def coarse_matches(matcher: Matcher[Encoded], reference: Raster, target: Raster, settings: Settings) -> Matches:
    """Matches of two rasters above :data:`WEAK_CONFIDENCE`, without post-processing, to predict where to search.

    Raises:
        ImageSizeError: The images are too large for one pass in the memory that is free.
    """
    return _match_passes(matcher, (reference, target), settings.but(confidence=WEAK_CONFIDENCE), None)[1]


def _match_passes(
    matcher: Matcher[Encoded],
    rasters: tuple[Raster, Raster],
    settings: Settings,
    progress: Callable[[float], None] | None,
) -> tuple[tuple[GreyImage, GreyImage], Matches]:
    """Both images as the matcher sees them, and the matches of the last of one or two passes."""
    check_memory(matcher, rasters[0].size, rasters[1].size)
    report = progress or (lambda fraction: None)
    images = prepare(rasters[0]), prepare(rasters[1])
    encoded0 = matcher.encode(images[0])
    report(0.3)
    encoded1 = matcher.encode(images[1])
    report(0.6)
    # weak matches, too, locate the common ground
    matches = matcher.match_encoded(encoded0, encoded1, min(settings.confidence, WEAK_CONFIDENCE))
    _LOG.info("%d matches above %.2f in the first pass", len(matches), matches.origin.confidence)
    report(0.9)
    cells = _common_cells(matches, rasters, settings)
    if cells is None:
        matches = matches.above(settings.confidence)
    else:
        matches = matcher.match_encoded(encoded0.within(cells[0]), encoded1.within(cells[1]), settings.confidence)
        _LOG.info("second pass over the common ground: %d matches above %.2f", len(matches), settings.confidence)
    report(1.0)
    return images, matches


def _common_cells(
    matches: Matches, rasters: tuple[Raster, Raster], settings: Settings
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Cells that a second pass over the common ground takes, see :func:`s2match.matching.search_prior.common_cells`."""
    prior = by_matches(matches, *rasters, settings.fit_options) or by_georeference(*rasters)
    return None if prior is None else common_cells(rasters[0].size, rasters[1].size, prior)
