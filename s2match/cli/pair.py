"""The ``match`` and ``apply`` commands: one pair of images to a result and its files."""

import argparse
import logging
import math
from functools import cache
from typing import TYPE_CHECKING

from s2match.cli.arguments import refuse, shows_progress
from s2match.cli.dataset import choose_pair
from s2match.cli.exit_codes import ABOVE_LIMIT, NO_REGISTRATION, NOT_CORRECTED
from s2match.cli.limits import METRES, Limit
from s2match.cli.pair_outputs import MATCHING, outputs_of
from s2match.core.image_path import image_path, local_files
from s2match.core.scene import Scene
from s2match.errors import OutputError
from s2match.settings import Settings
from s2match.util.progress import Progress, Stage, progress_bar

if TYPE_CHECKING:
    from s2match.core.grid import Grid
    from s2match.outputs.targets import Outputs
    from s2match.pipeline import LoadMatcher
    from s2match.result import PairResult

_LOG = logging.getLogger(__name__)

# Options of matching in windows, without effect where one pass matches the images.
_WINDOWS = frozenset({"search_radius_m", "coverage"})


def run_pair(arguments: argparse.Namespace) -> int:
    """Match a pair, or fit a model to its tie points, and write the outputs; return the exit code.

    Raises:
        S2MatchError: Any error that a user can cause or meet; see :mod:`s2match.errors`.
    """
    from s2match.outputs.targets import check_outputs, with_product_files

    reference, target = choose_pair(arguments)
    _LOG.info("reference %s, target %s", reference.path, target.path)
    _LOG.debug("options %s", vars(arguments))
    outputs = with_product_files(outputs_of(arguments, reference, target), target)
    inputs = local_files(map(image_path, (reference.path, target.path, *arguments.mask, *arguments.apply_to)))
    inputs += [path for path in (arguments.from_tie_points, arguments.config) if path is not None]
    if arguments.show:
        _require_screen()
    check_outputs(outputs, inputs, reference, target)
    return match_and_write(reference, target, arguments, outputs)


def match_and_write(reference: Scene, target: Scene, arguments: argparse.Namespace, outputs: "Outputs") -> int:
    """Match a pair, or fit a model to its tie points, and write the outputs, which were checked; return the exit code.

    Raises:
        S2MatchError: Any error that a user can cause or meet; see :mod:`s2match.errors`.
    """
    load_matcher = _load_once() if outputs.correction is not None else None
    with progress_bar(_stages(arguments, outputs), shows_progress(arguments)) as progress:
        result = _result(reference, target, arguments, load_matcher, progress)
        # not imported before the images are matched: it needs matplotlib
        from s2match.batch.correct_and_write import correct_and_write

        written = correct_and_write(result, outputs, load_matcher, progress, on_screen=_has_windows(arguments))
    failure = _failure(result, arguments)
    if not arguments.quiet:
        print("\n".join(filter(None, [written.summary, failure])))
    _show(result, arguments)
    if written.error is not None:
        raise written.error
    if result.registration is None:
        return NO_REGISTRATION
    if failure is not None:
        return ABOVE_LIMIT
    outcome = written.outcome
    return NOT_CORRECTED if outcome is not None and not outcome.decision.kept else 0


def _stages(arguments: argparse.Namespace, outputs: "Outputs") -> list[Stage]:
    """The stages of a run, in order."""
    from s2match.pipeline import FITTING_STAGES, MATCHING_STAGES, correction_stages

    imported = arguments.from_tie_points is not None
    matching = FITTING_STAGES if imported else MATCHING_STAGES
    return [*matching, *correction_stages(outputs.correction, imported), *outputs.stages]


def _failure(result: "PairResult", arguments: argparse.Namespace) -> str | None:
    """Line of the summary for a displacement that exceeds ``--fail_above``; None if it does not."""
    limit, displacement = arguments.fail_above, result.verdict.displacement
    if limit is None or result.registration is None:
        return None
    if displacement is None:
        finding = limit.finding(math.nan, METRES, 1.0)
    else:
        finding = limit.finding(displacement.largest, displacement.unit, displacement.native_pixel)
    return failure_line(finding, limit)


def failure_line(finding: str | None, limit: Limit) -> str | None:
    """Line of a summary for what exceeds a limit; None for nothing."""
    return None if finding is None else f"{'failed':<14}{finding}; --fail_above {limit}"


def _load_once() -> "LoadMatcher":
    """Function that returns the matcher of settings, and loads its weights once for the pair and its correction."""
    from s2match.pipeline import create_matcher

    return cache(create_matcher)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that a command line selects.

    Raises:
        S2MatchError: One is out of range.
    """
    return Settings(
        weights=arguments.model_pretrained,
        device=arguments.device,
        confidence=arguments.confidence,
        geometry=arguments.geometry,
        ransac_threshold_px=arguments.ransac_threshold,
        seed=arguments.seed,
        max_points=arguments.max_points,
        search_radius_m=arguments.search_radius_m,
        refine=arguments.refine,
        coverage=arguments.coverage,
        image_size=arguments.image_size,
        overlap_only=arguments.overlap_only,
        enlarge=arguments.enlarge,
        precision=arguments.precision,
        nodata=arguments.nodata,
        offset=arguments.offset,
        bands=arguments.bands,
        aoi=arguments.aoi,
        aoi_crs=arguments.aoi_crs,
    )


def _result(
    reference: Scene,
    target: Scene,
    arguments: argparse.Namespace,
    load_matcher: "LoadMatcher | None",
    progress: Progress,
) -> "PairResult":
    # nothing here may import PyTorch or matplotlib, which takes seconds: the images are read meanwhile
    from s2match.io.masking import masking_of
    from s2match.pipeline import fit_tie_points, match_pair, pair_grids

    settings = settings_of(arguments)
    masking = masking_of(arguments.mask, arguments.mask_values, arguments.mask_clouds)
    if arguments.from_tie_points is None:
        grids = pair_grids(reference, target, settings, masking)
        _refuse_window_options(grids, arguments)
        return match_pair(grids, settings, progress, load_matcher)
    reason = "is an option of matching, and --from_tie_points does not match: leave one of them out."
    refuse(arguments, MATCHING, reason)
    return fit_tie_points(arguments.from_tie_points, reference, target, settings, progress)


def _refuse_window_options(grids: "tuple[Grid, Grid]", arguments: argparse.Namespace) -> None:
    """Refuse options of matching in windows if the images are matched in one pass.

    Raises:
        OptionError: There is one.
    """
    from s2match.matching.tiled import in_one_pass

    if in_one_pass(*grids):
        width, height = grids[0].size
        reason = f"is about matching in windows, and {width} x {height} px are matched in one pass: leave it out."
        refuse(arguments, _WINDOWS, reason)


def _require_screen() -> None:
    from s2match.outputs.screen import has_screen

    if not has_screen():
        raise OutputError("There is no screen to show figures on: leave --show out.")


def _show(result: "PairResult", arguments: argparse.Namespace) -> None:
    """Show the two images and the matches in windows, where there is a screen."""
    from s2match.outputs.figures.matches import plot_pair
    from s2match.outputs.screen import screen_figure, show_screen

    if _has_windows(arguments):
        plot_pair(*result.previews, screen_figure())
        show_screen()


def _has_windows(arguments: argparse.Namespace) -> bool:
    from s2match.outputs.screen import has_screen

    return arguments.show is not False and has_screen()
