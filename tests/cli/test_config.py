"""Options in a file: TOML, and the JSON of a result, which repeats its run."""

import argparse
import json
from pathlib import Path

import pytest
from affine import Affine
from conftest import GRID, UTM, texture, write_geotiff

from s2match.cli.arguments import parse
from s2match.cli.config import used_options
from s2match.cli.main import main
from s2match.cli.options.parsers import COMMANDS, command_parser
from s2match.cli.pair import settings_of
from s2match.errors import OptionError

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]


def test_a_run_is_repeated_by_its_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, with images of a data set, a preset, a mask and a switch that is off."""
    scene = texture(200, 200, seed=1)
    (tmp_path / "images").mkdir()
    for day, transform in ((20, GRID), (21, GRID @ Affine.translation(4, 2))):
        write_geotiff(tmp_path / f"images/T36UXA_201808{day}T083601_TCI.jp2", scene[:192, :192], transform, UTM)
    write_geotiff(tmp_path / "mask.tif", (scene[:192, :192] > 200).astype("uint8"), GRID, UTM)
    monkeypatch.chdir(tmp_path)
    words = ["--dataset_path", "images", "--indexes_of_images", "1", "0", "--mask", "mask.tif", "--no-refine"]
    words += ["--preset", "fast", "--confidence", "0.25", "--no-show", "--no-figure", "--json", "first.json"]
    assert main(["match", *words]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = ["match", "--config", "../first.json", "--no-show", "--no-figure", "--json", "again.json"]
    assert main(again) == 0
    first, second = (json.loads(path.read_text()) for path in (tmp_path / "first.json", Path("again.json")))
    assert first == second and first["matches"] > 50
    assert first["options"]["images"] == [
        str(tmp_path / f"images/T36UXA_201808{day}T083601_TCI.jp2") for day in (21, 20)
    ]
    assert first["options"]["coverage"] == 0.1 and first["options"]["refine"] is False
    assert not {"preset", "json", "dataset_path", "indexes_of_images"} & first["options"].keys()


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "options.toml"
    path.write_text(text)
    return str(path)


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'image_size = "native"\nconfidence = 0.3\nrefine = false\nenlarge = true\nno-figure = true\n'
        'mask = ["a.gpkg", "b c.tif"]\nindexes_of_images = [1, 2]\nseed = 3\ncoverage = 0.5\n',
    )
    arguments = parse(["match", "--config", path], "s2match")
    assert arguments.image_size is None and arguments.confidence == 0.3 and arguments.indexes_of_images == [1, 2]
    assert arguments.mask == ["a.gpkg", "b c.tif"] and not arguments.refine and arguments.enlarge
    assert not arguments.figure and arguments.given == {"config"}
    assert settings_of(arguments).seed == 3
    words = ["match", f"--config={path}", "--image_size", "300", "200", "--refine", "--seed", "5", "--mask", "c.tif"]
    arguments = parse([*words, "--images", "a.tif", "b.tif"], "s2match")
    assert arguments.image_size == (300, 200) and arguments.refine and arguments.seed == 5
    assert arguments.mask == ["c.tif"] and arguments.images == ["a.tif", "b.tif"] and arguments.confidence == 0.3
    assert parse(["match", "--config", path, "--preset", "fast"], "s2match").coverage == 0.1


def test_a_preset_in_the_file_is_overridden_by_its_other_options(tmp_path: Path) -> None:
    path = write(tmp_path, 'preset = "fast"\nmax_points = 70\n')
    arguments = parse(["--config", path], "model_inference.py")
    assert (arguments.image_size, arguments.coverage, arguments.max_points) == (None, 0.1, 70)


def test_every_sub_command_has_it(tmp_path: Path) -> None:
    path = write(tmp_path, 'source = "folder"\npartners = 2\nimage_size = [256, 256]\n')
    arguments = parse(["series", "--config", path, "--workers", "2"], "s2match")
    assert (arguments.source, arguments.partners, arguments.workers) == (Path("folder"), 2, 2)
    assert parse(["series", "other", "--config", path], "s2match").source == Path("other")
    path = write(tmp_path, f'dataset_path = "{tmp_path}"\njson = "list.json"\n')
    assert parse(["list", "--config", path], "s2match").json == Path("list.json")
    path = write(tmp_path, 'source = "t.csv"\nfiles = ["a.tif", "b.tif"]\nseed = 1\n')
    arguments = parse(["apply", "--config", path], "s2match")
    assert arguments.from_tie_points == Path("t.csv") and arguments.images == ["a.tif", "b.tif"]


BAD = {
    "unknown": ("confidense = 0.5", "s2match match has no option 'confidense'"),
    "of another command": ("workers = 2", "s2match match has no option 'workers'"),
    "a file in a file": ('config = "b.toml"', "has no option 'config'"),
    "switch": ('enlarge = "yes"', "is a switch: write true or false"),
    "choice of two": ("refine = 1", "is a switch: write true or false"),
    "table": ("[seed]\na = 1", "is a table, and an option is a value or a list"),
    "no TOML": ("confidence = ", "Cannot read the options"),
    "range": ("confidence = 7", "Confidence 7 is out of range"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_used_is_one_sentence(case: str, tmp_path: Path, capsys: Capture) -> None:
    text, words = BAD[case]
    images = ["--images", "a.tif", "b.tif", "--no-figure"]
    assert main(["match", *images, "--config", write(tmp_path, text)]) == OptionError.exit_code
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and words in said


@pytest.mark.parametrize(("name", "value", "on_the_line"), [("seed", "1.5", "1.5"), ("max_points", '"many"', "many")])
def test_types_are_checked_as_on_the_command_line(
    name: str, value: str, on_the_line: str, tmp_path: Path, capsys: Capture
) -> None:
    said = []
    for words in (["--config", write(tmp_path, f"{name} = {value}")], [f"--{name}", on_the_line]):
        with pytest.raises(SystemExit) as ended:
            main(["match", *words])
        assert ended.value.code == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] and f"argument --{name}: invalid int value: '{on_the_line}'" in said[0]


def test_a_json_without_options_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "r.json").write_text("[]")
    assert main(["match", "--config", str(tmp_path / "r.json")]) == OptionError.exit_code
    assert "has no options" in capsys.readouterr().err
    assert main(["match", "--config", str(tmp_path / "missing.toml")]) == OptionError.exit_code
    assert "missing.toml: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("nodata", ["0", "nan", "-9999"])
def test_numbers_that_are_0_or_no_number_are_recorded(nodata: str, tmp_path: Path) -> None:
    words = [
        "match",
        "--images",
        "a.tif",
        "b.tif",
        "--nodata",
        nodata,
        "--offset",
        "0",
        "--aoi",
        "-3",
        "0",
        "-1.5",
        "2",
    ]
    arguments = parse(words, "s2match")
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"options": used_options(arguments)}, allow_nan=False))
    again = parse(["match", "--config", str(path)], "s2match")
    assert repr(settings_of(again)) == repr(settings_of(arguments)) and again.offset == 0
    assert used_options(again) == used_options(arguments) and used_options(again)["seed"] == 0


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_where_results_are_written_is_not_recorded(command: str) -> None:
    parser = command_parser(command)
    groups = [group for group in parser._action_groups if group.title == "files to write"]
    files = {action.dest for group in groups for action in group._group_actions if action.type is Path}
    names = [action.dest for action in parser._actions]
    values = {name: f"given/{name}" for name in names} | {"images": None, "indexes_of_images": None}
    recorded = used_options(argparse.Namespace(names=names, **values))
    assert not files & recorded.keys()
    assert not {"out", "coregister", "overwrite", "quiet", "show", "preset", "config"} & recorded.keys()


def test_credentials_of_urls_are_not_recorded(tmp_path: Path) -> None:
    images = ["https://me:secret@host/a.tif?sig=secret", "https://host/item.json?key=secret#visual"]
    arguments = parse(["match", "--images", *images, "--mask", "auto"], "s2match")
    options = used_options(arguments)
    assert options["images"] == ["https://host/a.tif", "https://host/item.json#visual"] and options["mask"] == ["auto"]
