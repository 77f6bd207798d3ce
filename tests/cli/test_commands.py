"""``s2match``, ``python -m s2match`` and ``model_inference.py`` are one command, with sub-commands."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import ROOT

import model_inference
from s2match import __version__, errors
from s2match.cli.exit_codes import NO_REGISTRATION
from s2match.cli.main import main
from s2match.cli.options.parsers import COMMANDS, build_parser, command_parser
from s2match.io.scene_files import list_scenes

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pair(dataset: Path) -> list[str]:
    return [str(scene.path) for scene in list_scenes(dataset)[:2]]


SMALL = ["--image_size", "256", "256", "--confidence", "0.2", "--no-show"]


def module(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "import runpy, sys\nsys.path.insert(0, sys.argv.pop(1))\nrunpy.run_module('s2match', run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code, str(ROOT), *words], capture_output=True, text=True, cwd=cwd)


def test_both_ways_in_give_the_same(pair: list[str], tmp_path: Path, capsys: Capture) -> None:
    """The options of the command without a sub-command are those of ``match``, and the results are equal."""
    written = []
    for call in (model_inference.main, main, lambda words: main(["match", *words])):
        out = tmp_path / str(len(written))
        out.mkdir()
        outputs = ["--output", str(out / "r.png"), "--json", str(out / "r.json")]
        assert call(["--images", *pair, *SMALL, *outputs]) == 0
        summary = capsys.readouterr().out.replace(str(out), "")
        written.append((summary, (out / "r.json").read_bytes(), (out / "r.png").read_bytes()))
    assert written[0] == written[1] == written[2]


def test_every_option_of_a_sub_command_is_one_of_the_command() -> None:
    flat = {option for action in build_parser()._actions for option in action.option_strings}
    # the options of a series are its own
    for command in COMMANDS.keys() - {"series"}:
        options = {option for action in command_parser(command)._actions for option in action.option_strings}
        assert options <= flat
    match = {option for action in command_parser("match")._actions for option in action.option_strings}
    assert flat - match == {"--list", "--from_tie_points", "--version"}


def test_apply_corrects_by_tie_points_without_matching(
    pair: list[str], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = tmp_path / "points.csv"
    written = ["--output", str(tmp_path / "a.png"), "--tie_points", str(points)]
    assert main(["match", "--images", *pair, *SMALL, *written]) == 0
    monkeypatch.setattr("s2match.pipeline.match_scenes", None)
    sibling = tmp_path / "band.tif"
    with rasterio.open(pair[1]) as file:
        profile, band = file.profile, file.read(1)
    profile.update(driver="GTiff", count=1)
    with rasterio.open(sibling, "w", **{k: v for k, v in profile.items() if k != "photometric"}) as file:
        file.write(band, 1)
    out = tmp_path / "out.tif"
    options = ["--coregister", str(out), "--apply_to", str(sibling), "--output", str(tmp_path / "b.png"), "--no-show"]
    # the pair is registered already
    options.append("--force")
    assert main(["apply", str(points), *pair, *options]) == 0
    assert "tie points of points.csv" in capsys.readouterr().out
    with rasterio.open(pair[0]) as reference, rasterio.open(out) as corrected:
        assert corrected.shape == reference.shape and corrected.transform == reference.transform
        known, moved = reference.read(1).astype(float), corrected.read(1).astype(float)
    valid = moved > 0
    assert valid.mean() > 0.8 and np.corrcoef(known[valid], moved[valid])[0, 1] > 0.9
    assert (tmp_path / "band_coregistered.tif").exists()


def test_apply_takes_no_option_of_matching(pair: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["apply", "points.csv", *pair, "--confidence", "0.5"])
    assert ended.value.code == 2 and "--confidence" in capsys.readouterr().err


def test_list_is_the_list(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    tables = []
    for words in (["list"], ["--list"]):
        assert main([*words, "--dataset_path", str(dataset), "--json", str(tmp_path / f"{words[0]}.json")]) == 0
        tables.append((capsys.readouterr().out, json.loads((tmp_path / f"{words[0]}.json").read_text())))
    assert tables[0] == tables[1] and len(tables[0][1]) == 3


def test_help(capsys: Capture) -> None:
    """The program alone, and its help, list the sub-commands; each has a help of its own."""
    for words, code in (([], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == code
        out = capsys.readouterr().out
        assert all(command in out for command in COMMANDS) and "model_inference.py" in out
    for command, (about, _) in COMMANDS.items():
        with pytest.raises(SystemExit):
            main([command, "--help"])
        out = capsys.readouterr().out
        assert out.startswith(f"usage: s2match {command}") and about.split(",")[0] in out
    with pytest.raises(SystemExit):
        model_inference.main(["--help"])
    assert capsys.readouterr().out.startswith("usage: model_inference.py")


def test_the_module_is_a_command_in_any_folder(tmp_path: Path) -> None:
    done = module("--version", cwd=tmp_path)
    assert done.stdout.strip() == f"s2match {__version__}", done.stderr
    done = module("list", "--dataset_path", "nowhere", cwd=tmp_path)
    assert done.returncode == errors.DatasetError.exit_code and done.stderr.startswith("error: ")


def test_quiet_prints_errors_alone(pair: list[str], tmp_path: Path, capsys: Capture) -> None:
    outputs = ["--output", str(tmp_path / "r.png"), "--overwrite"]
    assert main(["match", "--images", *pair, *SMALL, *outputs, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == captured.err == "" and (tmp_path / "r.png").exists()
    assert main(["match", "--images", *pair, *SMALL, *outputs, "-q", "--confidence", "1"]) == NO_REGISTRATION
    assert main(["match", "--images", pair[0], pair[0], "-q"]) == errors.SameImageError.exit_code
    assert capsys.readouterr().err.startswith("error: ")
    with pytest.raises(SystemExit):
        main(["match", "--quiet", "--verbose"])


def test_verbose_logs_steps(pair: list[str], tmp_path: Path, capsys: Capture) -> None:
    """On standard error, by modules; the summary stays on standard output, and logging is left as it was."""
    before = logging.getLogger("s2match").handlers[:], logging.getLogger("s2match").level
    lengths = []
    for verbosity in ([], ["-v"], ["--debug"]):
        output = str(tmp_path / f"{len(lengths)}.png")
        assert main(["match", "--images", *pair, *SMALL, "--output", output, *verbosity]) == 0
        captured = capsys.readouterr()
        assert "verdict" in captured.out
        lines = captured.err.splitlines()
        assert all(line.split()[0] in ("INFO", "DEBUG") and line.split()[1].startswith("s2match.") for line in lines)
        lengths.append(len(lines))
    assert lengths[0] == 0 < lengths[1] < lengths[2]
    assert (logging.getLogger("s2match").handlers, logging.getLogger("s2match").level) == before


def test_the_start_imports_nothing_large() -> None:
    """A command line is parsed before NumPy, rasterio, HTTP and what completes in a shell or in rio are imported."""
    code = (
        "import sys; from s2match.cli.main import main; from s2match.cli.arguments import parse\n"
        "parse(['match', '--images', 'a.tif', 'b.tif', '--fail_above', '5m', '--out', 'x'], 's2match')\n"
        "print({'numpy', 'rasterio', 'http', 'ssl', 'argcomplete', 'click', 'pystac', 'pandas'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "set()\n", done.stderr
