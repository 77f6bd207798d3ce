"""Match images of any size: a coarse pass finds where they lie to each other, windows do the rest."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.ground_axes import ground_axes, pixel_sides_m
from s2match.core.image_size import MIN_SIDE_PX, fit_size
from s2match.core.matches import Matches
from s2match.core.raster import Raster
from s2match.core.window import Window
from s2match.errors import OptionError
from s2match.io.reader import keep_open, read_whole, read_window
from s2match.matching.confidence import WEAK_CONFIDENCE, check_confidence
from s2match.matching.greyscale import prepare
from s2match.matching.memory import check_window_memory
from s2match.matching.postprocess import PostProcessing
from s2match.matching.search_prior import SearchPrior, by_georeference, by_matches
from s2match.matching.single_pass import match_rasters
from s2match.matching.thinning import thin
from s2match.matching.tile_plan import WindowPair, plan
from s2match.registration.model import DEFAULT_FIT, FitOptions
from s2match.util.threads import limit_threads

if TYPE_CHECKING:
    from s2match.loftr.matcher import LoftrMatcher

# Images up to this side are matched in one pass.
ONE_PASS_PX = 2048
COARSE_PX = 1098

# The coarse pass takes this share of the progress.
_COARSE_SHARE = 0.05


def in_one_pass(reference: Grid, target: Grid) -> bool:
    """Whether two images are small enough to be matched at once; larger ones are matched in windows."""
    return max(*reference.size, *target.size) <= ONE_PASS_PX


def previews_of(reference: Grid, target: Grid) -> tuple[Raster, Raster]:
    """Read two images at once, as they are where one pass can match them, or else as small as the coarse pass wants.

    Raises:
        UnreadableImageError: A file is damaged.
        NoValidPixelsError: An image holds nothing but nodata and what is masked.
    """
    sides = (*reference.size, *target.size)
    share = 1.0 if in_one_pass(reference, target) else COARSE_PX / max(sides)
    # no side too short to be matched: both get larger, because one that is stretched alone is hard to recognise
    share = max(share, min(1.0, MIN_SIDE_PX / min(sides)))
    small = [grid.resized(fit_size(grid.size, round(max(grid.size) * share))) for grid in (reference, target)]
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(read_whole, small)
    return first, second


@limit_threads()
def match_grids(
    matcher: "LoftrMatcher",
    reference: Grid,
    target: Grid,
    previews: tuple[Raster, Raster],
    confidence: float,
    search_radius_m: float | None = None,
    progress: Callable[[float], None] | None = None,
    postprocessing: PostProcessing | None = None,
    coverage: float = 1.0,
    fit_options: FitOptions = DEFAULT_FIT,
) -> Matches:
    """Match two images of any size in windows; memory does not grow with it.

    Args:
        matcher: The network.
        reference: Image whose points come out as ``xy0``, at the size to match at.
        target: Image whose points come out as ``xy1``.
        previews: Both, small enough for one pass: it tells where the ground of a window is sought. Where it finds
            nothing the georeference does; where there is none either, nothing is matched.
        confidence: Keep matches with a confidence above this.
        search_radius_m: How far from there, on the ground; None suits what told it.
        progress: Called with the share done, 0 to 1.
        postprocessing: What to do with what the network found in each window; None leaves it as it is.
        coverage: Share of the common ground that windows look at, see :func:`s2match.matching.tile_plan.plan`.
        fit_options: Of the fit to the matches of the previews.

    Returns:
        The matches, in pixels of the two grids, GDAL frame, window by window.

    Raises:
        OptionError: ``confidence`` is outside 0 to 1, or there is a search radius and no unit of metres.
        ImageSizeError: A window is too large for the memory there is.
        UnreadableImageError: A file is damaged.
    """
    check_confidence(confidence)
    if search_radius_m is not None and target.georeferenced and not ground_axes(target).in_metres:
        raise OptionError("A search radius in metres needs a reference system, and the images name none.")
    report = progress or (lambda share: None)
    expected = _expectation(matcher, reference, target, previews, fit_options)
    report(_COARSE_SHARE)
    if expected is not None and search_radius_m is not None and target.georeferenced:
        expected = replace(expected, search_radius_px=search_radius_m / min(pixel_sides_m(target, target.transform)))
    pairs = [] if expected is None else plan(reference, target, expected, coverage=coverage)
    found = [matcher.nothing(confidence)]
    if pairs:
        check_window_memory(matcher, max((pair.sizes for pair in pairs), key=_pixels))
    with keep_open(reference, target):
        for done, pair in enumerate(pairs, 1):
            found.append(_match_window(matcher, reference, target, pair, confidence, postprocessing))
            report(_COARSE_SHARE + (1 - _COARSE_SHARE) * done / len(pairs))
    matches = Matches.concatenate(found)
    return matches if postprocessing is None else thin(matches, postprocessing.max_points)


def _expectation(
    matcher: "LoftrMatcher", reference: Grid, target: Grid, previews: tuple[Raster, Raster], options: FitOptions
) -> SearchPrior | None:
    """Where points of the reference are expected in the target."""
    coarse = match_rasters(matcher, *previews, WEAK_CONFIDENCE, fit_options=options)
    told = by_matches(coarse, *previews, options)
    return by_georeference(reference, target) if told is None else told.resized(previews, (reference, target))


def _match_window(
    matcher: "LoftrMatcher",
    reference: Grid,
    target: Grid,
    pair: WindowPair,
    confidence: float,
    postprocessing: PostProcessing | None,
) -> Matches:
    """The matches of a window's core, in pixels of the grids."""
    patches = read_window(reference, pair.reference), read_window(target, pair.target)
    if not all(patch.valid.any() for patch in patches):
        return matcher.nothing(confidence)
    grey0, grey1 = prepare(patches[0]), prepare(patches[1])
    matches = matcher.match(grey0, grey1, confidence, pair.bands)
    core = Window(pair.core.x - pair.reference.x, pair.core.y - pair.reference.y, pair.core.width, pair.core.height)
    if postprocessing is None:
        matches = matches.subset(core.holds(matches.xy0))
    else:
        matches = postprocessing.apply(matches, grey0, grey1, pair.expected, core, pair.share)
    return replace(matches, xy0=matches.xy0 + _corner(pair.reference), xy1=matches.xy1 + _corner(pair.target))


def _pixels(sizes: tuple[tuple[int, int], tuple[int, int]]) -> int:
    return sum(map(math.prod, sizes))


def _corner(window: Window) -> NDArray[np.float64]:
    return np.array([window.x, window.y], float)
