"""Match two rasters in one pass of the network."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from s2match.core.georeference import comparable, expected_linear
from s2match.core.matches import GreyImage, Matches
from s2match.core.raster import Raster
from s2match.errors import NoValidPixelsError
from s2match.matching.enlarged import EnlargingMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.matcher import Matcher
from s2match.matching.memory import check_memory
from s2match.matching.orientation_search import find_orientation
from s2match.matching.postprocess import Region, postprocess
from s2match.matching.reorientation import ReorientedGrid, nearest_similarity, reorient
from s2match.matching.search_prior import SearchPrior, by_georeference, by_matches, common_cells
from s2match.settings import Settings
from s2match.util.threads import limit_threads

_LOG = logging.getLogger(__name__)

# Matches above this suffice to locate the common ground, be they right or not.
WEAK_CONFIDENCE = 0.2

# The network is exact up to this turn, and this factor of the scale; beyond them the target is resampled.
_EXACT_TURN_DEG, _EXACT_SCALE = 10.0, 1.1


@dataclass(frozen=True)
class CoarsePass:
    """Matches above :data:`WEAK_CONFIDENCE`, without post-processing.

    Attributes:
        matches: The matches, in pixels of the reference and of ``target``.
        target: The target, resampled if it was reoriented.
        reorientation: Its pixels as pixels of the given target; None if it was not reoriented.
    """

    matches: Matches
    target: Raster
    reorientation: ReorientedGrid | None


@dataclass(frozen=True)
class _Encoded:
    """An image, as the matcher sees it, and its features."""

    raster: Raster
    image: GreyImage
    features: Any


@dataclass(frozen=True)
class _Passes:
    """The result of one or two passes over two images.

    Attributes:
        target: The target.
        images: Both images as the matcher sees them.
        matches: Matches of the last pass.
        by_matches: The prior by the matches of the first pass; None if no model was accepted.
        reorientation: Pixels of the target as pixels of the given target; None if it was not reoriented.
    """

    target: Raster
    images: tuple[GreyImage, GreyImage]
    matches: Matches
    by_matches: SearchPrior | None
    reorientation: ReorientedGrid | None = None


@limit_threads()
def match_rasters(
    matcher: Matcher[Any],
    reference: Raster,
    target: Raster,
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Matches:
    """Match two images at once.

    If they share only a part of their ground, a second pass matches that part alone, because attention is spread over
    the whole input of the network.

    Without a common georeference the target may be turned and scaled against the reference. It is then resampled along
    the axes of the reference and matched, and the matches are mapped back.

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
        NoValidPixelsError: All pixels of an image are nodata or masked.
    """
    for raster in (reference, target):
        if not raster.valid.any():
            raise NoValidPixelsError(f"{raster.scene.path.name} has no valid pixel to match.")
    passes = _match_passes(matcher, (reference, target), settings, progress)
    matches = postprocess(passes.matches, passes.images, Region(expected_linear(reference, passes.target)), settings)
    return matches if passes.reorientation is None else passes.reorientation.mapped_back(matches)


def coarse_pass(matcher: Matcher[Any], reference: Raster, target: Raster, settings: Settings) -> CoarsePass:
    """Match two rasters with a low confidence, to predict where to search.

    Raises:
        ImageSizeError: The images are too large for one pass in the memory that is free.
    """
    passes = _match_passes(matcher, (reference, target), settings.but(confidence=WEAK_CONFIDENCE), None)
    return CoarsePass(passes.matches, passes.target, passes.reorientation)


def _match_passes(
    matcher: Matcher[Any],
    rasters: tuple[Raster, Raster],
    settings: Settings,
    progress: Callable[[float], None] | None,
) -> _Passes:
    """Match two images, and again with the target reoriented if it is turned or scaled."""
    enlarging = EnlargingMatcher.of(matcher, rasters[0].size, rasters[1].size)
    check_memory(enlarging, rasters[0].size, rasters[1].size)
    report = progress or (lambda fraction: None)
    image = prepare(rasters[0])
    reference = _Encoded(rasters[0], image, enlarging.encode(image))
    report(0.3)
    passes = _match_target(enlarging, reference, rasters[1], settings)
    report(0.8)
    if not comparable(*rasters):
        reoriented = _match_reoriented(enlarging, reference, passes, settings, lambda share: report(0.8 + 0.1 * share))
        passes = reoriented or passes
    report(1.0)
    return passes


def _match_target(matcher: EnlargingMatcher, reference: _Encoded, target: Raster, settings: Settings) -> _Passes:
    """Match an encoded reference with a target, and the cells of their common ground again if they are few."""
    image = prepare(target)
    features = matcher.encode(image)
    # weak matches, too, locate the common ground
    matches = matcher.match_encoded(
        reference.features, features, min(settings.confidence, WEAK_CONFIDENCE), to_refine=settings.refine
    )
    _LOG.info("%d matches above %.2f in the first pass", len(matches), matches.origin.confidence)
    model = by_matches(matches, reference.raster, target, settings.fit_options)
    prior = model or by_georeference(reference.raster, target)
    cells = None if prior is None else common_cells(reference.raster.size, target.size, prior, matcher.scale)
    if cells is None:
        matches = matches.above(settings.confidence)
    else:
        parts = reference.features.within(cells[0]), features.within(cells[1])
        matches = matcher.match_encoded(*parts, settings.confidence, to_refine=settings.refine)
        _LOG.info("second pass over the common ground: %d matches above %.2f", len(matches), settings.confidence)
    return _Passes(target, (reference.image, image), matches, model)


def _match_reoriented(
    matcher: EnlargingMatcher,
    reference: _Encoded,
    passes: _Passes,
    settings: Settings,
    report: Callable[[float], None],
) -> _Passes | None:
    """Match with the target turned and scaled back, if passes over it as it is were not good enough.

    Returns:
        The passes; None if the target is not turned or scaled by much, or if its orientation is not found.
    """
    target = passes.target
    if passes.by_matches is None:
        matrix = find_orientation(matcher.matcher, reference.raster, target, settings.fit_options, report)
    else:
        matrix = nearest_similarity(passes.by_matches.map_points, np.array(reference.raster.size) / 2)
    pixels = None if matrix is None else reorient(reference.raster, target, matrix)
    if pixels is None or (passes.by_matches is not None and _is_within_reach(pixels)):
        return None
    check_memory(matcher, reference.raster.size, pixels.size)
    turned = pixels.resample(target)
    if not turned.valid.any():
        return None
    _LOG.info("the target is turned by %.1f° clockwise and scaled by %.3f", pixels.turn_deg, pixels.scale)
    again = _match_target(matcher, reference, turned, settings)
    if again.by_matches is None:
        _LOG.info("no model in this orientation: the matches without it are used")
        return None
    return replace(again, reorientation=pixels)


def _is_within_reach(pixels: ReorientedGrid) -> bool:
    """Whether the network matches a target of this turn and scale exactly as it is."""
    return abs(pixels.turn_deg) <= _EXACT_TURN_DEG and 1 / _EXACT_SCALE <= pixels.scale <= _EXACT_SCALE
