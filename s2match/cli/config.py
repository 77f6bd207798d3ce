"""Options of the command line in a file: TOML, or the JSON of an earlier result."""

import argparse
import json
import math
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from s2match.cli.options.parsers import build_parser
from s2match.core.image_path import image_path
from s2match.core.scene import Scene
from s2match.errors import OptionError
from s2match.io.products import product_path
from s2match.settings import PRESETS

# Options that a file cannot have.
_NOT_IN_FILES = frozenset({"help", "version", "config"})

# Options that a result does not depend on: where it is written, where it is computed, and messages. A preset is
# recorded as the options that it sets.
_NOT_RECORDED = _NOT_IN_FILES | {
    *("output", "figure", "json", "tie_points", "report", "out", "coregister", "geolocation", "parquet", "stac"),
    *("displacement", "gcps", "blink"),
    *("show", "overwrite", "workers", "scheduler", "memory_gb", "restart", "verbose", "debug", "quiet"),
    *("list", "preset"),
}

# Options that name files to read.
_FILES = frozenset(
    {
        "images",
        "pairs",
        "reference",
        "target",
        "source",
        "files",
        "mask",
        "apply_to",
        "from_tie_points",
        "model_pretrained",
        "aoi",
    }
)

# User and query of a URL, which may be credentials.
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@|\?[^#]*")


def read_options(path: Path) -> dict[str, Any]:
    """The options of a file by their names: of TOML all of it, of JSON the object ``options``.

    Raises:
        OptionError: The file cannot be read, or has no options.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise OptionError(f"Cannot read the options {path}: {error.strerror}.") from error
    except RecursionError as error:
        raise OptionError(f"Cannot read the options {path}: its brackets are nested too deeply.") from error
    except ValueError as error:
        raise OptionError(f"Cannot read the options {path}: {error}.") from error
    if path.suffix.lower() != ".json":
        return content
    options = content.get("options") if isinstance(content, dict) else None
    if not isinstance(options, dict):
        raise OptionError(f"{path} has no options: a JSON that --json or a series has written has them.")
    return options


def use_options(parser: argparse.ArgumentParser, path: Path, given: Collection[str]) -> list[str]:
    """The options of a file as words of a command line.

    Args:
        parser: The parser of the command. Its arguments without a name become optional if the file has them.
        path: The file.
        given: Names of the options on the command line. They, and options that exclude each other with one of them,
            are left out, and what a preset on the command line sets.

    Raises:
        OptionError: The file cannot be read, an option does not exist, or its value is of no kind that an option has.
    """
    words: list[str] = []
    for name, value in read_options(path).items():
        action, option = _action_of(parser, name, path)
        if value is not None and action.dest not in _overridden(parser, given):
            words += _words_of(action, option, value, f"{name!r} in {path}")
    return words


def relax_positionals(parser: argparse.ArgumentParser, path: Path) -> None:
    """Let arguments without a name, such as the folder of a series, be left out where a file has them.

    Raises:
        OptionError: The file cannot be read.
    """
    options = read_options(path)
    for action in parser._actions:
        if not action.option_strings and action.dest in options:
            value = options[action.dest]
            action.nargs, action.required, action.default = "*" if isinstance(value, list) else "?", False, value


def used_options(arguments: argparse.Namespace, images: tuple[Scene, Scene] | None = None) -> dict[str, Any]:
    """The options that a result depends on, by their names and as JSON types.

    With them, ``--config`` repeats the run from any folder, as long as the files stay where they are. Users and queries
    of URLs are left out, as they may be credentials.

    Args:
        arguments: Arguments of :func:`s2match.cli.arguments.parse`.
        images: The reference and the target, where the command line has chosen them by indexes.
    """
    names = set(arguments.names) - _NOT_RECORDED
    values = {name: getattr(arguments, name) for name in arguments.names if name in names}
    if images is not None and "indexes_of_images" in values and values["images"] is None:
        values["images"] = [product_path(scene) for scene in images]
    if values.get("images") is not None:
        values = {name: value for name, value in values.items() if name not in ("dataset_path", "indexes_of_images")}
    if "image_size" in values and values["image_size"] is None:
        values["image_size"] = "native"
    defaults = build_parser()
    kept = {
        name: value
        for name, value in values.items()
        if not (value is None or value is False or value in ([], ()))
        or (value is False and defaults.get_default(name) is True)
    }
    return {name: _as_json(value, name in _FILES) for name, value in sorted(kept.items())}


def _action_of(parser: argparse.ArgumentParser, name: str, path: Path) -> tuple[argparse.Action, str]:
    """The option of a name, and the word that stands for it."""
    for action in parser._actions:
        if action.dest in _NOT_IN_FILES:
            continue
        if not action.option_strings and action.dest == name:
            return action, ""
        for option in action.option_strings:
            if option == f"--{name}":
                return action, option
    raise OptionError(f"{path}: {parser.prog} has no option {name!r}.")


def _overridden(parser: argparse.ArgumentParser, given: Collection[str]) -> set[str]:
    """Names of options that those on the command line override."""
    overridden = set(given)
    for group in parser._mutually_exclusive_groups:
        names = {action.dest for action in group._group_actions}
        if names & set(given):
            overridden |= names
    if "preset" in given:
        overridden |= {name for preset in PRESETS.values() for name in preset}
    return overridden


def _words_of(action: argparse.Action, option: str, value: object, place: str) -> list[str]:
    """An option and its value as words."""
    if isinstance(value, Mapping):
        raise OptionError(f"{place} is a table, and an option is a value or a list.")
    if not option:
        return []
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise OptionError(f"{place} is a switch: write true or false.")
        if value:
            return [option]
        return [action.option_strings[-1]] if isinstance(action, argparse.BooleanOptionalAction) else []
    if isinstance(value, list):
        return [option, *map(str, value)] if value else []
    return [f"{option}={value}"]


def _as_json(value: object, is_file: bool) -> Any:
    if isinstance(value, str):
        return _file_text(value) if is_file else value
    if isinstance(value, Sequence):
        return [_as_json(item, is_file) for item in value]
    if isinstance(value, Path):
        return str(value.absolute())
    # JSON has no NaN
    is_number = isinstance(value, bool | int | float) and math.isfinite(value)
    return value if is_number else str(value)


def _file_text(text: str) -> str:
    """A file as text that does not depend on the current folder; what is no local file stays as it is."""
    if "://" in text:
        return _CREDENTIALS.sub("", text)
    path = image_path(text)
    return str(path.absolute()) if isinstance(path, Path) and path.exists() else text
