"""Names that are long, too long, or no text."""

import os
import sys
from pathlib import Path

import pytest
from small_commands import NAMES, apply_words, write_inputs

from s2match.cli.main import main
from s2match.errors import OutputError, UnreadableImageError

Capture = pytest.CaptureFixture[str]

# A byte that is no UTF-8, as Python gives it.
BAD = os.fsdecode(b"na\xffme")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_folder() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_the_longest_names_that_are_legal(inputs: Path) -> None:
    names = {suffix: "a" * (255 - len(suffix)) + suffix for suffix in (".tif", ".gpkg", ".csv", ".json", ".png")}
    words = ["--coregister", names[".tif"], "--force", "--output", names[".png"], "--json", names[".json"]]
    assert main([*apply_words(inputs), *words, "--tie_points", names[".gpkg"], names[".csv"]]) == 0
    assert in_folder() == sorted(names.values())


@pytest.mark.parametrize(
    "option", ["--coregister x.tif --force", "--json x.json", "--tie_points x.gpkg", "--output x.png", "--report x"]
)
def test_outputs_with_a_name_that_is_too_long(inputs: Path, capsys: Capture, option: str) -> None:
    words = option.replace("x", "x" * 256).split()
    figure = [] if "--output" in words else ["--no-figure"]
    assert main([*apply_words(inputs), *figure, *words]) == OutputError.exit_code
    message = capsys.readouterr().err
    assert message.endswith(": File name too long.\n") and message.count("\n") == 1 and in_folder() == []


def test_inputs_with_a_name_that_is_too_long(inputs: Path, capsys: Capture) -> None:
    long = "x" * 256 + "_TCI.tif"
    for words in (
        ["match", "--images", long, long],
        ["list", "--dataset_path", long],
        ["apply", f"{long}.csv", *apply_words(inputs)[2:]],
    ):
        assert main(words) == UnreadableImageError.exit_code
        message = capsys.readouterr().err
        assert message.endswith(": File name too long.\n") and message.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(inputs: Path, capsys: Capture) -> None:
    """Formats of Python's own are written by them; GDAL's are refused before the work."""
    (inputs / f"{BAD}.csv").write_bytes((inputs / "points.csv").read_bytes())
    words = ["apply", str(inputs / f"{BAD}.csv"), *apply_words(inputs)[2:]]
    outputs = ["--output", f"{BAD}.png", "--json", f"{BAD}.json", "--report", BAD, "--tie_points", f"{BAD}.csv"]
    assert main([*words, *outputs]) == 0
    assert in_folder() == sorted([f"{BAD}.png", f"{BAD}.json", f"{BAD}.csv", BAD])
    page = Path(BAD, "index.html").read_text(encoding="utf-8")
    assert "na%FFme.json" in page and r"na\udcffme.json" in page
    capsys.readouterr()
    for option in (["--coregister", f"{BAD}.tif", "--force"], ["--tie_points", f"{BAD}.gpkg"]):
        assert main([*words, "--no-figure", *option]) == OutputError.exit_code
        message = capsys.readouterr().err
        assert message.count("\n") == 1 and "its name is not UTF-8" in message
    os.link(inputs / NAMES[0], f"{BAD}_TCI.tif")
    assert main(["match", "--images", f"{BAD}_TCI.tif", str(inputs / NAMES[1])]) == UnreadableImageError.exit_code
    assert "its name is not UTF-8" in capsys.readouterr().err
