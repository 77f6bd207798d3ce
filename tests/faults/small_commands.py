"""Commands on two small images, as processes of their own, without the network."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from conftest import ROOT, texture, write_geotiff

NAMES = ("T36UXA_20180820T083601_TCI.tif", "T36UXA_20190606T083601_TCI.tif")

# What a user's shell runs, in any folder.
PROGRAM = (sys.executable, "-m", "s2match")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}


def write_inputs(folder: Path) -> Path:
    """A folder of two images that are 3 and 5 px apart, and of their tie points, ``points.csv``."""
    scene = texture(320, 320, seed=1)
    for name, (x, y) in zip(NAMES, ((0, 0), (3, 5)), strict=True):
        write_geotiff(folder / name, np.stack([scene[y : y + 256, x : x + 256]] * 3))
    places = np.random.default_rng(0).uniform(20, 230, (60, 2))
    rows = [f"{x:.3f},{y:.3f},{x - 3:.3f},{y - 5:.3f}" for x, y in places]
    (folder / "points.csv").write_text("\n".join(["X_IM_REF,Y_IM_REF,X_IM,Y_IM", *rows]) + "\n")
    return folder


def apply_words(inputs: Path) -> list[str]:
    """The words of a command that fits a model to the tie points."""
    return ["apply", str(inputs / "points.csv"), *(str(inputs / name) for name in NAMES), "--no-show"]


def run(words: Sequence[str | bytes], folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder."""
    options = {"capture_output": True, "text": True, "errors": "replace", "timeout": 120, **options}
    return subprocess.run([*PROGRAM, *words], cwd=folder, env=ENVIRONMENT, **options)


def start(words: Sequence[str], folder: Path, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """Start a command line in a folder; ``before`` runs in the new process."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PROGRAM, *words], cwd=folder, env=ENVIRONMENT, text=True, preexec_fn=before, **pipes)


def heed_signals() -> None:
    """End by signals, in a new process: tests may run under nohup or in the background, whose children ignore some."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def partial_folders(folder: Path) -> list[Path]:
    """Temporary folders in a folder that runs write into."""
    # not those within: a run may remove them meanwhile
    return sorted(folder.glob(".s2match-*"))
