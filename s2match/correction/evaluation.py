"""The agreement of a target with the reference before and after its correction, measured independently of the model."""

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2match.core.georeference import predict
from s2match.core.grid import Grid
from s2match.core.ground_axes import IN_METRES, GroundAxes
from s2match.core.ground_errors import GroundErrors, ground_errors
from s2match.core.image_size import ONE_PASS_PX, fit_size
from s2match.core.mask import Masking
from s2match.core.matches import Matches
from s2match.core.radiometry import Radiometry
from s2match.core.raster import Patch, Raster, grid_of
from s2match.core.validity import valid_at
from s2match.core.window import Window
from s2match.correction.image_similarity import MARGIN_PX, ImageParts, SimilarityMetrics, similarities
from s2match.io.pair_grid import read_pair, resampled_onto
from s2match.io.reader import blocks_of, keep_open, read_grid, read_whole, read_window, with_radiometry
from s2match.matching.greyscale import mean_of_bands
from s2match.matching.spread_cores import Sample, spread_cores
from s2match.registration.evidence import CommonGround, FitFailure, common_ground
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.result import PairResult
from s2match.util.background import computed_ahead
from s2match.util.threads import limit_threads

# Side of the windows in which large images are compared: that of the tiles of Sentinel-2's JPEG 2000.
_PART_PX = 1024

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agreement:
    """The agreement of a target with the reference, on ground that is valid in both.

    Errors are those of the inliers of a model, to exclude wrong matches, or of all matches if no model can be fitted. A
    value that cannot be measured is NaN.

    Attributes:
        matches: Number of matches with an error.
        east_m: Median shift against the georeference, to the east.
        north_m: Median shift to the north.
        rmse_m: Root mean square of the distances.
        ce90_m: Circular error: the distance that 90 % of the matches do not exceed.
        similarity: Mean structural similarity (Wang et al. 2004), -1 to 1.
        mutual_information: Mutual information of the grey levels, in bits.
    """

    matches: int
    east_m: float
    north_m: float
    rmse_m: float
    ce90_m: float
    similarity: float
    mutual_information: float


@dataclass(frozen=True)
class MeasuredPoints:
    """The points that an agreement was measured at.

    Attributes:
        matches: The matches, in pixels of the matched size.
        shift_px: (N, 2) shift of the target against the georeference, in pixels of the reference.
        errors: The shifts on the ground.
    """

    matches: Matches
    shift_px: NDArray[np.float64]
    errors: GroundErrors


@dataclass(frozen=True)
class Improvement:
    """The agreement of a target with the reference before and after its correction.

    Attributes:
        before: Agreement of the target, placed by its georeference.
        after: Agreement of the corrected target.
        previews: The reference, the target before and the target after, on the reference's grid: of the matched size,
            but at most 2048 px along the longer side.
        same_points: Whether both were measured at the points that the model was fitted to. If not, the corrected
            target was matched again.
        axes: What east and north are, and the unit.
        points: The points before and after; None where there is none.
    """

    before: Agreement
    after: Agreement
    previews: tuple[Raster, Raster, Raster] = field(repr=False)
    same_points: bool = False
    axes: GroundAxes = IN_METRES
    points: tuple[MeasuredPoints | None, MeasuredPoints | None] = field(default=(None, None), repr=False)

    @property
    def better(self) -> bool | None:
        """Whether RMSE and mutual information are both better after than before.

        Mutual information is the measure that does not depend on matches. Structural similarity is not used: it falls
        when images of inverted contrast are registered.

        None if they cannot be compared: no match before, or no common pixel. False if the corrected image has no match.
        """
        before, after = self.before, self.after
        if any(map(math.isnan, (before.rmse_m, before.mutual_information, after.mutual_information))):
            return None
        return after.rmse_m < before.rmse_m and after.mutual_information > before.mutual_information

    def moved_to(self, corrected: Path) -> "Improvement":
        """The same with another path of the corrected file."""
        reference, before, after = self.previews
        grid = replace(after.grid, scene=replace(after.grid.scene, path=corrected))
        return replace(self, previews=(reference, before, replace(after, grid=grid)))


@limit_threads()
def measure_improvement(
    result: PairResult, corrected: str | Path, rematch: Callable[[Grid, Grid], Matches] | None
) -> Improvement | None:
    """Measure the agreement of a target before and after its correction, at the size the pair was matched at.

    Args:
        result: A pair with a registration.
        corrected: The corrected target.
        rematch: Matches the reference with the corrected target as the pair was matched. None uses the matches of the
            pair, with each point of the target moved to its position in the corrected file.

    Returns:
        The agreement before and after; None if an image has no georeference to measure against.

    Raises:
        UnreadableImageError: A file cannot be read.
        NoValidPixelsError: The corrected file has no valid pixel.
    """
    reference, target = grid_of(result.reference), grid_of(result.target)
    assert result.registration is not None, "nothing was corrected"
    if result.errors is None:
        return None
    before, after = _before_and_after(reference, target, Path(corrected))
    grids = (reference, before, after)
    previews = _previews(grids)
    common = np.logical_and.reduce([preview.valid for preview in previews])
    similarity_before, similarity_after = similarities(_parts(grids, previews, result.settings.coverage))
    inliers = inliers_after = result.registration.inliers
    if rematch is None:
        matches = _apply_correction(result.matches, result.registration)
    else:
        matches = rematch(reference, after)
        inliers_after = _inliers(result, matches, common_ground(reference, after, (previews[0], previews[2])))
    errors_after = ground_errors(reference, after, matches.xy0, matches.xy1)
    assert errors_after is not None
    selected = inliers & valid_at(common, result.matches.xy0, reference.size)
    selected_after = inliers_after & valid_at(common, matches.xy0, reference.size)
    improvement = Improvement(
        _agreement(result.errors, selected, similarity_before),
        _agreement(errors_after, selected_after, similarity_after),
        previews,
        same_points=rematch is None,
        axes=result.errors.axes,
        points=(
            _points((reference, target), result.matches.subset(selected), result.errors.subset(selected)),
            _points((reference, after), matches.subset(selected_after), errors_after.subset(selected_after)),
        ),
    )
    _LOG.debug("before: %s", improvement.before)
    _LOG.debug("after: %s", improvement.after)
    return improvement


def _before_and_after(reference: Grid, target: Grid, corrected: Path) -> tuple[Grid, Grid]:
    """Grids of the target and of the corrected file, resampled onto the reference's pixels."""
    target_file = replace(read_pair(reference.scene, target.scene)[1], radiometry=with_radiometry(target).radiometry)
    before = resampled_onto(reference, target_file, target.masking)
    # masks from files lie on the target as it was; only masks that come from its pixels move with it
    masking = Masking(clouds=target.masking.clouds)
    return before, resampled_onto(reference, _corrected_grid(corrected, before), masking)


def _inliers(result: PairResult, matches: Matches, ground: CommonGround) -> NDArray[np.bool_]:
    """(N,) inliers of a model, fitted to matches with the options of the pair; all True if there is no model."""
    fitted = fit(matches, result.settings.fit_options, ground=ground)
    return np.ones(len(matches), np.bool_) if isinstance(fitted, FitFailure) else fitted.inliers


def _apply_correction(matches: Matches, registration: Registration) -> Matches:
    """The matches of a pair after its correction: the corrected target lies on the reference's pixels."""
    return replace(matches, xy1=registration.invert(matches.xy1))


def _corrected_grid(corrected: Path, before: Grid) -> Grid:
    """The grid of a corrected file, with the target's conversion of numbers to grey levels."""
    grid = with_radiometry(read_grid(corrected))
    assert grid.radiometry is not None and before.radiometry is not None
    own = grid.radiometry
    # the bands of several files are now bands of one
    stack = tuple(
        replace(_with_rule(band, own), bands=(index,)) for index, band in enumerate(before.radiometry.stack, 1)
    )
    scene = replace(grid.scene, band_files=(grid.scene.path,) * len(stack), bands=before.scene.bands)
    return replace(grid, scene=scene, radiometry=replace(_with_rule(before.radiometry, own), stack=stack))


def _with_rule(radiometry: Radiometry, own: Radiometry) -> Radiometry:
    """A conversion to grey levels with the nodata and the overviews of another file."""
    return replace(radiometry, nodata=own.nodata, nodata_from=own.nodata_from, overviews=own.overviews)


def _previews(grids: tuple[Grid, Grid, Grid]) -> tuple[Raster, Raster, Raster]:
    """The images of three grids of the same size, at most 2048 px along the longer side."""
    size = grids[0].size
    if max(size) > ONE_PASS_PX:
        size = fit_size(size, ONE_PASS_PX)
    with ThreadPoolExecutor(2) as pool:
        first, second, third = pool.map(lambda grid: read_whole(grid.resized(size)), grids)
    return first, second, third


def _parts(
    grids: tuple[Grid, Grid, Grid], previews: tuple[Raster, Raster, Raster], coverage: float
) -> Iterator[ImageParts]:
    """The images in one piece, or in windows if they are larger than their previews."""
    if grids[0].size == previews[0].size:
        yield _part(previews, (slice(None), slice(None)))
        return
    cores = _cores(grids, coverage)
    windows = [_around(core, grids[0]) for core in cores]
    with ExitStack() as stack:
        images = [
            stack.enter_context(computed_ahead(partial(read_window, grid), windows, keep_open(grid))) for grid in grids
        ]
        for core, window, *patches in zip(cores, windows, *images, strict=True):
            x, y = core.x - window.x, core.y - window.y
            yield _part(patches, (slice(y, y + core.height), slice(x, x + core.width)))


def _cores(grids: tuple[Grid, Grid, Grid], coverage: float) -> list[Window]:
    """Windows that cover the images; of a pair that was matched on a part of the ground, as much of it."""
    reference, before, _ = grids
    width, height = reference.size
    if coverage == 1:
        return [
            Window(left, top, min(_PART_PX, width - left), min(_PART_PX, height - top))
            for top in range(0, height, _PART_PX)
            for left in range(0, width, _PART_PX)
        ]
    sample = Sample(coverage, (blocks_of(reference), blocks_of(before)))
    whole = np.array([[0, 0], [width, height]])
    return spread_cores(whole, _PART_PX, sample, lambda core: (_around(core, reference),) * 2)


def _around(core: Window, grid: Grid) -> Window:
    """A window and the pixels that the similarity in it depends on."""
    return core.with_margin(MARGIN_PX, grid.size)


def _part(images: "tuple[Raster, ...] | list[Patch]", core: tuple[slice, slice]) -> ImageParts:
    """Grey levels of images; a pixel is valid only if it is valid in all of them."""
    common = np.logical_and.reduce([image.valid for image in images])
    reference, *others = (mean_of_bands(image.image) for image in images)
    return ImageParts(reference, tuple(others), np.asarray(common), core)


def _points(grids: tuple[Grid, Grid], matches: Matches, errors: GroundErrors) -> MeasuredPoints | None:
    """The points of matches between two grids that have an error on the ground; None if there is none."""
    reference, target = grids
    finite = np.asarray(np.isfinite(errors.distance_m))
    if not finite.any():
        return None
    matches = matches.subset(finite)
    shift_px = predict(matches.xy1, target, reference) - matches.xy0
    return MeasuredPoints(matches, shift_px, errors.subset(finite))


def _agreement(errors: GroundErrors, selected: NDArray[np.bool_], metrics: SimilarityMetrics) -> Agreement:
    """The agreement by the errors of selected matches, an (N,) mask, and by the similarity of the images."""
    selection = errors.subset(selected).finite
    count = len(selection.east_m)
    if count == 0:
        return Agreement(0, math.nan, math.nan, math.nan, math.nan, metrics.similarity, metrics.mutual_information)
    return Agreement(
        count,
        *selection.median_m,
        selection.rmse_m,
        selection.ce90_m,
        metrics.similarity,
        metrics.mutual_information,
    )
