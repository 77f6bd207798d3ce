"""``match --pairs``: a line for each pair, a folder for each, one table, and exit codes."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import Writer, texture
from products import EAST_M, SOUTH_M, Product, write_product, zipped

from s2match import errors
from s2match.cli.exit_codes import ABOVE_LIMIT, NO_REGISTRATION, NOT_CORRECTED
from s2match.cli.main import main
from s2match.cli.options.parsers import command_parser
from s2match.cli.pairs import OPTIONAL_NAMES

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]
SIDE = 160
OPTIONS = ("--image_size", str(SIDE), str(SIDE), "--confidence", "0.2", "--device", "cpu")
SHIFTS_PX = {"a": (0, 0), "b": (3, 1), "c": (-2, 4), "same": (0, 0)}


@pytest.fixture
def images(tmp_path: Path, write_image: Writer) -> Path:
    """Three dates of one place, and the first again."""
    ground = texture(SIDE + 20, SIDE + 20, seed=3)
    for name, (right, down) in SHIFTS_PX.items():
        write_image(f"{name}.tif", ground[10 - down : 10 - down + SIDE, 10 - right : 10 - right + SIDE])
    return tmp_path


def match(folder: Path, *words: object) -> int:
    return main(["match", *map(str, words), "--out", str(folder / "out"), *OPTIONS])


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_of_pairs(images: Path, capsys: Capture) -> None:
    """A missing file is a line and an exit code, and all others are matched; nothing is matched twice."""
    source = images / "pairs.csv"
    source.write_text("reference,target,name\na.tif,b.tif,first\na.tif,gone.tif,\na.tif,c.tif,\n")
    words = (
        "--pairs",
        source,
        "--tie_points",
        "points.gpkg",
        "--output",
        "figure.png",
        "--gcps",
        "gcps.sh",
        "--blink",
        "a.gif",
    )
    assert match(images, *words) == errors.PairsFailedError.exit_code
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split("  ")[:2] for line in lines[:3]] == [["1/3", "first"], ["2/3", "a__gone"], ["3/3", "a__c"]]
    assert re.search(r"register with this \w+: the target shows the ground (30\.\d|29\.\d) ± .* further east", lines[0])
    assert lines[1].split("  ")[2].startswith("error: There is no file")
    assert lines[3].split(maxsplit=1) == ["pairs", "3: 1 failed, 2 matched"]
    assert lines[4].split() == ["table", str(images / "out" / "pairs.csv")]
    assert printed.err == f"error: 1 of 3 pairs failed: see {images / 'out' / 'pairs.csv'}.\n"
    for row, (right, down) in zip(table(images)[::2], (SHIFTS_PX["b"], SHIFTS_PX["c"]), strict=True):
        assert (float(row["dx_m"]), float(row["dy_m"])) == pytest.approx((10 * right, -10 * down), abs=3)
        names = {path.name for path in (images / "out" / row["name"]).iterdir()}
        assert names == {"result.json", "points.gpkg", "figure.png", "gcps.sh", "a.gif"}
    # the missing file arrives
    (images / "c.tif").rename(images / "gone.tif")
    source.write_text("reference,target,name\na.tif,b.tif,first\na.tif,gone.tif,\n")
    assert match(images, *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2/2  a__gone  register") and len(lines) == 3
    assert lines[1].split(maxsplit=1) == ["pairs", "2: 2 matched; 1 of them is unchanged since an earlier run"]


def test_the_json_of_a_pair_repeats_it(images: Path) -> None:
    assert match(images, "--pairs", images / "[bc].tif", "--reference", images / "a.tif", "--quiet") == 0
    result = images / "out" / "b" / "result.json"
    again = images / "again.json"
    assert main(["match", "--config", str(result), "--json", str(again), "--no-figure", "--no-show", "--quiet"]) == 0
    assert json.loads(again.read_text()) == json.loads(result.read_text())


def test_exit_codes(images: Path, write_image: Writer, capsys: Capture) -> None:
    """Of the first that is true of a pair: no registration, too large a displacement, not corrected."""
    rng = np.random.default_rng(0)
    write_image("noise.tif", rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8))
    reference = ("--reference", images / "a.tif")
    corrected = (*reference, "--coregister", "corrected.tif")
    assert match(images, "--pairs", images / "b.tif", *corrected, "-q") == 0
    with rasterio.open(images / "out" / "b" / "corrected.tif") as file, rasterio.open(images / "a.tif") as onto:
        inner = (slice(8, -8), slice(8, -8))
        difference = file.read(1)[inner].astype(float) - onto.read(1)[inner]
        assert np.abs(difference).mean() < 2 and file.transform == onto.transform
    assert match(images, "--pairs", images / "b.tif", images / "same.tif", *corrected, "-q") == NOT_CORRECTED
    assert [row["corrected"] for row in table(images)] == ["true", "false"]
    limit = ("--fail_above", "10m")
    assert match(images, "--pairs", images / "same.tif", *corrected, *limit, "-q") == NOT_CORRECTED
    assert match(images, "--pairs", images / "b.tif", images / "same.tif", *corrected, *limit, "-q") == ABOVE_LIMIT
    assert capsys.readouterr() == ("", "")
    assert match(images, "--pairs", images / "noise.tif", *reference) == NO_REGISTRATION
    assert "1/1  noise  no registration: " in capsys.readouterr().out
    assert match(images, "--pairs", images / "gone.tif", *reference, "-q") == errors.PairsFailedError.exit_code
    printed = capsys.readouterr()
    assert not printed.out and printed.err.startswith("1/1  gone  error: There is no file")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--pairs", "b.tif"), errors.OptionError, "--reference FILE"),
        (("--pairs", "b.tif", "--reference", "a.tif", "--json", "x/y.json"), errors.OptionError, "must be a name"),
        (("--pairs", "b.tif", "--reference", "a.tif", "--no-show"), None, ""),
        (("--pairs", "b.tif", "--reference", "a.tif", "--dataset_path", "."), errors.OptionError, "about one pair"),
        (
            ("--pairs", "b.tif", "--reference", "a.tif", "--coregister", "c.tif", "--apply_to", "d.tif"),
            errors.OptionError,
            "belongs to one target",
        ),
        (("--images", "a.tif", "b.tif", "--reference", "a.tif"), errors.OptionError, "--pairs"),
        (("--pairs", "none*.tif", "--reference", "a.tif"), errors.DatasetError, "No file matches"),
    ],
)
def test_options_that_are_refused(
    words: tuple[str, ...],
    code: type[errors.S2MatchError] | None,
    message: str,
    images: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(images)
    expected = 0 if code is None else code.exit_code
    assert match(images, *words) == expected
    assert message in capsys.readouterr().err


def test_the_list_itself_is_not_replaced(images: Path, capsys: Capture) -> None:
    source = images / "out" / "pairs.csv"
    source.parent.mkdir()
    source.write_text("reference,target\n../a.tif,../b.tif\n")
    assert match(images, "--pairs", source, "--overwrite") == errors.OutputError.exit_code
    assert "it is an input" in capsys.readouterr().err and source.read_text().startswith("reference,target\n..")


def test_every_output_is_a_name_in_the_folder_of_a_pair() -> None:
    groups = {group.title: group for group in command_parser("match")._action_groups}
    names = {
        action.dest
        for title in ("files to write", "files of the model", "corrected files")
        for action in groups[title]._group_actions
        if action.type is Path
    }
    assert names == {"out", "output", "json", "tie_points", *OPTIONAL_NAMES}


def test_results_need_a_folder(images: Path, capsys: Capture) -> None:
    words = ["match", "--pairs", str(images / "b.tif"), "--reference", str(images / "a.tif")]
    assert main(words) == errors.OptionError.exit_code
    assert "give --out DIR" in capsys.readouterr().err


def test_products_and_their_bands(tmp_path: Path, capsys: Capture) -> None:
    """A folder against a zip; every band is corrected, and nothing is matched or written twice."""
    reference = write_product(tmp_path, Product())
    displaced = write_product(tmp_path / "targets", Product(sensed="20190606T083601", displaced=True))
    zipped(displaced, tmp_path / "target.zip")
    words = ["--pairs", tmp_path / "target.zip", "--reference", reference, "--mask", "auto"]
    words += ["--coregister", "corrected.tif", "--apply_to", "product", "--image_size", 240, 240]
    assert match(tmp_path, *words) == 0
    capsys.readouterr()
    (row,) = table(tmp_path)
    # the ground lies where the georeference of the target does not say
    assert (abs(float(row["dx_m"])), abs(float(row["dy_m"]))) == pytest.approx((EAST_M, SOUTH_M), abs=3)
    names = [path.name for path in (tmp_path / "out" / "target").iterdir()]
    assert {"corrected.tif", "result.json"} < set(names)
    assert any("_B08_coregistered" in name for name in names)
    assert match(tmp_path, *words) == 0
    assert "unchanged since an earlier run" in capsys.readouterr().out
    band = next((tmp_path / "out" / "target").glob("*_B08_coregistered.tif"))
    band.write_text("mine")
    assert match(tmp_path, *words) == errors.OutputError.exit_code
    assert band.name in capsys.readouterr().err and band.read_text() == "mine"
