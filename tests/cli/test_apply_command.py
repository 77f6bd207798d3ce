"""``s2match apply`` with the JSON of a result: from a JSON and files to corrected files, without matching."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import GRID, ROOT, UTM, texture

from s2match import errors
from s2match.cli.arguments import TIE_POINTS
from s2match.cli.exit_codes import NO_REGISTRATION
from s2match.cli.main import main
from s2match.tiepoints import formats

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]
# The georeference of the target is wrong by so many metres to the east and north.
EAST_M, NORTH_M = 33.0, -47.0
WRONG = Affine.translation(EAST_M, NORTH_M) @ GRID
TARGET = "B_20190606T083601_TCI.tif"


def write(path: Path, bands: Any, place: Affine | None) -> Path:
    profile = {"driver": "GTiff", "count": len(bands), "dtype": bands.dtype}
    profile |= {} if place is None else {"crs": UTM, "transform": place}
    with rasterio.open(path, "w", height=bands.shape[1], width=bands.shape[2], **profile) as file:
        file.write(bands)
    return path


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a pair that was matched and corrected once, and of files to correct later."""
    folder = tmp_path_factory.mktemp("matched")
    scene = np.stack([texture(300, 300, seed=1)] * 3)
    reference = write(folder / "A_20180820T083601_TCI.tif", scene[:, :256, :256], GRID)
    target = write(folder / TARGET, scene[:, 2:258, 4:260], WRONG @ Affine.translation(4, 2))
    place = WRONG @ Affine.translation(4, 2) @ Affine.scale(2)
    write(folder / "B_B11_20m.tif", texture(128, 128, seed=2).astype(np.uint16)[None] * 10, place)
    write(folder / "B_SCL_20m.tif", (texture(128, 128, seed=3) // 20).astype(np.uint8)[None], place)
    points = shapely.points([[600500 + EAST_M, 5599000 + NORTH_M]])
    geopandas.GeoDataFrame({"name": ["mast"]}, geometry=points, crs=UTM.to_wkt()).to_file(folder / "masts.gpkg")
    words: list[object] = ["match", "--images", reference, target, "--image_size", 256, 256, "--confidence", 0.2]
    words += [
        "--no-show",
        "--output",
        folder / "r.png",
        "--json",
        folder / "r.json",
        "--coregister",
        folder / "out.tif",
    ]
    words += ["--apply_to", folder / "B_B11_20m.tif", folder / "B_SCL_20m.tif", "--displacement", folder / "d.tif"]
    words += ["--gcps", folder / "gcps.points", "--tie_points", folder / "points.csv"]
    assert main([str(word) for word in words]) == 0
    return folder


def apply(matched: Path, *words: object) -> int:
    return main(["apply", str(matched / "r.json"), *map(str, words)])


def test_a_model_corrects_files_later(matched: Path, tmp_path: Path, capsys: Capture) -> None:
    files = [matched / name for name in (TARGET, "B_B11_20m.tif", "B_SCL_20m.tif", "masts.gpkg")]
    others = ["--displacement", tmp_path / "d.tif", "--gcps", tmp_path / "gcps.points"]
    out = tmp_path / "out"
    # options may stand between the files
    assert apply(matched, files[0], "--out", out, *files[1:], *others) == 0
    lines = capsys.readouterr().out.splitlines()
    first = f"model         translation of {TARGET} onto A_20180820T083601_TCI.tif, from {matched / 'r.json'}"
    names = [f"{path.stem}_coregistered{path.suffix}" for path in files]
    assert lines == [first, f"written       {', '.join(map(str, [*(out / name for name in names), *others[1::2]]))}"]
    before = [matched / "out.tif", matched / names[1], matched / names[2], matched / "d.tif", matched / "gcps.points"]
    after = [*(out / name for name in names[:3]), tmp_path / "d.tif", tmp_path / "gcps.points"]
    for now, then in zip(before, after, strict=True):
        assert now.read_bytes() == then.read_bytes(), then.name
    (mast,) = geopandas.read_file(out / "masts_coregistered.gpkg").geometry
    assert mast.x == pytest.approx(600500, abs=3) and mast.y == pytest.approx(5599000, abs=3)
    with rasterio.open(tmp_path / "d.tif") as file:
        east, north = file.read()
    # added to the target's coordinates, they take the error of its georeference back
    assert np.abs(east + EAST_M).max() < 3 and np.abs(north + NORTH_M).max() < 3

    assert apply(matched, files[0], "--out", out, "-q") == errors.OutputError.exit_code
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert apply(matched, files[0], "--out", out, "--overwrite", "--no_resample", "-q") == 0
    assert capsys.readouterr().out == ""
    with rasterio.open(out / names[0]) as moved, rasterio.open(files[0]) as original:
        assert (moved.read() == original.read()).all()
        assert np.abs(np.array([moved.transform.c, moved.transform.f]) - (GRID.c + 40, GRID.f - 20)).max() < 3


def test_the_pixels_of_ground_control_points(matched: Path, tmp_path: Path, capsys: Capture) -> None:
    """Of the file that has the target's name, or else of the first."""
    assert apply(matched, matched / "B_B11_20m.tif", matched / TARGET, "--gcps", tmp_path / "a.tif") == 0
    assert apply(matched, matched / "B_B11_20m.tif", "--gcps", tmp_path / "b.tif") == 0
    for name, source in (("a.tif", TARGET), ("b.tif", "B_B11_20m.tif")):
        with rasterio.open(tmp_path / name) as file, rasterio.open(matched / source) as original:
            assert (file.read() == original.read()).all() and len(file.gcps[0]) == 9
    assert apply(matched, "--gcps", tmp_path / "c.tif") == errors.OptionError.exit_code
    assert "has the pixels of the target: give the file of the target, too" in capsys.readouterr().err
    assert apply(matched, "--gcps", tmp_path / "c.sh") == 0
    assert f" {TARGET} " in (tmp_path / "c.sh").read_text()


def test_what_cannot_be_applied(matched: Path, tmp_path: Path, capsys: Capture) -> None:
    target, out = matched / TARGET, tmp_path / "out"
    content = json.loads((matched / "r.json").read_text())
    changed = tmp_path / "changed.json"
    cases: list[tuple[dict[str, Any] | None, list[object], type[errors.S2MatchError], str]] = [
        (None, [], errors.OptionError, "Nothing is to be written"),
        (None, [target], errors.OptionError, "give --out DIR"),
        (None, ["--out", out, "--displacement", tmp_path / "d.tif"], errors.OptionError, "--out has no effect"),
        (None, [target, "--gcps", tmp_path / "a.sh", "--force"], errors.OptionError, "--force has no effect"),
        (None, [target, "--out", out, "--geometry", "affine"], errors.OptionError, "--geometry has no effect with"),
        (None, [target, "--out", out, "--resampling", "best"], errors.OptionError, "lanczos"),
        (None, [matched / "r.json", "--out", out], errors.UnreadableImageError, "is not GeoJSON"),
        (None, [matched / "out.tif", "--out", out], errors.CorrectionError, "footprint"),
        (None, [target, "--gcps", matched / TARGET, "--overwrite"], errors.OutputError, "an input"),
        (None, ["--displacement", tmp_path / "d.jpg"], errors.OutputError, "must be one of .tif"),
        ({"schema_version": 7}, [target, "--out", out], errors.ModelFileError, "schema version 7"),
        ({"registration": None}, [target, "--out", out], errors.ModelFileError, "no registration was accepted"),
        ({"schema": "other"}, [target, "--out", out], errors.ModelFileError, "not a JSON of a result"),
        ({"verdict": "already registered"}, [target, "--out", out], errors.NotCorrectedError, "--force corrects"),
        ({"correction": {"code": "not_better"}}, [target, "--out", out], errors.NotCorrectedError, "not agree better"),
    ]
    for values, words, error, message in cases:
        source = matched / "r.json"
        if values is not None:
            source = changed
            changed.write_text(json.dumps(content | values))
        assert main(["apply", str(source), *map(str, words)]) == error.exit_code, words
        told = capsys.readouterr().err
        assert message in told and told.count("\n") == 1 and not out.exists()
    changed.write_text(json.dumps(content | {"verdict": "already registered"}))
    assert main(["apply", str(changed), str(target), "--out", str(out), "--force", "--no-show"]) == 0


def test_tie_points_are_told_by_their_suffix(matched: Path, tmp_path: Path, capsys: Capture) -> None:
    """And need two images."""
    assert set(TIE_POINTS) == set(formats._FORMATS)
    with pytest.raises(SystemExit) as ended:
        main(["apply", str(matched / "points.csv"), str(matched / TARGET)])
    assert ended.value.code == 2 and "give the reference and the target, too" in capsys.readouterr().err
    images = [str(matched / name) for name in ("A_20180820T083601_TCI.tif", TARGET)]
    outputs = ["--output", str(tmp_path / "r.png"), "--displacement", str(tmp_path / "d.tif"), "--no-show"]
    assert main(["apply", *outputs, str(matched / "points.csv"), *images]) == 0
    with rasterio.open(tmp_path / "d.tif") as file, rasterio.open(matched / "d.tif") as first:
        assert np.abs(file.read() - first.read()).max() < 0.1


def test_without_a_registration_there_is_no_displacement(matched: Path, tmp_path: Path, capsys: Capture) -> None:
    images = [str(matched / name) for name in ("A_20180820T083601_TCI.tif", TARGET)]
    words = ["match", "--images", *images, "--image_size", "128", "128", "--confidence", "1", "--no-show"]
    words += ["--output", str(tmp_path / "r.png"), "--displacement", str(tmp_path / "d.tif")]
    assert main(words) == NO_REGISTRATION
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"not written   {tmp_path / 'd.tif'}: there is no registration" and not (tmp_path / "d.tif").exists()
    write(tmp_path / "bare.tif", np.stack([texture(256, 256)] * 3), None)
    words[2] = str(tmp_path / "bare.tif")
    assert main([*words, "--overwrite"]) == errors.CorrectionError.exit_code
    assert "needs two georeferenced images" in capsys.readouterr().err


def test_no_network_is_loaded(matched: Path, tmp_path: Path) -> None:
    words = ["apply", str(matched / "r.json"), str(matched / TARGET), "--out", str(tmp_path / "out")]
    code = (
        "import json, sys\nfrom s2match.cli.main import main\nassert main(json.loads(sys.argv[1])) == 0\n"
        "assert not {'torch', 'kornia', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(words)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
