"""The command without arguments, from a folder with nothing but the project's data set, and without a network."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from conftest import ROOT
from no_network import REFUSE_NETWORK

from benchmarks import readme

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class DefaultRun:
    """A finished run.

    Attributes:
        folder: The folder that it ran in.
        done: Its exit code and what it printed.
    """

    folder: Path
    done: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> DefaultRun:
    folder = tmp_path_factory.mktemp("machine")
    (folder / "dataset").mkdir()
    (folder / "dataset" / "sample").symlink_to(ROOT / "dataset" / "sample")
    program = str(ROOT / "model_inference.py")
    run = f"import runpy\nsys.argv = [{program!r}]\nrunpy.run_path({program!r}, run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "TORCH_HOME": str(folder / "empty")}
    words = [sys.executable, "-c", REFUSE_NETWORK + run]
    return DefaultRun(folder, subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True))


def test_the_sample_is_used_and_registers(default_run: DefaultRun) -> None:
    done = default_run.done
    assert done.returncode == 0, done.stderr
    assert "using the synthetic sample" in done.stderr
    assert "registration  translation" in done.stdout and "held out" in done.stdout
    image = cv2.imread(str(default_run.folder / "result.png"))
    assert image is not None and min(image.shape[:2]) > 900
    assert sorted(path.name for path in default_run.folder.iterdir()) == ["dataset", "result.png"]


def test_pages_show_what_the_command_prints(default_run: DefaultRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of matches differs by a few between processors that run the network in float32 and in bfloat16."""
    monkeypatch.setattr(readme, "_run", lambda *options: default_run.done.stdout)
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    shown, printed = (
        {line.split()[0]: line for line in summary.splitlines()}
        for summary in (readme.blocks_of(page)["summary"], readme.sample_summary(Path("result.jpg")))
    )
    assert printed["reference"] == shown["reference"] and printed["target"] == shown["target"]
    assert int(printed["matches"].split()[1]) == pytest.approx(int(shown["matches"].split()[1]), rel=0.01)


def test_the_demo_shows_the_matches_of_the_command(default_run: DefaultRun) -> None:
    """It matches the same pair with the same options."""
    (stored,) = re.findall(r'"matches +(\d+) with', (ROOT / "Demo.ipynb").read_text(encoding="utf-8"))
    (printed,) = re.findall(r"^matches +(\d+) with", default_run.done.stdout, re.MULTILINE)
    assert int(stored) == pytest.approx(int(printed), rel=0.01)
