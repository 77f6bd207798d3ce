"""A shell completes commands, options, choices and files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from s2match.cli.completion import VALUES
from s2match.cli.options.parsers import COMMANDS
from s2match.resampling.kernels import RESAMPLINGS

pytest.importorskip("argcomplete")

RUN = "from s2match.cli.process import run_and_exit; run_and_exit()"


def completions(line: str, folder: Path, shell: str = "bash") -> list[str]:
    """What a shell offers at the end of a line."""
    answer = folder.with_suffix(".answer")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SHELL": shell,
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout and not done.stderr, done.stderr
    words = [word.strip() for word in answer.read_text().splitlines()]
    answer.unlink()
    return words


def test_commands_options_choices_and_files(tmp_path: Path) -> None:
    (tmp_path / "a_TCI.jp2").touch()
    (tmp_path / "dates").mkdir()
    assert set(completions("s2match ", tmp_path)) >= set(COMMANDS)
    assert completions("s2match ser", tmp_path) == ["series"]
    assert completions("s2match match --pres", tmp_path) == ["--preset"]
    assert set(completions("s2match match --preset ", tmp_path)) == {"fast", "thorough"}
    assert "--preset" not in completions("s2match apply --", tmp_path)
    assert completions("s2match match --images a", tmp_path) == ["a_TCI.jp2"]
    assert completions("s2match series d", tmp_path) == ["dates/"]
    assert completions("s2match --geometry tr", tmp_path) == ["translation"]
    assert set(completions("s2match match --model_pretrained in", tmp_path)) == {"indoor", "indoor_new"}
    assert completions("s2match match --dataset_path ", tmp_path) == ["dates/"]
    assert completions("s2match match --fail_above ", tmp_path) == []
    assert [line.split("\t")[0] for line in completions("s2match list --j", tmp_path, "fish")] == ["--json"]


def test_the_values_are_those_of_the_library() -> None:
    assert VALUES["resampling"] == RESAMPLINGS
