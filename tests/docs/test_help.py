"""The help of every command is enough to use it."""

import argparse

import pytest

from s2match.cli.exit_codes import ABOVE_LIMIT, NO_REGISTRATION
from s2match.cli.options.parsers import COMMANDS, build_parser, command_parser
from s2match.errors import DatasetError, NotCorrectedError

PARSERS = {"model_inference.py": build_parser(), **{name: command_parser(name) for name in COMMANDS}}


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_is_explained_with_its_default(name: str) -> None:
    for action in PARSERS[name]._actions:
        text = action.help or ""
        assert len(text.split()) > 1, action.dest
        if action.default not in (None, False, True, [], argparse.SUPPRESS) and not action.choices:
            values = action.default if isinstance(action.default, tuple) else (action.default,)
            written = text.replace("%(default)s", str(action.default))
            assert all(str(value) in written for value in values), action.dest


@pytest.mark.parametrize("name", PARSERS)
def test_exit_codes_are_named(name: str) -> None:
    codes = " ".join(PARSERS[name].format_help().split()).partition("exit codes: ")[2]
    first_error = DatasetError.exit_code
    for code in (0, 2, NO_REGISTRATION, NotCorrectedError.exit_code, ABOVE_LIMIT, first_error):
        assert f"{code}: " in codes or f"{code} and more: " in codes, code
