"""One parser for each command, from the groups of options."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from s2match.cli.options.images import add_apply_inputs, add_bands, add_dataset, add_list_json, add_pair
from s2match.cli.options.matching import SizeAction, add_fit, add_matching, add_sizes
from s2match.cli.options.outputs import add_config, add_correction, add_log, add_model_files, add_outputs
from s2match.cli.options.pixels import AreaAction, add_area, add_masks, add_numbers
from s2match.cli.options.series import add_execution, add_series, add_series_outputs
from s2match.version import __version__

PROGRAM, SERIES_PROGRAM = "s2match", "match_series.py"
_ABOUT = "Match two Sentinel-2 images with LoFTR and measure the matches in metres."
_EXIT_CODES = (
    "exit codes: 0: a model was accepted and all files were written; 2: the command is malformed; 3: no registration; "
    "4: no corrected file was written; 5: displaced by more than --fail_above; 10 and more: an error, whose sentence "
    "is printed. docs/cli.md lists all."
)


class Formatter(argparse.HelpFormatter):
    """Help that shows both forms of ``--image_size`` and of ``--aoi``."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if isinstance(action, SizeAction):
            return "(WIDTH HEIGHT | native)"
        if isinstance(action, AreaAction):
            return "(WEST SOUTH EAST NORTH | FILE)"
        return super()._format_args(action, default_metavar)


def build_parser(program: str = "model_inference.py") -> argparse.ArgumentParser:
    """Parser of the command without a sub-command: it has all options."""
    parser = argparse.ArgumentParser(prog=program, description=_ABOUT, epilog=_EXIT_CODES, formatter_class=Formatter)
    pair = add_pair(parser)
    pair.add_argument("--list", action="store_true", help="list the images of the dataset and exit")
    parser.add_argument(
        "--from_tie_points",
        type=Path,
        metavar="FILE",
        help="do not match: fit the model to the tie points of a file written by --tie_points, edited or not",
    )
    for add in (add_area, add_masks, add_numbers, add_sizes, add_matching, *_RESULT):
        add(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def command_parser(command: str, program: str = PROGRAM) -> argparse.ArgumentParser:
    """Parser of a sub-command, one of :data:`COMMANDS`."""
    about, groups = COMMANDS[command]
    parser = argparse.ArgumentParser(
        prog=program if program == SERIES_PROGRAM else f"{program} {command}",
        description=about,
        epilog=_EXIT_CODES,
        formatter_class=Formatter,
    )
    for add in groups:
        add(parser)
    return parser


def overview(program: str = PROGRAM) -> str:
    """Help text that lists the sub-commands."""
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} COMMAND [options]",
        description=_ABOUT,
        epilog=f"'{program} COMMAND --help' lists the options of a command. Without a command, {program} takes the "
        "options of model_inference.py.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (about, _) in COMMANDS.items():
        commands.add_parser(name, help=about)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser.format_help()


_Groups = Sequence[Callable[[argparse.ArgumentParser], object]]
_RESULT: _Groups = (add_fit, add_outputs, add_model_files, add_correction, add_config, add_log)

# Sub-commands: help text and groups of options.
COMMANDS: dict[str, tuple[str, _Groups]] = {
    "match": (
        "match two images, fit a model, and write figure, JSON, tie points, report or corrected files",
        (add_pair, add_area, add_masks, add_numbers, add_sizes, add_matching, *_RESULT),
    ),
    "apply": (
        "correct files by the model of a JSON, or by a model fitted to a file of tie points, without matching",
        (add_apply_inputs, add_numbers, add_sizes, *_RESULT),
    ),
    "series": (
        "match the images of a series with each other, and place every date by all the others",
        (add_series, add_execution, add_area, add_masks, add_numbers, add_sizes, add_matching, add_fit)
        + (add_series_outputs, add_config, add_log),
    ),
    "list": (
        "list the images of a folder with the indexes that pick them",
        (add_dataset, add_bands, add_list_json, add_config, add_log),
    ),
}
