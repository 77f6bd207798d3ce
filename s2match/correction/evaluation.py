"""Whether a corrected target agrees with the reference better than it did, measured independently of the model."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2match.core.grid import Grid
from s2match.core.ground_axes import IN_METRES, GroundAxes
from s2match.core.ground_errors import GroundErrors, ground_errors
from s2match.core.image_size import fit_size
from s2match.core.mask import Masking
from s2match.core.matches import Matches
from s2match.core.raster import Patch, Raster
from s2match.core.window import Window
from s2match.correction.image_similarity import MARGIN_PX, ImagePairs, SimilarityMetrics, similarity_metrics
from s2match.io.pair_grid import read_pair, resampled_onto
from s2match.io.reader import keep_open, read_grid, read_whole, read_window, with_radiometry
from s2match.registration.evidence import FitFailure, common_ground
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.result import PairResult
from s2match.util.threads import limit_threads

# Longest side of what is shown; likeness is measured at the matched size, in windows of this side where it is larger.
_SHOWN_PX = 2048


@dataclass(frozen=True)
class Agreement:
    """How well a target agrees with the reference, on ground that both show unmasked.

    Errors are of matches that agree on a model, so that those that are wrong do not count; where none do, of all.
    What there is nothing to measure by is not a number.

    Attributes:
        matches: How many they are.
        east_m: Their median shift against the georeference, to the east.
        north_m: To the north.
        rmse_m: Root mean square of their distances.
        ce90_m: Distance that 90 % of them do not exceed.
        similarity: Mean structural similarity (Wang et al. 2004), -1 to 1.
        mutual_information: In bits.
    """

    matches: int
    east_m: float
    north_m: float
    rmse_m: float
    ce90_m: float
    similarity: float
    mutual_information: float


@dataclass(frozen=True)
class Improvement:
    """A target before and after it was corrected.

    Attributes:
        before: How the target agreed, where its georeference puts it.
        after: How the corrected target agrees.
        previews: The reference, the target before and the target after, on one grid of the reference's: as large as
            they were matched, but at most 2048 px along the longer side.
        same_points: Whether both were measured at the points that the model was fitted to. If not, the corrected
            target was matched again.
        axes: What east and north are, and the unit.
    """

    before: Agreement
    after: Agreement
    previews: tuple[Raster, Raster, Raster]
    same_points: bool = False
    axes: GroundAxes = IN_METRES

    @property
    def better(self) -> bool | None:
        """Whether the matches lie closer to the georeference and the images are more alike.

        None where there is nothing to compare with: no match before, or no pixel in common. A corrected image that does
        not match any more is not better.
        """
        if any(math.isnan(value) for value in (self.before.rmse_m, self.before.similarity, self.after.similarity)):
            return None
        return self.after.rmse_m < self.before.rmse_m and self.after.similarity > self.before.similarity


@limit_threads()
def measure_improvement(
    result: PairResult, corrected: str | Path, rematch: Callable[[Grid, Grid], Matches] | None
) -> Improvement | None:
    """Measure a target before and after it was corrected, at the size the pair was matched at.

    Args:
        result: The pair, with a registration; its images are grids.
        corrected: The corrected target.
        rematch: Matches the reference with the corrected target as the pair was matched. None measures the points of
            the pair themselves, each point of the target moved to where the corrected file shows it.

    Returns:
        The two; None where an image has no georeference, so that nothing is known of before.

    Raises:
        UnreadableImageError: A file cannot be read.
        NoValidPixelsError: The corrected file shows nothing.
    """
    corrected = Path(corrected)
    reference, target = result.reference, result.target
    assert isinstance(reference, Grid) and isinstance(target, Grid), "images in memory have no file to correct"
    if result.errors is None:
        return None
    file = replace(read_pair(reference.scene, target.scene)[1], radiometry=with_radiometry(target).radiometry)
    before = resampled_onto(reference, file, target.masking)
    # drawn masks of the target lie where it was: only what is told by the pixels themselves moves with them
    after = resampled_onto(reference, _read_alike(corrected, before), Masking(clouds=target.masking.clouds))
    grids = (reference, before, after)
    previews = _shown(grids)
    common = np.logical_and.reduce([raster.valid for raster in previews])
    with keep_open(*grids):
        alike = [similarity_metrics(_pieces(grids, previews, which)) for which in (1, 2)]
    assert result.registration is not None, "nothing was corrected"
    first = result.registration.inliers
    if rematch is None:
        matches, second = _moved(result.matches, result.registration), first
    else:
        matches = rematch(reference, after)
        settings, ground = result.settings, common_ground(reference, after, (previews[0], previews[2]))
        again = fit(matches, settings.fit_options, ground=ground)
        second = np.ones(len(matches), np.bool_) if isinstance(again, FitFailure) else again.inliers
    found = ground_errors(reference, after, matches.xy0, matches.xy1)
    assert found is not None
    return Improvement(
        _agreement(result.errors, first & _on(common, reference, result.matches), alike[0]),
        _agreement(found, second & _on(common, reference, matches), alike[1]),
        previews,
        same_points=rematch is None,
        axes=result.errors.axes,
    )


def _moved(matches: Matches, registration: Registration) -> Matches:
    """The matches of a pair after its correction: the corrected target lies on the reference's pixels."""
    return replace(matches, xy1=registration.invert(matches.xy1))


def _read_alike(corrected: Path, before: Grid) -> Grid:
    """Every pixel of a corrected file; its numbers become the grey levels that those of the target became."""
    grid = with_radiometry(read_grid(corrected))
    assert grid.radiometry is not None and before.radiometry is not None
    nodata, said_by = grid.radiometry.nodata, grid.radiometry.nodata_from
    return replace(grid, radiometry=replace(before.radiometry, nodata=nodata, nodata_from=said_by))


def _shown(grids: tuple[Grid, Grid, Grid]) -> tuple[Raster, Raster, Raster]:
    size = grids[0].size
    if max(size) > _SHOWN_PX:
        size = fit_size(size, _SHOWN_PX)
    first, second, third = (read_whole(grid.resized(size)) for grid in grids)
    return first, second, third


def _pieces(
    grids: tuple[Grid, Grid, Grid], previews: tuple[Raster, Raster, Raster], which: int
) -> Iterator[ImagePairs]:
    """The reference and one of the others, window by window where they are larger than shown."""
    width, height = grids[0].size
    if (width, height) == previews[0].size:
        yield _piece(previews, which, (slice(None), slice(None)))
        return
    side = _SHOWN_PX - 2 * MARGIN_PX
    for top in range(0, height, side):
        for left in range(0, width, side):
            x, y = max(left - MARGIN_PX, 0), max(top - MARGIN_PX, 0)
            right, bottom = min(left + side + MARGIN_PX, width), min(top + side + MARGIN_PX, height)
            window = Window(x, y, right - x, bottom - y)
            core = slice(top - y, top - y + side), slice(left - x, left - x + side)
            yield _piece([read_window(grid, window) for grid in grids], which, core)


def _piece(images: "tuple[Raster, ...] | list[Patch]", which: int, core: tuple[slice, slice]) -> ImagePairs:
    common = np.logical_and.reduce([image.valid for image in images])
    first, second = (images[k].image.mean(axis=2, dtype=np.float32) for k in (0, which))
    return ImagePairs(first, second, np.asarray(common), core)


def _on(common: NDArray[np.bool_], reference: Grid, matches: Matches) -> NDArray[np.bool_]:
    """(N,) whether the matches lie on common ground."""
    height, width = common.shape
    scale = np.array([width, height]) / reference.size
    x, y = np.clip(np.floor(matches.xy0 * scale), 0, [width - 1, height - 1]).astype(np.intp).T
    return np.asarray(common[y, x])


def _agreement(all_errors: GroundErrors, counted: NDArray[np.bool_], alike: SimilarityMetrics) -> Agreement:
    chosen = all_errors.subset(counted).finite
    count = len(chosen.east_m)
    if count == 0:
        return Agreement(0, math.nan, math.nan, math.nan, math.nan, alike.similarity, alike.mutual_information)
    east, north = chosen.median_m
    return Agreement(count, east, north, chosen.rmse_m, chosen.ce90_m, alike.similarity, alike.mutual_information)
