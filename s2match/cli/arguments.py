"""Command line arguments as one namespace, with or without a sub-command."""

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from s2match.cli.options.parsers import COMMANDS, PROGRAM, SERIES_PROGRAM, build_parser, command_parser, overview
from s2match.core.image_path import without_credentials
from s2match.errors import OptionError
from s2match.settings import PRESETS

# Suffixes of files of tie points.
TIE_POINTS = (".gpkg", ".geojson", ".csv", ".points", ".parquet")


def parse(words: Sequence[str], program: str) -> argparse.Namespace:
    """Parse a command line with or without a sub-command.

    Args:
        words: The words after the program's name.
        program: ``s2match`` or ``model_inference.py``.

    Returns:
        Every option of :func:`s2match.cli.options.build_parser`, with its default where the command does not have it,
        ``given`` (names of the options on the command line; those in a file of options are not among them, because a
        file may serve many runs), ``names`` (of all options of the command) and ``command`` (the words, for the
        report).

    Raises:
        OptionError: The file of ``--config`` cannot be used.
        SystemExit: Help was printed, or the words are malformed.
    """
    words = list(words)
    if program == PROGRAM and words[:1] in ([], ["-h"], ["--help"]):
        print(overview(program), end="")
        raise SystemExit(0 if words else 2)
    if words and words[0] in COMMANDS:
        parser, rest = command_parser(words[0], program), words[1:]
    else:
        parser, rest = build_parser(program), words
    given, rest = _with_config(parser, rest)
    parsed = vars(_parse(parser, rest))
    if parsed.get("preset") is not None:
        parser.set_defaults(**PRESETS[parsed["preset"]])
        parsed = vars(_parse(parser, rest))
    arguments = argparse.Namespace(**(vars(build_parser().parse_args([])) | parsed))
    arguments.given, arguments.names = given, tuple(parsed)
    arguments.series = words[:1] == ["series"]
    if words[:1] == ["list"]:
        arguments.list = True
    arguments.model = None
    if words[:1] == ["apply"]:
        _choose_inputs(parser, arguments)
    launcher = [program] if program == PROGRAM else ["python", program]
    # match_series.py is the sub-command itself
    # the report shows the words, and a URL may have credentials
    shown = map(without_credentials, words[1:] if program == SERIES_PROGRAM else words)
    arguments.command = [*launcher, *shown]
    return arguments


def refuse(arguments: argparse.Namespace, names: Collection[str], reason: str) -> None:
    """Refuse options that have no effect.

    Raises:
        OptionError: One of the names is on the command line; the message names the first in alphabetical order.
    """
    for name in sorted(arguments.given.intersection(names)):
        option = f"--no-{name}" if getattr(arguments, name) is False else f"--{name}"
        raise OptionError(f"{option} {reason}")


def shows_progress(arguments: argparse.Namespace) -> bool:
    """Whether a progress bar is wanted: neither silence nor log records."""
    return not (arguments.quiet or arguments.verbose or arguments.debug)


def _with_config(parser: argparse.ArgumentParser, words: list[str]) -> tuple[frozenset[str], list[str]]:
    """Names of the options among the words, and the words with those that a file of options adds."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", type=Path)
    path = finder.parse_known_args(words)[0].config
    if path is None:
        return _given(parser, words), words
    from s2match.cli.config import relax_positionals, use_options

    relax_positionals(parser, path)
    given = _given(parser, words)
    return given, [*words, *use_options(parser, path, given)]


def _given(parser: argparse.ArgumentParser, words: Sequence[str]) -> frozenset[str]:
    """Names of the options that are on the command line, whether their values are the defaults or not."""
    absent = object()
    names = {action.dest for action in parser._actions} - {"help", "version"}
    # argparse fills in defaults only where a namespace lacks a name
    parsed = _parse(parser, words, argparse.Namespace(**dict.fromkeys(names, absent)))
    return frozenset(name for name in names if getattr(parsed, name) is not absent)


def _parse(
    parser: argparse.ArgumentParser, words: Sequence[str], namespace: argparse.Namespace | None = None
) -> argparse.Namespace:
    # arguments that may be left out can stand anywhere only so
    optional = any(not action.option_strings and action.nargs in ("?", "*") for action in parser._actions)
    return (parser.parse_intermixed_args if optional else parser.parse_args)(words, namespace)


def _choose_inputs(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Read the files of ``apply`` as tie points and two images, by the suffix of the first, or as a model and files.

    Raises:
        SystemExit: There are tie points without two images.
    """
    if arguments.source.suffix.lower() not in TIE_POINTS:
        arguments.model = arguments.source
        return
    if len(arguments.files) != 2:
        parser.error(f"{arguments.source} are tie points: give the reference and the target, too")
    arguments.from_tie_points, arguments.images = arguments.source, arguments.files


def words_of(argv: Sequence[str] | None) -> list[str]:
    """The words to parse: ``argv``, or those of the process."""
    return list(sys.argv[1:] if argv is None else argv)
