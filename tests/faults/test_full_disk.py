"""A disk without space: the old file or a whole new one, and one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from small_commands import ENVIRONMENT

from benchmarks.faults import can_mount

HERE = Path(__file__).parent


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the size of a file are those of Linux")
def test_files_that_are_too_large_leave_the_old_one(tmp_path: Path) -> None:
    """Of every format, cut off where it is written, and where it is closed."""
    places = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    words = [sys.executable, HERE / "small_writers.py", tmp_path, "7"]
    done = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT | places)
    assert done.returncode == 0, done.stderr
    outcomes = {name: list(found.values()) for name, found in json.loads(done.stdout).items()}
    assert len(outcomes) == 9
    assert outcomes == {name: ["refused"] * (len(found) - 1) + ["whole"] for name, found in outcomes.items()}
    # the errors are told by the program alone
    assert done.stderr == ""


@pytest.mark.slow
def test_small_disks(tmp_path: Path) -> None:
    """Commands with one sentence and exit code 22 on real file systems."""
    if sys.platform != "linux" or not can_mount(tmp_path):
        pytest.skip("this user may not mount a disk in memory")
    words = ["-m", "benchmarks.faults", "--sizes", "2", "--commands", "coregister", "--json", tmp_path / "faults.json"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    kinds = [outcome["kind"] for outcome in json.loads((tmp_path / "faults.json").read_text())["outcomes"]]
    assert set(kinds) == {"refused", "whole"} and len(kinds) == 2, kinds
