"""Match images of any size: a coarse pass predicts the position of each window, windows are matched one by one."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.ground_axes import ground_axes, pixel_sides_m
from s2match.core.image_size import MIN_SIDE_PX, ONE_PASS_PX, REDUCED_SIDE_PX, fit_size
from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.core.raster import Patch, Raster
from s2match.core.window import Window
from s2match.errors import OptionError
from s2match.io.reader import blocks_of, keep_open, read_whole, read_window
from s2match.matching.greyscale import prepare
from s2match.matching.matcher import Matcher
from s2match.matching.memory import check_window_memory
from s2match.matching.postprocess import postprocess
from s2match.matching.reorientation import ReorientedGrid
from s2match.matching.search_prior import SearchPrior, by_georeference, by_matches
from s2match.matching.single_pass import coarse_pass
from s2match.matching.spread_cores import Sample
from s2match.matching.thinning import thin
from s2match.matching.tile_plan import WindowPair, plan
from s2match.settings import Settings
from s2match.util.background import computed_ahead, results_in_order
from s2match.util.threads import limit_threads, torch_threads_apart

# The coarse pass takes this fraction of the progress.
_COARSE_FRACTION = 0.05

# Most windows that are measured at once, each in some 100 MB.
_MOST_AT_ONCE = 4

_LOG = logging.getLogger(__name__)


def in_one_pass(reference: Grid, target: Grid) -> bool:
    """Whether two images are small enough to be matched in one pass; larger ones are matched in windows."""
    return max(*reference.size, *target.size) <= ONE_PASS_PX


def previews_of(reference: Grid, target: Grid, read: Callable[[Grid], Raster] = read_whole) -> tuple[Raster, Raster]:
    """Read both images at the same time: in full if one pass can match them, or else reduced for the coarse pass.

    Args:
        reference: The grid of the reference at the size to match at.
        target: The grid of the target at the size to match at.
        read: Reads an image on a grid; such as :func:`s2match.io.reader.read_whole` with a cache.

    Raises:
        UnreadableImageError: A file is damaged.
        NoValidPixelsError: An image contains only nodata and masked pixels.
    """
    sides = (*reference.size, *target.size)
    scale = 1.0 if in_one_pass(reference, target) else REDUCED_SIDE_PX / max(sides)
    # the shortest side must be long enough to be matched; both images get the same scale, to look alike
    scale = max(scale, min(1.0, MIN_SIDE_PX / min(sides)))
    small = [grid.resized(fit_size(grid.size, round(max(grid.size) * scale))) for grid in (reference, target)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(read, small)
    return first, second


@limit_threads()
def match_grids(
    matcher: Matcher[Any],
    grids: tuple[Grid, Grid],
    previews: tuple[Raster, Raster],
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Matches:
    """Match two images of any size in windows; memory does not grow with the size.

    Args:
        matcher: The network.
        grids: Reference and target, at the size to match at.
        previews: Both images, small enough for one pass. Their matches, or else the georeference, predict the position
            of each window in the target. Without both, nothing is matched.
        settings: Confidence, search radius, coverage and post-processing.
        progress: Called with the fraction done, 0 to 1.

    Returns:
        The matches, in pixels of the two grids, GDAL frame, window by window.

    Raises:
        OptionError: There is a search radius in metres, and the images name no reference system.
        ImageSizeError: A window is too large for the memory that is free.
        UnreadableImageError: A file is damaged.
    """
    radius_m, target = settings.search_radius_m, grids[1]
    if radius_m is not None and target.georeferenced and not ground_axes(target).in_metres:
        raise OptionError("A search radius in metres needs a reference system, and the images name none.")
    report = progress or (lambda fraction: None)
    search = _coarse_search(matcher, grids, previews, settings)
    report(_COARSE_FRACTION)
    prior, reoriented = search.prior, search.reorientation
    if prior is not None and radius_m is not None and target.georeferenced:
        radius_px = radius_m / min(pixel_sides_m(target, target.transform))
        prior = replace(prior, search_radius_px=radius_px / (1.0 if reoriented is None else reoriented.scale))
    searched = target if reoriented is None else reoriented.grid
    sample = _sample_of(grids, reoriented, settings)
    pairs = [] if prior is None else plan(grids[0], searched, prior, sample=sample)
    if pairs:
        check_window_memory(matcher, max((pair.sizes for pair in pairs), key=_pixels))
    parts = [matcher.no_matches(settings.confidence)]
    with (
        computed_ahead(lambda pair: _grey(read_window(grids[0], pair.reference)), pairs, keep_open(grids[0])) as first,
        computed_ahead(lambda pair: _grey(_read_target(target, reoriented, pair)), pairs, keep_open(target)) as second,
    ):
        windows = map(_Window, pairs, first, second)
        known = _measured(windows, settings, parts[0].origin) if search.known else ((each, None) for each in windows)
        for done, (window, measured) in enumerate(known, 1):
            parts.append(_match_window(matcher, window, settings) if measured is None else measured)
            _LOG.info("window %d of %d: %d matches", done, len(pairs), len(parts[-1]))
            report(_COARSE_FRACTION + (1 - _COARSE_FRACTION) * done / len(pairs))
    matches = thin(Matches.concatenate(parts), settings.max_points)
    return matches if reoriented is None else reoriented.mapped_back(matches)


def _sample_of(grids: tuple[Grid, Grid], reoriented: ReorientedGrid | None, settings: Settings) -> Sample | None:
    """The part of the ground that is matched; None for all of it."""
    if settings.coverage == 1:
        return None
    return Sample(settings.coverage, (blocks_of(grids[0]), None if reoriented else blocks_of(grids[1])))


@dataclass(frozen=True)
class _CoarseSearch:
    """What the coarse pass predicts.

    Attributes:
        prior: Predicted positions of the reference's points in the target, or in the pixels of ``reorientation``; None
            without matches and georeference.
        known: Whether the positions are exact enough to be measured by correlation.
        reorientation: Pixels along the axes of the reference that the target is resampled onto; None if it is matched
            in its own.
    """

    prior: SearchPrior | None
    known: bool = False
    reorientation: ReorientedGrid | None = None


def _coarse_search(
    matcher: Matcher[Any], grids: tuple[Grid, Grid], previews: tuple[Raster, Raster], settings: Settings
) -> _CoarseSearch:
    """Match the previews, to predict the position of each window."""
    coarse = coarse_pass(matcher, *previews, settings)
    prior = by_matches(coarse.matches, previews[0], coarse.target, settings.fit_options)
    if prior is None:
        return _CoarseSearch(by_georeference(*grids))
    aligned = None
    # a radius means that the prediction may be wrong by more than it knows
    if settings.refine and settings.search_radius_m is None:
        # PyTorch takes a second to import: not before the images are being read
        from s2match.matching.known_position import aligned_prior

        aligned = aligned_prior(prior, (previews[0], coarse.target))
    prior, known = aligned or prior, aligned is not None
    if coarse.reorientation is None:
        return _CoarseSearch(prior.resized(previews, grids), known)
    reoriented = coarse.reorientation.enlarged(previews, grids)
    sizes = previews[0], coarse.target
    return _CoarseSearch(prior.resized(sizes, (grids[0], reoriented.grid)), known, reoriented)


def _read_target(target: Grid, reoriented: ReorientedGrid | None, pair: WindowPair) -> Patch:
    """The pixels of a window of the target, or of a window of the pixels that it is resampled onto."""
    read = partial(read_window, target)
    return read(pair.target) if reoriented is None else reoriented.read(pair.target, read)


def _grey(patch: Patch) -> GreyImage | None:
    """A window as the matcher sees it; None without valid pixels."""
    return prepare(patch) if patch.valid.any() else None


@dataclass(frozen=True)
class _Window:
    """A pair of windows.

    Attributes:
        pair: The windows.
        reference: Pixels of the reference as the matcher sees them; None without valid ones.
        target: Likewise, of the target.
    """

    pair: WindowPair
    reference: GreyImage | None
    target: GreyImage | None

    def in_grids(self, matches: Matches) -> Matches:
        """Matches in pixels of the windows as matches in pixels of the grids."""
        xy0, xy1 = matches.xy0 + _corner(self.pair.reference), matches.xy1 + _corner(self.pair.target)
        return replace(matches, xy0=xy0, xy1=xy1)


def _measured(
    windows: Iterable[_Window], settings: Settings, origin: Provenance
) -> Iterator[tuple[_Window, Matches | None]]:
    """Windows whose position is known, in their order, with their matches by correlation; None if it finds too few.

    Several are measured at once: most of the work is in functions that use a single processor.
    """
    # PyTorch takes a second to import: not before the images are being read
    from s2match.matching.known_position import matches_at_known_position
    from s2match.util.devices import memory_errors

    def measure(window: _Window) -> tuple[_Window, Matches | None]:
        if window.reference is None or window.target is None:
            return window, None
        most = window.pair.region.most_points(settings.max_points)
        with memory_errors(MemoryError("a window needs more memory")):
            found = matches_at_known_position((window.reference, window.target), window.pair, most, origin)
        return window, None if found is None else window.in_grids(found)

    with torch_threads_apart() as (threads, begin):
        functions = (partial(measure, window) for window in windows)
        yield from results_in_order(functions, min(threads, _MOST_AT_ONCE), begin)


def _match_window(matcher: Matcher[Any], window: _Window, settings: Settings) -> Matches:
    """The matches of a window's core by the network, in pixels of the grids."""
    if window.reference is None or window.target is None:
        return matcher.no_matches(settings.confidence)
    images, pair = (window.reference, window.target), window.pair
    matches = matcher.match_encoded(
        matcher.encode(images[0]), matcher.encode(images[1]), settings.confidence, pair.bands, settings.refine
    )
    return window.in_grids(postprocess(matches, images, pair.region, settings))


def _pixels(sizes: tuple[tuple[int, int], tuple[int, int]]) -> int:
    return sum(map(math.prod, sizes))


def _corner(window: Window) -> NDArray[np.float64]:
    return np.array([window.x, window.y], float)
