"""One pair from two images to a result, by matching or from a file of tie points; its correction and evaluation.

The only module that calls one stage after another.
"""

import logging
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from s2match.core.area import AreaOfInterest
from s2match.core.file_pixels import whole_file
from s2match.core.georeference import expected_linear
from s2match.core.grid import Grid
from s2match.core.image_size import network_scale
from s2match.core.mask import UNMASKED, Masking, PairMasking
from s2match.core.matches import Matches, Provenance
from s2match.core.raster import HasGrid, Raster
from s2match.core.scene import Scene
from s2match.io.area import within_area
from s2match.io.masking import masked_grids
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_whole
from s2match.io.sources import open_pair, open_source
from s2match.matching.matcher import Matcher
from s2match.matching.single_pass import match_rasters
from s2match.matching.tiled import in_one_pass, match_grids, previews_of
from s2match.registration.evidence import common_ground
from s2match.registration.fit import fit
from s2match.result import PairResult, assemble
from s2match.settings import DOWNLOADED, Choices, Settings
from s2match.tiepoints.formats import read_tie_points
from s2match.tiepoints.points import as_matches
from s2match.util.atomic_write import publish, staging_folder
from s2match.util.background import run_in_background
from s2match.util.optional import without_garbage_collection
from s2match.util.progress import SECONDS, Progress, Stage, progress_bar
from s2match.util.threads import limit_threads

if TYPE_CHECKING:
    from s2match.correction.decision import CorrectionOutcome
    from s2match.correction.request import CorrectionRequest

# Returns the matcher of settings. functools.cache(create_matcher) loads the weights once for several calls.
LoadMatcher = Callable[[Settings], Matcher[Any]]

_LOG = logging.getLogger(__name__)

# Pixels of the images that the times of the stages were measured on.
_MEASURED_PX = 1098 * 1098

# Stages of a pair that is matched, in order.
MATCHING_STAGES = (Stage.WEIGHTS, Stage.READ, Stage.MATCH, Stage.FIT)

# Stages of a pair that is fitted to tie points, in order.
FITTING_STAGES = (Stage.READ, Stage.FIT)


def match_files(  # noqa: PLR0913
    reference: str | Path,
    target: str | Path,
    settings: Settings | None = None,
    *,
    show_progress: bool = False,
    masking: Masking = UNMASKED,
    load_matcher: LoadMatcher | None = None,
    **choices: Unpack[Choices],
) -> PairResult:
    """Read, match and register two image files.

    There are more than five parameters because each is an option.

    Args:
        reference: The file that the result is relative to.
        target: The file that is matched with it.
        settings: The options; None for the defaults.
        show_progress: Show a progress bar on standard error where that is a terminal.
        masking: Ground that is not matched, by :func:`s2match.io.masking.masking_of`.
        load_matcher: See :func:`match_scenes`.
        **choices: Attributes of :class:`s2match.settings.Settings` that replace those of ``settings``.

    Returns:
        The matched pair; its ``registration`` is None if no model is accepted.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    settings = (settings or Settings()).but(**choices)
    with progress_bar(MATCHING_STAGES, show_progress) as progress:
        return match_scenes(*open_pair(reference, target, settings.bands), settings, progress, masking, load_matcher)


def match_scenes(  # noqa: PLR0913
    reference: Scene,
    target: Scene,
    settings: Settings,
    progress: Progress | None = None,
    masking: Masking | PairMasking = UNMASKED,
    load_matcher: LoadMatcher | None = None,
) -> PairResult:
    """Read, match and register two scenes.

    There are six parameters because the weights are loaded while the images are read.

    Args:
        reference: The scene that the result is relative to, with the bands to use.
        target: The scene that is matched with it.
        settings: The options.
        progress: Is told the stages; None for nobody.
        masking: Ground that is not matched, in both images or in each.
        load_matcher: Returns the matcher of the settings; None for :func:`create_matcher`.

    Returns:
        The matched pair.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    return match_pair(pair_grids(reference, target, settings, masking), settings, progress, load_matcher)


@limit_threads()
def pair_grids(
    reference: Scene, target: Scene, settings: Settings, masking: Masking | PairMasking = UNMASKED
) -> tuple[Grid, Grid]:
    """The grids that two scenes are matched on, with their masks; of the images only headers are read.

    Args:
        reference: The scene that the result is relative to.
        target: The scene that is matched with it.
        settings: The options.
        masking: Ground that is not matched, in both images or in each.

    Raises:
        S2MatchError: An image or a mask cannot be used, or the device does not exist; see :mod:`s2match.errors`.
    """
    check_device(settings.device)
    area = settings.area
    grids = _grids_of(reference, target, settings, area)
    for role, grid in zip(("reference", "target"), grids, strict=True):
        _LOG.info("%s matched at %d x %d px: %s", role, *grid.size, grid.scene.path.name)
    if masking:
        grids = masked_grids(*grids, masking)
    return grids if area is None else (within_area(grids[0], area), within_area(grids[1], area))


@limit_threads()
def match_pair(
    grids: tuple[Grid, Grid],
    settings: Settings,
    progress: Progress | None = None,
    load_matcher: LoadMatcher | None = None,
    read: Callable[[Grid], Raster] = read_whole,
) -> PairResult:
    """Read, match and register two images on their grids, by :func:`pair_grids`.

    Args:
        grids: The grids of reference and target.
        settings: The options.
        progress: Is told the stages; None for nobody.
        load_matcher: Returns the matcher of the settings; None for :func:`create_matcher`.
        read: Reads an image on a grid, see :func:`s2match.matching.tiled.previews_of`.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    progress = progress or Progress()
    _expect(progress, grids, settings)
    with run_in_background(lambda: previews_of(*grids, read)) as reader:
        fetch_weights(settings, progress)
        matcher = (load_matcher or create_matcher)(settings)
        progress.begin(Stage.READ)
        previews = reader.result()
        progress.begin(Stage.MATCH, f"on {matcher.device}")
        matches = match_images(*grids, previews, matcher, settings, progress.advance)
    progress.begin(Stage.FIT)
    return register(*grids, matches, settings, previews)


@limit_threads()
def fit_tie_points(
    tie_points: str | Path,
    reference: str | Path | Scene,
    target: str | Path | Scene,
    settings: Settings | None = None,
    progress: Progress | None = None,
    **choices: Unpack[Choices],
) -> PairResult:
    """Fit a model to the enabled tie points of a file, without matching and without the network.

    Args:
        tie_points: The file, in a format of :func:`s2match.tiepoints.formats.read_tie_points`.
        reference: The image of the file's reference points.
        target: The image of the file's target points.
        settings: The options; the pixels of the model and of its threshold are those of ``image_size``,
            ``overlap_only`` and ``enlarge``. ``aoi`` has no effect: every enabled point is used. None for the defaults.
        progress: Is told the stages; None for nobody.
        **choices: Attributes of :class:`s2match.settings.Settings` that replace those of ``settings``.

    Returns:
        The pair with the points as its matches; its ``registration`` is None if no model is accepted.

    Raises:
        S2MatchError: Anything a user can cause or meet; see :mod:`s2match.errors`.
    """
    settings = (settings or Settings()).but(**choices)
    first, second = (open_source(image, settings.bands) for image in (reference, target))
    grids = _grids_of(first, second, settings)
    progress = progress or Progress()
    progress.begin(Stage.READ)
    points = read_tie_points(tie_points, whole_file(grids[0]), whole_file(grids[1]))
    _LOG.info("%d enabled tie points in %s", len(points), tie_points)
    scale = network_scale(grids[0].size, grids[1].size)
    origin = Provenance(f"tie points of {Path(tie_points).name}", "cpu", 0.0, imported=True, network_scale=scale)
    matches = as_matches(points, *grids, origin)
    previews = previews_of(*grids)
    progress.begin(Stage.FIT)
    return register(*grids, matches, settings, previews)


def _grids_of(
    reference: Scene, target: Scene, settings: Settings, area: AreaOfInterest | None = None
) -> tuple[Grid, Grid]:
    """The grids that two scenes are matched on, without masks."""
    size, overlap_only = settings.image_size, settings.overlap_only
    return grids_of(reference, target, size, overlap_only, settings.read_options, settings.enlarge, area)


def _expect(progress: Progress, grids: tuple[Grid, Grid], settings: Settings) -> None:
    """Set the times that depend on the numbers of pixels."""
    matched = math.prod(grids[0].size) * (1.0 if in_one_pass(*grids) else settings.coverage) / _MEASURED_PX
    for stage in (Stage.MATCH, Stage.REMATCH):
        progress.expect(stage, SECONDS[stage] * matched)
    progress.expect(Stage.CORRECT, SECONDS[Stage.CORRECT] * math.prod(whole_file(grids[0]).size) / _MEASURED_PX)


def fetch_weights(settings: Settings, progress: Progress) -> None:
    """Begin the loading of weights, and download them if they are known by a name and not in the cache.

    Args:
        settings: The options.
        progress: Is told the stage, and the megabytes of the download.

    Raises:
        WeightsDownloadError: They cannot be downloaded.
    """
    progress.begin(Stage.WEIGHTS)
    if settings.weights in DOWNLOADED:
        with _large_imports():
            from s2match.loftr.named_weights import cached_weights
        cached_weights(settings.weights, progress.advance)


def create_matcher(settings: Settings) -> Matcher[Any]:
    """Load LoFTR weights and put them on a device, once for any number of pairs.

    Raises:
        DeviceError: The device does not exist, or has no memory for the network.
        UnknownWeightsError: The weights are neither a known name nor a file.
        WeightsDownloadError: Named weights could not be downloaded.
        CorruptWeightsError: The file of the weights is not a LoFTR checkpoint.
    """
    with _large_imports():
        from s2match.loftr.checkpoints import load_network
        from s2match.loftr.matcher import LoftrMatcher
        from s2match.util.devices import pick_device, precision_named
    device = pick_device(settings.device)
    return LoftrMatcher(load_network(settings.weights), device, precision_named(settings.precision))


def _large_imports() -> AbstractContextManager[None]:
    """Context in which PyTorch and kornia are imported, which takes seconds."""
    return nullcontext() if "torch" in sys.modules else without_garbage_collection()


def check_device(name: str) -> None:
    """Refuse a device that does not exist, before any image is opened.

    Raises:
        DeviceError: The device does not exist.
    """
    # only PyTorch knows, which takes a second to import
    if name not in ("auto", "cpu"):
        from s2match.util.devices import pick_device

        pick_device(name)


@limit_threads()
def match_images(  # noqa: PLR0913
    reference: Grid,
    target: Grid,
    previews: tuple[Raster, Raster],
    matcher: Matcher[Any],
    settings: Settings,
    progress: Callable[[float], None] | None = None,
) -> Matches:
    """Match two images, in one pass if their previews are not reduced, or else in windows.

    There are six parameters because each image is a grid and a preview, which is read while the weights are loaded.

    Args:
        reference: The grid of the reference at the size to match at.
        target: The grid of the target at the size to match at.
        previews: Both images in one piece, smaller where they are large.
        matcher: The matcher.
        settings: The options.
        progress: Called with the fraction that is done, 0 to 1.

    Returns:
        Matches in pixels of the two grids.
    """
    if (reference.size, target.size) == (previews[0].size, previews[1].size):
        return match_rasters(matcher, *previews, settings, progress)
    return match_grids(matcher, (reference, target), previews, settings, progress)


@limit_threads()
def register(
    reference: HasGrid,
    target: HasGrid,
    matches: Matches,
    settings: Settings,
    previews: tuple[Raster, Raster] | None = None,
) -> PairResult:
    """Fit a model to the matches, and measure the matches in metres against the georeference.

    Args:
        reference: The reference at the size it was matched at.
        target: The target at the size it was matched at.
        matches: The matches between them.
        settings: The options.
        previews: Both images for figures; None if ``reference`` and ``target`` are rasters themselves.
    """
    if previews is None:
        assert isinstance(reference, Raster) and isinstance(target, Raster), "grids have no pixels to show"
        previews = (reference, target)
    ground = common_ground(reference, target, previews)
    expected = matches.origin.linear @ expected_linear(reference, target)
    fitted = fit(matches, settings.fit_options, expected, ground=ground)
    return assemble(reference, target, previews, matches, fitted, settings)


def correction_stages(request: "CorrectionRequest | None", imported: bool = False) -> tuple[Stage, ...]:
    """The stages of :func:`correct_and_evaluate`, in order.

    Args:
        request: The files to correct; None for none.
        imported: Whether the pair has the tie points of a file, which are not matched again.
    """
    if request is None:
        return ()
    rematched = () if imported else (Stage.REMATCH,)
    return (Stage.CORRECT, Stage.COMPARE, *rematched, *((Stage.SIBLINGS,) if request.siblings else ()))


def correct_and_evaluate(
    result: PairResult,
    request: "CorrectionRequest",
    load_matcher: LoadMatcher | None = None,
    progress: Progress | None = None,
) -> "CorrectionOutcome":
    """Correct a pair, and keep the corrected files if the target then agrees better with the reference.

    A pair whose verdict is not *register* is not corrected, unless the request forces it. The corrected target is
    matched again. Tie points of a file are moved by the correction instead. The files get their names when they are
    kept; until then, existing files stay as they are.

    Args:
        result: The pair; without a registration nothing is written.
        request: The files to correct, and how.
        load_matcher: Returns the matcher to match again with; None for :func:`create_matcher`.
        progress: Is told the stages; None for nobody.

    Returns:
        Whether the files were kept and why, and the agreement before and after.

    Raises:
        CorrectionError: Pixels must stay, and the model is not a translation.
        S2MatchError: A file cannot be read or written; see :mod:`s2match.errors`.
    """
    # most runs correct nothing, and need not wait for these imports
    from s2match.correction.decision import CorrectionOutcome, decide, needs_correction
    from s2match.correction.evaluation import measure_improvement
    from s2match.correction.request import correct_siblings, correct_target

    if result.registration is None or not (request.force or needs_correction(result.verdict)):
        return CorrectionOutcome(decide(result.verdict, None))
    progress = progress or Progress()
    with staging_folder(request.out) as folder:
        staged = replace(request, out=folder / request.out.name)
        progress.begin(Stage.CORRECT)
        correct_target(result, staged, progress.advance)
        progress.begin(Stage.COMPARE)
        again = None if result.matches.origin.imported else partial(rematch, result.settings, load_matcher, progress)
        improvement = measure_improvement(result, staged.out, again)
        if improvement is not None:
            improvement = improvement.moved_to(request.out)
        decision = decide(result.verdict, improvement, request.force)
        if decision.kept:
            if staged.siblings:
                progress.begin(Stage.SIBLINGS)
                correct_siblings(result, staged, progress.advance)
            publish(staged.outputs, request.outputs)
    for path in request.outputs if decision.kept else ():
        _LOG.info("wrote %s", path)
    return CorrectionOutcome(decision, improvement)


def rematch(
    settings: Settings, load_matcher: LoadMatcher | None, progress: Progress, reference: Grid, corrected: Grid
) -> Matches:
    """Matches of the reference with the corrected target, found as those of the pair were.

    Args:
        settings: How the pair was matched.
        load_matcher: Returns the matcher of the settings; None for :func:`create_matcher`.
        progress: Is told the stage.
        reference: The reference at the size it was matched at.
        corrected: The corrected target on the same pixels.
    """
    progress.begin(Stage.REMATCH)
    matcher = (load_matcher or create_matcher)(settings)
    return match_images(reference, corrected, previews_of(reference, corrected), matcher, settings, progress.advance)
