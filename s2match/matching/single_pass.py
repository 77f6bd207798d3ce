"""From two rasters to matches: what the network sees of an image, and what is too large for one pass."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from s2match.core.georeference import expected_linear
from s2match.core.matches import GreyImage, Matches
from s2match.core.raster import Raster
from s2match.matching.confidence import WEAK_CONFIDENCE, check_confidence
from s2match.matching.greyscale import prepare
from s2match.matching.memory import check_memory
from s2match.matching.postprocess import PostProcessing
from s2match.matching.search_prior import by_georeference, by_matches, common_cells
from s2match.registration.model import DEFAULT_FIT, FitOptions
from s2match.util.threads import limit_threads

if TYPE_CHECKING:
    from s2match.loftr.matcher import LoftrMatcher


@limit_threads()
def match_rasters(
    matcher: "LoftrMatcher",
    reference: Raster,
    target: Raster,
    confidence: float,
    progress: Callable[[float], None] | None = None,
    postprocessing: PostProcessing | None = None,
    fit_options: FitOptions = DEFAULT_FIT,
) -> Matches:
    """Match two images at once.

    Where they turn out to share a part of their ground only, the network looks a second time, at that part alone: what
    it pays attention to is spread over all that it sees.

    Args:
        matcher: The network.
        reference: Image whose points come out as ``xy0``.
        target: Image whose points come out as ``xy1``.
        confidence: Keep matches with a confidence above this.
        progress: Called with the share done, 0 to 1.
        postprocessing: What to do with what the network found; None leaves it as it is.
        fit_options: Of the fit that tells which ground both show.

    Returns:
        The matches, in pixels of the two rasters, GDAL frame.

    Raises:
        OptionError: ``confidence`` is outside 0 to 1.
        ImageSizeError: The images are too large for one pass in the memory there is.
    """
    check_confidence(confidence)
    check_memory(matcher, reference.size, target.size)
    grey0, grey1 = prepare(reference), prepare(target)
    matches = _on_common_ground(matcher, reference, target, (grey0, grey1), confidence, progress, fit_options)
    if postprocessing is None:
        return matches
    return postprocessing.apply(matches, grey0, grey1, expected_linear(reference, target))


def _on_common_ground(
    matcher: "LoftrMatcher",
    reference: Raster,
    target: Raster,
    grey: tuple[GreyImage, GreyImage],
    confidence: float,
    progress: Callable[[float], None] | None,
    fit_options: FitOptions,
) -> Matches:
    """The matches of a pass over all that there is, or else of a second one over what both images show."""
    report = progress or (lambda share: None)
    seen0 = matcher.encode(grey[0])
    report(0.3)
    seen1 = matcher.encode(grey[1])
    report(0.6)
    # weak matches, too, tell where the common ground is
    first = matcher.match_encoded(seen0, seen1, min(confidence, WEAK_CONFIDENCE))
    report(0.9)
    expected = by_matches(first, reference, target, fit_options) or by_georeference(reference, target)
    cells = None if expected is None else common_cells(reference.size, target.size, expected)
    if cells is None:
        found = first.above(confidence)
    else:
        found = matcher.match_encoded(seen0.within(cells[0]), seen1.within(cells[1]), confidence)
    report(1.0)
    return found
