"""From two rasters to matches: what the network sees of an image, and what is too large for one pass."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from s2match.errors import ImageSizeError, OptionError
from s2match.expectation import by_georeference, by_matches, common_cells
from s2match.finishing import Finishing
from s2match.georeference import expected_linear
from s2match.images import Patch, Raster
from s2match.matches import GreyImage, Matches
from s2match.models import DEFAULT_FIT, FitOptions
from s2match.processor import share_processor

if TYPE_CHECKING:
    from s2match.loftr import LoftrMatcher

# Matches above this are worth a look, be they right or not.
WEAK_CONFIDENCE = 0.2


def prepare(raster: Raster | Patch) -> GreyImage:
    """Turn an image into what the network sees: the mean of the bands, stretched.

    The 1st percentile of the valid pixels becomes 0 and the 97th becomes 1, so that dark scenes use the whole range and
    cloud, which says nothing of the ground, is what saturates. Nodata becomes 0.
    """
    grey = raster.image.mean(axis=2, dtype=np.float32)
    low, high = np.percentile(grey[raster.valid], [1, 97])
    stretched = np.clip((grey - low) / max(high - low, 1.0), 0, 1)
    return GreyImage(np.where(raster.valid, stretched, 0).astype(np.float32), raster.valid)


@share_processor()
def match_rasters(
    matcher: "LoftrMatcher",
    reference: Raster,
    target: Raster,
    confidence: float,
    progress: Callable[[float], None] | None = None,
    finishing: Finishing | None = None,
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
        finishing: What to do with what the network found; None leaves it as it is.
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
    if finishing is None:
        return matches
    return finishing.apply(matches, grey0, grey1, expected_linear(reference, target))


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
    seen0 = matcher.see(grey[0])
    report(0.3)
    seen1 = matcher.see(grey[1])
    report(0.6)
    # weak matches, too, tell where the common ground is
    first = matcher.compare(seen0, seen1, min(confidence, WEAK_CONFIDENCE))
    report(0.9)
    expected = by_matches(first, reference, target, fit_options) or by_georeference(reference, target)
    cells = None if expected is None else common_cells(reference.size, target.size, expected)
    if cells is None:
        found = first.above(confidence)
    else:
        found = matcher.compare(seen0.within(cells[0]), seen1.within(cells[1]), confidence)
    report(1.0)
    return found


def check_confidence(confidence: float) -> None:
    """Refuse a confidence threshold outside 0 to 1.

    Raises:
        OptionError: It is.
    """
    if not 0 <= confidence <= 1:
        raise OptionError(f"Confidence {confidence:g} is out of range: it must be 0 to 1.")


def check_memory(matcher: "LoftrMatcher", size0: tuple[int, int], size1: tuple[int, int]) -> None:
    """Refuse a pair whose features do not fit the memory of the device.

    Raises:
        ImageSizeError: They do not; the message says how much is needed.
    """
    needed = _memory(matcher, (size0, size1))
    if needed is not None:
        raise ImageSizeError(
            f"Image size {size0[0]} {size0[1]} is too large: matching it in one pass needs {needed}: use a smaller "
            "size, or native, which is matched in windows."
        )


def check_window_memory(matcher: "LoftrMatcher", sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Refuse windows, of the reference and of the target, whose features do not fit the memory of the device.

    Raises:
        ImageSizeError: They do not; the message says how much is needed.
    """
    needed = _memory(matcher, sizes)
    if needed is not None:
        (width0, height0), (width1, height1) = sizes
        raise ImageSizeError(
            f"A window of {width0} x {height0} px, sought in {width1} x {height1} px, is too large: it needs {needed}: "
            "use a smaller search radius or size, or a coverage below 1, which makes windows small."
        )


def _memory(matcher: "LoftrMatcher", sizes: tuple[tuple[int, int], tuple[int, int]]) -> str | None:
    """What memory images of some sizes need and how much is free; None where that is enough."""
    needed = matcher.bytes_per_pixel * sum(map(math.prod, sizes))
    free = matcher.free_bytes
    if needed <= free:
        return None
    return f"about {needed / 2**30:.1f} GB of memory, and {free / 2**30:.1f} GB are free"
