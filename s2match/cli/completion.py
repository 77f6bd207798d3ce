"""Completion of commands, options and their values in a shell, by argcomplete."""

import argparse
from collections.abc import Iterable
from typing import Any

from s2match.cli.options.parsers import COMMANDS, PROGRAM, build_parser, command_parser
from s2match.registration.options import AUTO, MODELS
from s2match.settings import BUNDLED, DOWNLOADED
from s2match.util.optional import import_optional

# Values of options that argparse does not restrict: the library checks them. A test compares them with the library.
VALUES = {
    "geometry": (AUTO, *MODELS),
    "resampling": ("nearest", "bilinear", "cubic", "lanczos"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "image_size": ("native",),
}

# Options that take a folder, and those that take neither a file nor one of a few values.
_FOLDERS, _FREE = ("dataset_path", "report", "out"), ("bands", "fail_above", "aoi_crs", "scheduler", "pattern")


def complete() -> None:
    """Print the completions that the shell asks for, and end the process.

    Raises:
        MissingExtraError: argcomplete is not installed.
    """
    argcomplete = import_optional("argcomplete", "Completions in a shell", "requirements-dev.txt")
    argcomplete.autocomplete(completion_parser(argcomplete.completers), always_complete_options="long")


def completion_parser(completers: Any) -> argparse.ArgumentParser:
    """Parser of all commands and options, whose actions have a completer where files are not what they take.

    Args:
        completers: The module of argcomplete.
    """
    parser = build_parser(PROGRAM)
    commands = parser.add_subparsers(metavar="COMMAND")
    parsers = [parser]
    for name, (about, *_) in COMMANDS.items():
        # the parent has the option of help
        command = commands.add_parser(name, help=about, parents=[command_parser(name)], add_help=False)
        parsers.append(command)
    for action in (action for each in parsers for action in each._actions):
        _set_completer(action, completers)
    return parser


def _set_completer(action: argparse.Action, completers: Any) -> None:
    files = completers.FilesCompleter()

    def weights(prefix: str, **_: object) -> Iterable[str]:
        return [*(name for name in (BUNDLED, *DOWNLOADED) if name.startswith(prefix)), *files(prefix)]

    completer: Any = None
    if action.dest in VALUES:
        completer = completers.ChoicesCompleter(VALUES[action.dest])
    elif action.dest in _FOLDERS:
        completer = completers.DirectoriesCompleter()
    elif action.dest == "model_pretrained":
        completer = weights
    elif action.type in (int, float) or action.dest in _FREE:
        completer = completers.SuppressCompleter()
    if completer is not None:
        action.completer = completer  # type: ignore[attr-defined]
