"""``rio s2match``: a plugin of rasterio's command, with the results and exit codes of ``s2match match``."""

import json
import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click import Group
from click.testing import CliRunner, Result
from conftest import ROOT, Writer, texture
from rasterio.rio.main import main_group

from s2match import errors
from s2match.cli.rio import s2match

SIDE = 192


@pytest.fixture
def pair(write_image: Writer) -> list[str]:
    """The target shows the ground 3 px further right."""
    ground = texture(SIDE + 8, SIDE, seed=4)
    return [str(write_image("a.tif", ground[:, 4 : SIDE + 4])), str(write_image("b.tif", ground[:, 1 : SIDE + 1]))]


def rio(*words: str) -> Result:
    """The result of a command line of rio with the plugin."""
    group = Group("rio", callback=main_group.callback, params=main_group.params, commands=dict(main_group.commands))
    group.add_command(s2match)
    return CliRunner().invoke(group, words)


def test_the_entry_point_is_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (place,) = project["entry-points"]["rasterio.rio_plugins"].items()
    assert EntryPoint(*place, group="rasterio.rio_plugins").load() is s2match and place[0] == s2match.name


def test_a_target_is_corrected(pair: list[str], tmp_path: Path) -> None:
    out, points, facts = (str(tmp_path / name) for name in ("out.tif", "points.csv", "result.json"))
    options = ["--confidence", "0.2", "--image-size", "192", "192", "--tie-points", points, "--json", facts]
    done = rio("s2match", *pair, out, *options)
    assert done.exit_code == 0, done.output
    assert re.search(r"verdict +register with this \w+: the target shows the ground (30|29)\.\d ± ", done.output)
    with rasterio.open(pair[0]) as reference, rasterio.open(out) as corrected:
        inner = (slice(8, -8), slice(8, -8))
        difference = corrected.read(1)[inner].astype(float) - reference.read(1)[inner]
        assert np.abs(difference).mean() < 2 and corrected.transform == reference.transform
    assert json.loads(Path(facts).read_text())["verdict"] == "register" and Path(points).exists()
    assert not (tmp_path / "result.png").exists()
    # as rio's other commands
    again = rio("s2match", *pair, "-o", out, "--confidence", "0.2", "--native", "--bands", "1")
    assert again.exit_code == errors.OutputError.exit_code and "--overwrite" in again.output
    assert rio("-q", "s2match", *pair, "-o", out, "--confidence", "0.2", "--native", "--overwrite").output == ""


def test_exit_codes_and_help(pair: list[str], tmp_path: Path) -> None:
    assert "  s2match " in rio("--help").output
    text = rio("s2match", "--help").output
    assert "REFERENCE TARGET [OUTPUT]" in text and "rio s2match a_TCI.jp2 b_TCI.jp2" in text
    missing = rio("s2match", pair[0], str(tmp_path / "none.tif"))
    assert missing.exit_code == errors.UnreadableImageError.exit_code and "There is no file" in missing.output
    assert rio("s2match", *pair, "x.tif", "-o", "y.tif").exit_code == 2
    assert rio("s2match", *pair, "--native", "--image-size", "1", "1").exit_code == 2
    assert rio("s2match", *pair, "--confidence", "2").exit_code == errors.OptionError.exit_code
