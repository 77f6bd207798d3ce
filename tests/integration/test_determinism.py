"""Two runs of the command, in processes of their own, write the same bytes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, texture, write_geotiff

SIDE_PX = 192

TIE_POINTS = [f"points.{suffix}" for suffix in ("gpkg", "geojson", "csv", "points", "parquet")]

COMMANDS = (
    [
        *("match", "--images", "reference.tif", "target.tif", "--confidence", "0.2"),
        *("--output", "result.png", "--json", "result.json", "--tie_points", *TIE_POINTS, "--report", "report"),
        *("--blink", "blink.gif", "--displacement", "displacement.tif", "--gcps", "gcps.tif"),
        *("--coregister", "corrected.tif", "--apply_to", "other.tif"),
    ],
    ["apply", "result.json", "other.tif", "polygons.geojson", "--out", "applied", "--gcps", "gcps.points"],
    ["apply", "result.json", "target.tif", "--gcps", "gcps.sh"],
)
OUTPUTS = {
    *("result.png", "result.json", "report/index.html", "blink.gif", "displacement.tif", "corrected.tif", *TIE_POINTS),
    *("other_coregistered.tif", "applied/other_coregistered.tif", "applied/polygons_coregistered.geojson"),
    *("gcps.tif", "gcps.points", "gcps.sh"),
}

# When a report was made: the one thing in it that is not the same.
MADE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


def run(folder: Path, surroundings: dict[str, str]) -> dict[str, bytes]:
    """Run all commands, and return the files that they wrote."""
    environment = {**os.environ, **surroundings, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    for words in COMMANDS:
        force = ["--force"] if "--out" in words or "--coregister" in words else []
        command = [sys.executable, "-m", "s2match", *words, *force, "--overwrite", "--quiet"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: MADE.sub(b"", path.read_bytes()) for name, path in files.items()}


@pytest.mark.slow
def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    scene = texture(SIDE_PX + 8, SIDE_PX + 8, seed=4)
    moved = scene[2 : 2 + SIDE_PX, 3 : 3 + SIDE_PX]
    write_geotiff(tmp_path / "reference.tif", np.stack([scene[:SIDE_PX, :SIDE_PX]] * 3))
    write_geotiff(tmp_path / "target.tif", np.stack([moved] * 3))
    write_geotiff(tmp_path / "other.tif", moved.astype(np.uint16) * 9)
    ring = [[34.41, 50.54], [34.42, 50.54], [34.42, 50.53], [34.41, 50.54]]
    (tmp_path / "polygons.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    # what differs between two runs on one machine: the seed of hashes, the time zone, the language
    first = run(tmp_path, {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"})
    second = run(tmp_path, {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"})
    assert set(first) == set(second) >= OUTPUTS
    assert [name for name, content in first.items() if content != second[name]] == []
