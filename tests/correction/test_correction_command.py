"""The command with --coregister: from two files to a corrected one, its siblings, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import GRID, ROOT, UTM, Writer, texture, write_geotiff
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

import model_inference
from s2match import errors
from s2match.pipeline import create_matcher
from s2match.settings import Settings

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]
SAMPLE = ROOT / "dataset" / "sample"
# The georeference of the target is made wrong by so many metres to the east and north.
EAST_M, NORTH_M = 33.0, -47.0


@pytest.fixture
def files(tmp_path: Path, write_image: Writer) -> tuple[Path, Path]:
    scene = np.stack([texture(300, 300, seed=1)] * 3)
    wrong = Affine.translation(EAST_M, NORTH_M) @ GRID
    reference = write_image("A_20180820T083601_TCI.jp2", scene[:, :256, :256])
    return reference, write_image("B_20190606T083601_TCI.jp2", scene[:, 2:258, 4:260], wrong @ Affine.translation(4, 2))


def run(files: tuple[Path, Path], *arguments: object) -> int:
    folder = files[0].parent
    options = ["--images", *files, "--image_size", 256, 256, "--confidence", 0.2, "--no-show"]
    options += ["--output", folder / "result.png", *arguments]
    return model_inference.main([str(option) for option in options])


def test_files_are_corrected_and_measured(files: tuple[Path, Path], write_image: Writer, capsys: Capture) -> None:
    folder = files[0].parent
    kept = [path.read_bytes() for path in files]
    with rasterio.open(files[1]) as file:
        wrong = file.transform
    band = write_image("B_B11.tif", texture(128, 128, seed=2).astype(np.uint16) * 10, wrong @ Affine.scale(2))
    mask = write_image("B_MSK.tif", (texture(256, 256, seed=3) > 120).astype(np.uint8), wrong)
    out, facts = folder / "out.tif", folder / "facts.json"
    assert run(files, "--coregister", out, "--apply_to", band, mask, "--json", facts) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("verdict       register with this translation")
    assert f"corrected     {out}  (cubic resampling)" in lines
    told = json.loads(facts.read_text())["correction"]
    assert told["kept"] and told["code"] == "better" and told["better"]
    assert told["files"] == ["out.tif", "B_B11_coregistered.tif", "B_MSK_coregistered.tif"]
    assert told["before"]["east_m"] == pytest.approx(EAST_M, abs=5)
    assert abs(told["after"]["east_m"]) < 3 and abs(told["after"]["north_m"]) < 3
    for name, step in zip(told["files"], (1, 2, 1), strict=True):
        assert cog_validate(folder / name, strict=True)[0]
        with rasterio.open(folder / name) as file:
            assert file.transform == GRID @ Affine.scale(step) and str(folder / name) in lines[-1]
    with rasterio.open(folder / "B_MSK_coregistered.tif") as file:
        assert set(np.unique(file.read(1))) <= {0, 1}
    assert [path.read_bytes() for path in files] == kept

    # a second time only where it is allowed
    first = out.read_bytes()
    assert run(files, "--coregister", out) == errors.OutputError.exit_code
    said = f"error: {folder / 'result.png'} and {out} exist: --overwrite replaces them.\n"
    assert capsys.readouterr().err == said and out.read_bytes() == first
    assert run(files, "--coregister", out, "--no_resample", "--overwrite") == 0
    with rasterio.open(out) as file, rasterio.open(files[1]) as original:
        assert (file.read() == original.read()).all()
        moved = file.transform.c, file.transform.f
        assert np.abs(np.array(moved) - (GRID.c + 40, GRID.f - 20)).max() < 3


def test_a_registered_pair_is_corrected_on_force_only(
    dataset: Path, write_image: Writer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The matching result is written in any case, and an older corrected file stays as it is."""
    files = (dataset / "T36UXA_20180820T083601_TCI.jp2", dataset / "T36UXA_20190606T083601_TCI.jp2")
    with rasterio.open(files[1]) as file:
        band = write_image("band.tif", file.read(1), file.transform)
    out, facts, report = dataset / "out.tif", dataset / "facts.json", dataset / "report"
    out.write_bytes(b"of yesterday")
    options = ["--coregister", out, "--apply_to", band, "--overwrite", "--json", facts, "--report", report]
    options += ["--tie_points", dataset / "points.csv"]
    with monkeypatch.context() as context:
        # which takes long, and would be for nothing
        context.setattr("s2match.correction.request.correct_target", None)
        context.setattr("s2match.correction.evaluation.measure_improvement", None)
        assert run(files, *options) == model_inference.NOT_CORRECTED == errors.NotCorrectedError.exit_code == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("verdict       already registered")
    sibling = dataset / "band_coregistered.tif"
    reason = 'the verdict is "already registered"'
    assert lines[-1] == f"not written   {out}, {sibling}: {reason}; --force overrides this"
    assert lines[-2].startswith("written") and str(out) not in lines[-2]
    assert out.read_bytes() == b"of yesterday" and not sibling.exists()
    told = json.loads(facts.read_text())
    assert told["verdict"] == "already registered" and told["model_accepted"] is True
    assert told["correction"] == {
        "kept": False,
        "forced": False,
        "code": "not_needed",
        "reason": reason,
        "resampling": "cubic",
        "files": [],
        "same_points": None,
        "better": None,
        "before": None,
        "after": None,
    }
    assert all((dataset / name).exists() for name in ("result.png", "points.csv", "report/index.html"))

    assert run(files, *options, "--force") == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"corrected     {out}  (cubic resampling; on --force: {reason})" in lines
    assert lines[-1].startswith("written") and str(sibling) in lines[-1]
    told = json.loads(facts.read_text())["correction"]
    assert (told["kept"], told["forced"], told["code"]) == (True, True, "not_needed")
    assert told["files"] == ["out.tif", "band_coregistered.tif"]
    with rasterio.open(out) as corrected, rasterio.open(files[0]) as reference:
        assert corrected.shape == reference.shape
    assert sibling.exists() and not list(dataset.glob(".*"))


def test_a_correction_that_is_not_better_is_kept_on_force_only(
    files: tuple[Path, Path], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tie points that are all wrong by the same 4 px: the verdict is to register, and the pixels contradict."""
    folder = files[0].parent
    with rasterio.open(files[0]) as file:
        scene = file.read()
    target = folder / "same.tif"
    with rasterio.open(target, "w", driver="GTiff", width=256, height=256, count=3, dtype="uint8") as file:
        file.transform, file.crs = GRID, UTM
        file.write(scene)
    xy = np.random.default_rng(0).uniform(20, 230, (32, 2))
    rows = [f"{x:.3f},{y:.3f},{x + 4:.3f},{y:.3f}" for x, y in xy]
    (folder / "wrong.csv").write_text("\n".join(["X_IM_REF,Y_IM_REF,X_IM,Y_IM", *rows]) + "\n")
    band = folder / "band.tif"
    band.write_bytes(target.read_bytes())
    out = folder / "out.tif"
    words = ["apply", folder / "wrong.csv", files[0], target, "--coregister", out, "--apply_to", band, "--no-show"]
    words += ["--output", folder / "result.png", "--json", folder / "facts.json"]
    with monkeypatch.context() as context:
        context.setattr("s2match.correction.request.correct_siblings", None)
        assert model_inference.main([str(word) for word in words]) == model_inference.NOT_CORRECTED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("verdict       register with this translation") and "did not" not in "".join(lines)
    sibling = folder / "band_coregistered.tif"
    assert lines[-1].startswith(f"not written   {out}, {sibling}: the corrected image does not agree better with the")
    assert "reference: RMSE 40.00 m before" in lines[-1] and lines[-1].endswith("; --force overrides this")
    assert any(line.startswith("correction") for line in lines)
    told = json.loads((folder / "facts.json").read_text())["correction"]
    assert (told["kept"], told["code"], told["better"], told["files"]) == (False, "not_better", False, [])
    assert told["after"]["mutual_information"] < told["before"]["mutual_information"]
    assert not out.exists() and not sibling.exists() and not list(folder.glob(".*"))

    assert model_inference.main([str(word) for word in [*words, "--force", "--overwrite"]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning       the correction did not make it better: RMSE 40.00 m before")
    assert out.exists() and sibling.exists()
    assert json.loads((folder / "facts.json").read_text())["correction"]["forced"] is True


def test_the_matching_result_is_written_if_the_correction_fails(files: tuple[Path, Path], capsys: Capture) -> None:
    folder = files[0].parent
    facts, out = folder / "facts.json", folder / "out.tif"
    options = ["--coregister", out, "--no_resample", "--geometry", "affine", "--json", facts]
    assert run(files, *options) == errors.CorrectionError.exit_code
    captured = capsys.readouterr()
    assert captured.err == "error: --no_resample needs a pure translation, and this affine does more: leave it out.\n"
    assert captured.out.startswith("verdict       register with this affine") and str(out) not in captured.out
    told = json.loads(facts.read_text())
    assert told["registration"]["model"] == "affine" and "correction" not in told
    assert (folder / "result.png").exists() and not out.exists() and not list(folder.glob(".*"))


def test_the_weights_are_loaded_once(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """For the pair, and for its corrected target that is matched again."""
    loaded = []

    def load(settings: Settings) -> object:
        loaded.append(settings)
        return create_matcher(settings)

    monkeypatch.setattr("s2match.pipeline.create_matcher", load)
    assert run(files, "--coregister", files[0].parent / "out.tif") == 0
    assert len(loaded) == 1


def test_without_a_registration_nothing_is_corrected(files: tuple[Path, Path], capsys: Capture) -> None:
    """On force neither."""
    out, facts = files[0].parent / "out.tif", files[0].parent / "facts.json"
    options = ["--coregister", out, "--confidence", 1.0, "--force", "--json", facts]
    assert run(files, *options) == model_inference.NO_REGISTRATION
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"not written   {out}: there is no registration" and not out.exists()
    told = json.loads(facts.read_text())["correction"]
    assert (told["kept"], told["code"], told["files"]) == (False, "no_registration", [])


@pytest.mark.parametrize("way", ["resampled", "moved"])
def test_given_tie_points_are_measured_before_and_after_and_no_network_is_loaded(
    files: tuple[Path, Path], capsys: Capture, way: str
) -> None:
    """The same 32 points on both sides: 33 m and -47 m off before, and their own noise of 0.05 px after."""
    folder = files[0].parent
    random = np.random.default_rng(0)
    xy = random.uniform(20, 230, (32, 2))
    seen = xy - (4, 2) + random.normal(0, 0.05, xy.shape)
    rows = [f"{x:.6f},{y:.6f},{u:.6f},{v:.6f}" for (x, y), (u, v) in zip(xy, seen, strict=True)]
    (folder / "mine.csv").write_text("\n".join(["X_IM_REF,Y_IM_REF,X_IM,Y_IM", *rows]) + "\n")
    options = ["--images", *files, "--image_size", 200, 200, "--no-show", "--output", folder / "result.png"]
    options += ["--from_tie_points", folder / "mine.csv", "--coregister", folder / "out.tif", "--overwrite"]
    options += ["--json", folder / "facts.json", "--report", folder / "report", "--geometry", "translation"]
    options += ["--no_resample"] if way == "moved" else []
    code = (
        "import json, sys, model_inference\n"
        "assert model_inference.main(json.loads(sys.argv[1])) == 0\n"
        "assert not {'torch', 'kornia'} & set(sys.modules)"
    )
    arguments = json.dumps([str(option) for option in options])
    done = subprocess.run([sys.executable, "-c", code, arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told = json.loads((folder / "facts.json").read_text())["correction"]
    before, after = told["before"], told["after"]
    assert told["better"] and told["same_points"] and before["matches"] == after["matches"] == 32
    assert before["east_m"] == pytest.approx(EAST_M, abs=0.5) and before["north_m"] == pytest.approx(NORTH_M, abs=0.5)
    assert abs(after["east_m"]) < 0.5 and abs(after["north_m"]) < 0.5 and 0.3 < after["rmse_m"] < 1.2
    assert after["similarity"] > before["similarity"]
    assert "did not make it better" not in done.stdout
    assert "(errors of the inliers of the model, the same before and after; shifts are medians)" in done.stdout
    assert (
        "Errors of the inliers of the model, the same before and after"
        in (folder / "report" / "index.html").read_text()
    )


REFUSED = {
    "nothing to correct": (["--apply_to", "{b}"], errors.OptionError, "--coregister"),
    "force of nothing": (["--force"], errors.OptionError, "--force has no effect without a correction"),
    "no resample of nothing": (["--no_resample"], errors.OptionError, "--coregister"),
    "resampling": (["--coregister", "{tmp}/o.tif", "--resampling", "best"], errors.OptionError, "lanczos"),
    "suffix": (["--coregister", "{tmp}/o.png"], errors.OutputError, ".tif"),
    "folder": (["--coregister", "{tmp}/nowhere/o.tif"], errors.OutputError, "nowhere"),
    "an input": (["--coregister", "{a}", "--overwrite"], errors.OutputError, "an input"),
    "a sibling": (
        ["--coregister", "{tmp}/x.tif", "--apply_to", "{tmp}/x.tif", "--overwrite"],
        errors.OutputError,
        "an input",
    ),
    "two of one name": (["--coregister", "{tmp}/o.tif", "--apply_to", "{b}", "{b}"], errors.OutputError, "another"),
    "sibling missing": (["--coregister", "{tmp}/o.tif", "--apply_to", "{tmp}/n.tif"], errors.UnreadableImageError, "n"),
    "sibling elsewhere": (["--coregister", "{tmp}/o.tif", "--apply_to", "{a}"], errors.CorrectionError, "footprint"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_come_before_the_work(
    files: tuple[Path, Path], case: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2match.pipeline.match_scenes", None)
    folder = files[0].parent
    arguments, error, words = REFUSED[case]
    before = sorted(folder.iterdir())
    options = [argument.format(tmp=folder, a=files[0], b=files[1]) for argument in arguments]
    assert run(files, *options) == error.exit_code
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_the_sample_with_a_wrong_georeference(tmp_path: Path, capsys: Capture) -> None:
    """What is left is measured on the pixels, against the sample as it was."""
    from test_pixel_map import correlation_shift, least_squares_shift

    names, middle = ("SYNTHETIC-B_20240510T103621", "SYNTHETIC-B_20220829T103641"), Window(300, 300, 512, 512)
    for name, moved_m in zip(names, ((0.0, 0.0), (EAST_M, NORTH_M)), strict=True):
        with rasterio.open(SAMPLE / f"{name}_TCI.jp2") as file:
            image, transform = file.read(window=middle), file.window_transform(middle)
            write_geotiff(tmp_path / f"{name}_TCI.tif", image, Affine.translation(*moved_m) @ transform, file.crs)
    paths, out = [tmp_path / f"{name}_TCI.tif" for name in names], tmp_path / "out.tif"
    options = ["--images", *paths, "--no-show", "--output", tmp_path / "result.png"]
    assert model_inference.main([str(option) for option in [*options, "--coregister", out]]) == 0
    assert "the correction did not" not in capsys.readouterr().out
    with rasterio.open(out) as file:
        after = file.read()
    inner = (slice(50, -50), slice(50, -50))
    one, truth = (bands.mean(axis=0)[inner] for bands in (after, image))
    for measure in (least_squares_shift, correlation_shift):
        assert np.abs(measure(one, truth)).max() < 0.1
