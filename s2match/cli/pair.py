"""The ``match`` and ``apply`` commands: one pair of images to a result and its files."""

import argparse
import logging
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from s2match.cli.arguments import refuse
from s2match.cli.dataset import choose_pair
from s2match.cli.exit_codes import NO_REGISTRATION, NOT_CORRECTED
from s2match.core.image_path import image_path, local_files
from s2match.core.scene import Scene
from s2match.errors import OptionError, OutputError, S2MatchError
from s2match.settings import Settings

if TYPE_CHECKING:
    from s2match.correction.decision import CorrectionOutcome
    from s2match.correction.request import CorrectionRequest
    from s2match.outputs.targets import Outputs
    from s2match.pipeline import LoadMatcher
    from s2match.result import PairResult

_LOG = logging.getLogger(__name__)

# Options of matching, without effect where tie points are given.
_MATCHING = (
    "preset",
    "mask",
    "mask_values",
    "mask_clouds",
    "confidence",
    "search_radius_m",
    "coverage",
    "refine",
    "max_points",
    "model_pretrained",
    "device",
    "precision",
)

# Options of matching in windows, without effect where one pass matches the images.
_WINDOWS = frozenset({"search_radius_m", "coverage"})


def run_pair(arguments: argparse.Namespace) -> int:
    """Match a pair, or fit a model to its tie points, and write the outputs; return the exit code.

    Raises:
        S2MatchError: Any error that a user can cause or meet; see :mod:`s2match.errors`.
    """
    from s2match.outputs.targets import check_outputs

    reference, target = choose_pair(arguments)
    _LOG.info("reference %s, target %s", reference.path, target.path)
    _LOG.debug("options %s", vars(arguments))
    outputs = _outputs(arguments)
    inputs = local_files(map(image_path, (reference.path, target.path, *arguments.mask, *arguments.apply_to)))
    if arguments.from_tie_points is not None:
        inputs.append(arguments.from_tie_points)
    check_outputs(outputs, inputs, target)
    load_matcher = _load_once() if outputs.correction is not None else None
    result = _result(reference, target, arguments, load_matcher)
    outcome = None
    if outputs.correction is not None:
        from s2match.pipeline import correct_and_evaluate

        try:
            outcome = correct_and_evaluate(result, outputs.correction, load_matcher)
        except S2MatchError:
            # the matches are worth keeping
            _write(result, arguments, replace(outputs, correction=None))
            raise
    _write(result, arguments, outputs, outcome)
    if result.registration is None:
        return NO_REGISTRATION
    return NOT_CORRECTED if outcome is not None and not outcome.decision.kept else 0


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
    )


def _outputs(arguments: argparse.Namespace) -> "Outputs":
    from s2match.outputs.targets import Outputs

    return Outputs(
        arguments.output,
        arguments.json,
        tuple(arguments.tie_points),
        _request(arguments),
        arguments.report,
        tuple(arguments.command),
    )


def _request(arguments: argparse.Namespace) -> "CorrectionRequest | None":
    """The files to correct; None for none.

    Raises:
        OptionError: There are options of a correction without ``--coregister``, or the resampling is unknown.
    """
    if arguments.coregister is None:
        for name in ("apply_to", "resampling", "no_resample", "overwrite", "force"):
            if getattr(arguments, name):
                raise OptionError(f"--{name} has no effect without a correction: give --coregister OUT.tif, too.")
        return None
    from s2match.correction.request import CUBIC, CorrectionRequest

    resampling = None if arguments.no_resample else arguments.resampling or CUBIC
    siblings = tuple(arguments.apply_to)
    return CorrectionRequest(arguments.coregister, siblings, resampling, arguments.overwrite, arguments.force)


def _result(
    reference: Scene, target: Scene, arguments: argparse.Namespace, load_matcher: "LoadMatcher | None"
) -> "PairResult":
    # nothing here may import PyTorch or matplotlib, which takes seconds: the images are read meanwhile
    from s2match.io.masking import masking_of
    from s2match.pipeline import fit_tie_points, match_scenes

    settings = settings_of(arguments)
    masking = masking_of(arguments.mask, arguments.mask_values, arguments.mask_clouds)
    if arguments.show:
        _require_screen()
    if arguments.from_tie_points is None:
        show_progress = not (arguments.quiet or arguments.verbose or arguments.debug)
        _refuse_window_options(reference, target, arguments, settings)
        return match_scenes(reference, target, settings, show_progress, masking, load_matcher)
    reason = "is an option of matching, and --from_tie_points does not match: leave one of them out."
    refuse(arguments, _MATCHING, reason)
    return fit_tie_points(arguments.from_tie_points, reference, target, settings)


def _refuse_window_options(reference: Scene, target: Scene, arguments: argparse.Namespace, settings: Settings) -> None:
    """Refuse options of matching in windows if the images are matched in one pass.

    Raises:
        OptionError: There is one.
        S2MatchError: The images cannot be matched at all.
    """
    if not arguments.given & _WINDOWS:
        return
    from s2match.io.pair_grid import grids_of
    from s2match.matching.tiled import in_one_pass

    grids = grids_of(reference, target, settings.image_size, settings.overlap_only, enlarge=settings.enlarge)
    if in_one_pass(*grids):
        width, height = grids[0].size
        reason = f"is about matching in windows, and {width} x {height} px are matched in one pass: leave it out."
        refuse(arguments, _WINDOWS, reason)


def _require_screen() -> None:
    from s2match.outputs.screen import has_screen

    if not has_screen():
        raise OutputError("There is no screen to show figures on: leave --show out.")


def _write(
    result: "PairResult",
    arguments: argparse.Namespace,
    outputs: "Outputs",
    outcome: "CorrectionOutcome | None" = None,
) -> None:
    from s2match.outputs.figures.matches import plot_pair
    from s2match.outputs.screen import has_screen, screen_figure, show_screen
    from s2match.outputs.write import write_outputs

    show = arguments.show is not False and has_screen()
    summary = write_outputs(result, outputs, screen_figure() if show else None, outcome)
    if not arguments.quiet:
        print(summary)
    if show:
        plot_pair(*result.previews, screen_figure())
        show_screen()
