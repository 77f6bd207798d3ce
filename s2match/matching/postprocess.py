"""Post-processing of the matches of a pass while its pixels are in memory: thin and refine them, and add points."""

import logging
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches
from s2match.core.window import Window
from s2match.matching.thinning import thin, thin_mask
from s2match.registration.estimators import best_model
from s2match.registration.evidence import CommonGround, failure_of
from s2match.registration.options import FitOptions
from s2match.settings import Settings
from s2match.util.threads import limit_threads

# Threshold of the affine fit that measures scale and rotation: terrain departs from a plane by pixels.
_ROUGH_PX = 3.0


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Region:
    """The part of a pass's reference whose matches are kept.

    Attributes:
        linear: 2×2, steps (x, y) in the target that the grids predict for steps in the reference.
        core: The part, reference pixels; None: the whole image.
        area_fraction: Fraction of the area of all regions of the pair, 0 to 1; the region gets this fraction of the
            maximum number of matches.
    """

    linear: NDArray[np.float64]
    core: Window | None = None
    area_fraction: float = 1.0

    def most_points(self, max_points: int) -> int:
        """Maximum number of matches in the region, of a maximum for the pair."""
        return math.ceil(max_points * self.area_fraction)


@limit_threads()
def postprocess(matches: Matches, images: tuple[GreyImage, GreyImage], region: Region, settings: Settings) -> Matches:
    """Thin the matches of a pass and, if the settings require it, refine them and add points.

    Refined matches are measured again on the pixels (:func:`s2match.matching.subpixel.refine`). Where no match is left,
    points are added by correlation alone (:func:`s2match.matching.subpixel.fill`), if the matches are evidence that the
    images show the same place.

    Args:
        matches: Matches of the pass, in pixels of its two images, GDAL frame.
        images: Reference and target as the matcher saw them.
        region: Part of the reference whose matches are kept.
        settings: Maximum of matches, refinement, and the options of the affine fit.

    Returns:
        The matches that remain and those that were added, on valid pixels of both images.
    """
    height, width = images[0].valid.shape
    core = region.core or Window(0, 0, width, height)
    most = region.most_points(settings.max_points)
    kept = core.contains(matches.xy0)
    kept[kept] = thin_mask(matches.subset(kept), most)
    thinned = matches.subset(kept)
    _LOG.debug("%d of %d matches kept by the core and the maximum of %d", len(thinned), len(matches), most)
    if not settings.refine:
        return thinned
    # PyTorch takes a second to import: not before the images are being read
    from s2match.matching.displacement import align
    from s2match.matching.subpixel import fill, refine
    from s2match.util.devices import memory_errors

    start = _start(thinned, images, region, settings.fit_options)
    if start is None:
        return replace(thinned, similarity=np.empty(0), covariance_px2=np.empty((0, 2, 2)))
    with memory_errors(MemoryError("refinement needs more memory")):
        aligned = align(images, start.matrix)
        refined = _on_valid(refine(thinned, images, aligned), images)
    _LOG.debug("%d of %d matches refined", len(refined), len(thinned))
    room = most - len(refined)
    if not start.significant or room < 1:
        return refined
    occupied = np.concatenate([refined.xy0, matches.xy0[~kept]])
    with memory_errors(MemoryError("refinement needs more memory")):
        added = _on_valid(fill(refined, occupied, images[0].valid, aligned, core), images)
    _LOG.debug("%d matches added by correlation", min(len(added), room))
    return Matches.concatenate([refined, thin(added, room)])


@dataclass(frozen=True)
class _Start:
    """An affine map within a few pixels of the truth.

    Attributes:
        matrix: 3×3, from reference to target pixels.
        significant: Whether it is the model of significant inliers.
    """

    matrix: NDArray[np.float64]
    significant: bool


def _start(matches: Matches, images: tuple[GreyImage, GreyImage], region: Region, options: FitOptions) -> _Start | None:
    """The affine fit, or the median shift if the fit is rejected; None without matches."""
    if len(matches) == 0:
        return None
    affine = best_model(matches, options.using("affine").with_min_threshold(_ROUGH_PX))
    width, height = images[0].valid.shape[::-1]
    target_width, target_height = images[1].valid.shape[::-1]
    ground = CommonGround((width, height), (target_width, target_height), images[0].valid, images[1].valid)
    if affine is not None and failure_of(matches, affine, ground) is None:
        return _Start(affine.matrix, True)
    matrix = np.eye(3)
    matrix[:2, :2] = region.linear
    matrix[:2, 2] = np.median(matches.xy1 - matches.xy0 @ region.linear.T, axis=0)
    return _Start(matrix, False)


def _on_valid(matches: Matches, images: tuple[GreyImage, GreyImage]) -> Matches:
    """Matches on valid pixels of both images; refinement can move points to invalid pixels."""
    return matches.subset(images[0].valid_at(matches.xy0) & images[1].valid_at(matches.xy1))
