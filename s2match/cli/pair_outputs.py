"""The files that a command line of a pair asks for, and the options that its JSON records."""

import argparse
from typing import TYPE_CHECKING, Any

from s2match.cli.arguments import refuse
from s2match.cli.options.outputs import FIGURE
from s2match.core.scene import Scene
from s2match.util.atomic_write import create_folder

if TYPE_CHECKING:
    from s2match.correction.model_files import ModelFiles
    from s2match.correction.request import CorrectionRequest
    from s2match.outputs.targets import Outputs

# Options of matching, without effect where tie points are given.
MATCHING = (
    "preset",
    "aoi",
    "aoi_crs",
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


def outputs_of(arguments: argparse.Namespace, reference: Scene, target: Scene) -> "Outputs":
    """The files that a command line asks for; creates the folder of ``--out``.

    Raises:
        OptionError: Options contradict each other, or have no effect.
        OutputError: The folder cannot be created.
    """
    from s2match.outputs.targets import Outputs

    if not arguments.figure:
        refuse(arguments, {"output"}, "has no effect with --no-figure: leave one of them out.")
    folder, given = arguments.out, arguments.given
    figure, json, tie_points, report = arguments.output, arguments.json, arguments.tie_points, arguments.report
    if folder is not None:
        create_folder(folder)
        figure = figure if arguments.output != FIGURE else folder / FIGURE
        json, report = json or folder / "result.json", report or folder / "report"
        tie_points = tie_points or [folder / "tie_points.gpkg"]
    return Outputs(
        figure if arguments.figure else None,
        json,
        tuple(tie_points),
        _request(arguments),
        report,
        tuple(arguments.command),
        _recorded(arguments, reference, target),
        arguments.overwrite,
        # the command without --output runs twice
        (FIGURE,) if figure == FIGURE and "output" not in given else (),
        _model_files(arguments),
        arguments.blink,
    )


def _recorded(arguments: argparse.Namespace, reference: Scene, target: Scene) -> dict[str, Any]:
    """The options that the result depends on, for its JSON."""
    if arguments.json is None and arguments.out is None:
        return {}
    from s2match.cli.config import used_options

    unused = () if arguments.from_tie_points is None else MATCHING
    options = used_options(arguments, (reference, target))
    return {name: value for name, value in options.items() if name not in unused}


def _model_files(arguments: argparse.Namespace) -> "ModelFiles | None":
    """Files of the model for other programs; None for none."""
    if arguments.displacement is arguments.gcps is None:
        return None
    from s2match.correction.model_files import ModelFiles

    return ModelFiles(arguments.displacement, arguments.gcps)


def _request(arguments: argparse.Namespace) -> "CorrectionRequest | None":
    """The files to correct; None for none.

    Raises:
        OptionError: There are options of a correction without ``--coregister``, or the resampling is unknown.
    """
    if arguments.coregister is None:
        reason = "has no effect without a correction: give --coregister OUT.tif, too."
        refuse(arguments, {"apply_to", "resampling", "no_resample", "force"}, reason)
        return None
    from s2match.correction.request import CUBIC, CorrectionRequest

    resampling = None if arguments.no_resample else arguments.resampling or CUBIC
    siblings = tuple(arguments.apply_to)
    return CorrectionRequest(arguments.coregister, siblings, resampling, arguments.overwrite, arguments.force)
