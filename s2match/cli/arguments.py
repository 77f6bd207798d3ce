"""Command line arguments as one namespace, with or without a sub-command."""

import argparse
import sys
from collections.abc import Collection, Sequence

from s2match.cli.options.parsers import COMMANDS, PROGRAM, SERIES_PROGRAM, build_parser, command_parser, overview
from s2match.errors import OptionError
from s2match.settings import PRESETS


def parse(words: Sequence[str], program: str) -> argparse.Namespace:
    """Parse a command line with or without a sub-command.

    Args:
        words: The words after the program's name.
        program: ``s2match`` or ``model_inference.py``.

    Returns:
        Every option of :func:`s2match.cli.options.build_parser`, with its default where the command does not have it,
        and ``given`` (names of the options on the command line) and ``command`` (the words, for the report).

    Raises:
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
    parsed = vars(parser.parse_args(rest))
    if parsed.get("preset") is not None:
        parser.set_defaults(**PRESETS[parsed["preset"]])
        parsed = vars(parser.parse_args(rest))
    arguments = argparse.Namespace(**(vars(build_parser().parse_args([])) | parsed))
    arguments.given = _given(parser, rest, parsed)
    arguments.series = words[:1] == ["series"]
    if words[:1] == ["list"]:
        arguments.list = True
    if words[:1] == ["apply"]:
        arguments.images = [arguments.reference, arguments.target]
    launcher = [program] if program == PROGRAM else ["python", program]
    # match_series.py is the sub-command itself
    arguments.command = [*launcher, *(rest if program == SERIES_PROGRAM else words)]
    return arguments


def refuse(arguments: argparse.Namespace, names: Collection[str], reason: str) -> None:
    """Refuse options that have no effect.

    Raises:
        OptionError: One of the names is on the command line; the message names the first in alphabetical order.
    """
    for name in sorted(arguments.given.intersection(names)):
        option = f"--no-{name}" if getattr(arguments, name) is False else f"--{name}"
        raise OptionError(f"{option} {reason}")


def _given(parser: argparse.ArgumentParser, words: Sequence[str], names: Collection[str]) -> frozenset[str]:
    """Those of the names of options that are on the command line, whether their values are the defaults or not."""
    absent = object()
    # argparse fills in defaults only where a namespace lacks a name
    parsed = parser.parse_args(words, argparse.Namespace(**dict.fromkeys(names, absent)))
    return frozenset(name for name in names if getattr(parsed, name) is not absent)


def words_of(argv: Sequence[str] | None) -> list[str]:
    """The words to parse: ``argv``, or those of the process."""
    return list(sys.argv[1:] if argv is None else argv)
