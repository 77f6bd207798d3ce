"""The command line: the mission's command through a real process, and one clear line for every bad input."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import GRID, REAL, ROOT, Writer, texture
from kornia.feature import LoFTR

import model_inference
from s2match import __version__, errors
from s2match.io.scene_files import list_scenes

pytestmark = pytest.mark.usefixtures("coarse_figures")

Capture = pytest.CaptureFixture[str]


def command(*arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    import os

    return subprocess.run(
        [sys.executable, str(ROOT / "model_inference.py"), *map(str, arguments)],
        capture_output=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=600,
    )


def test_defaults_are_the_mission_s() -> None:
    defaults = model_inference.build_parser().parse_args([])
    assert defaults.dataset_path == Path("./dataset")
    assert defaults.confidence == 0.8
    assert tuple(defaults.image_size) == (1098, 1098)
    assert tuple(defaults.indexes_of_images) == (15, 5)
    assert defaults.model_pretrained == "sentinel2"
    assert defaults.geometry == "auto" and defaults.ransac_threshold == 1.5 and defaults.output == Path("result.png")


@pytest.mark.slow
@pytest.mark.parametrize("real", [pytest.param(True, marks=pytest.mark.real), False])
def test_the_mission_s_command_as_written(tmp_path: Path, real: bool) -> None:
    """All five options, ``outdoor`` from kornia's cache (random tensors here), in ./dataset: real pair and sample.

    The real images have 1024 px a side and are not enlarged.
    """
    (tmp_path / "dataset").symlink_to(REAL / "ukraine" if real else ROOT / "dataset")
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save({"state_dict": LoFTR(None).state_dict()}, checkpoints / "loftr_outdoor.ckpt")
    arguments = (
        "--dataset_path ./dataset --confidence 0.8 --image_size 1098 1098 --indexes_of_images 15 5 "
        "--model_pretrained outdoor"
    )
    done = command(*arguments.split(), cwd=tmp_path, TORCH_HOME=str(tmp_path / "torch"))
    assert done.returncode == model_inference.NO_REGISTRATION, done.stderr
    lines = done.stdout.splitlines()
    reference, target = (
        ("T36UYA_20160502T", "T36UXA_20180820T") if real else ("SYNTHETIC-B_20240510T", "SYNTHETIC-B_2022")
    )
    assert lines[0].startswith("verdict       not enough evidence")
    size = "1024 x 1024 px of 107" if real else "1098 x 1098 px of 10 m"
    assert lines[1].startswith(f"reference     {reference}") and size in lines[1]
    assert lines[2].startswith(f"target        {target}")
    assert "weights       outdoor on" in lines[3]
    assert (tmp_path / "result.png").stat().st_size > 100_000


def test_outdoor_without_a_network_ends_with_advice(dataset: Path, tmp_path: Path) -> None:
    done = command(
        "--dataset_path",
        dataset,
        "--indexes_of_images",
        0,
        1,
        "--image_size",
        64,
        64,
        "--model_pretrained",
        "outdoor",
        cwd=tmp_path,
        TORCH_HOME=str(tmp_path / "torch"),
        HTTPS_PROXY="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
    )
    assert done.returncode == errors.WeightsDownloadError.exit_code
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: Cannot download the weights 'outdoor'")
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / "loftr_outdoor.ckpt") in last and "sentinel2" in last
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    assert not (tmp_path / "result.png").exists()


def run(dataset: Path, tmp_path: Path, *arguments: object) -> int:
    """Run in process, with outputs into the test's folder."""
    options = ["--dataset_path", dataset, "--indexes_of_images", 0, 1, "--image_size", 256, 256, "--output"]
    if "--images" in arguments:
        del options[:5]
    options += [tmp_path / "result.png", "--no-show", "--confidence", 0.2]
    return model_inference.main([str(argument) for argument in (*options, *arguments)])


def test_a_known_shift_between_two_files(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    """The georeference knows of the 3 and 5 px between the files, so the errors in metres are those of the network."""
    assert run(dataset, tmp_path, "--json", tmp_path / "facts.json") == 0
    facts = json.loads((tmp_path / "facts.json").read_text())
    matrix = np.array(facts["registration"]["matrix_reference_file_px_to_target_file_px"])
    assert np.abs(matrix @ [128, 128, 1] - [125, 123, 1]).max() < 1.0
    assert facts["ground_errors"]["inliers"]["rmse_m"] < 15
    out = capsys.readouterr().out
    assert facts["registration"]["model"] == "translation"
    assert f"registration  translation, {facts['registration']['inliers']} inliers" in out
    assert "written" in out and "result.png" in out
    assert (tmp_path / "result.png").exists()


def test_equal_runs_write_equal_bytes(dataset: Path, tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        assert run(dataset, tmp_path, "--json", tmp_path / "facts.json", "--overwrite") == 0
        written.append([(tmp_path / name).read_bytes() for name in ("result.png", "facts.json")])
    assert written[0] == written[1]


@pytest.mark.parametrize("geometry", ["similarity", "affine", "field", "homography"])
def test_geometry(dataset: Path, tmp_path: Path, capsys: Capture, geometry: str) -> None:
    assert run(dataset, tmp_path, "--geometry", geometry, "--ransac_threshold", 3, "--seed", 4) == 0
    assert f"registration  {geometry}" in capsys.readouterr().out


def test_too_few_matches_have_their_own_exit_code(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(dataset, tmp_path, "--confidence", 1.0) == model_inference.NO_REGISTRATION
    assert "registration  none" in capsys.readouterr().out
    assert (tmp_path / "result.png").exists()


def test_a_report_of_a_registration_and_of_none(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    report = tmp_path / "my report"
    assert run(dataset, tmp_path, "--report", report) == 0
    assert f"{report / 'index.html'}" in capsys.readouterr().out.splitlines()[-1]
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "<h1>Already registered" in page and (report / "vectors.png").exists()
    assert f"python model_inference.py --dataset_path {dataset}" in page
    assert f"--report &#39;{report}&#39;</pre>" in page
    options = ["--indexes_of_images", 0, 2, "--report", report, "--overwrite"]
    assert run(dataset, tmp_path, *options) == errors.NoOverlapError.exit_code
    assert "<h1>Already registered" in (report / "index.html").read_text(encoding="utf-8")
    options = ["--confidence", 1, "--report", report, "--overwrite"]
    assert run(dataset, tmp_path, *options) == model_inference.NO_REGISTRATION
    assert "<h1>Not enough evidence" in (report / "index.html").read_text(encoding="utf-8")


def test_a_report_takes_no_other_output_s_place(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "report").mkdir()
    options = ["--report", tmp_path / "report", "--json", tmp_path / "report" / "index.html"]
    assert run(dataset, tmp_path, *options) == errors.OutputError.exit_code
    assert "index.html: it is an input or another output" in capsys.readouterr().err
    assert not list((tmp_path / "report").iterdir())


def test_inputs_are_never_overwritten(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    first, second = (scene.path for scene in list_scenes(dataset)[:2])
    kept = first.read_bytes()
    result = tmp_path / "result.png"
    for options in (["--json", first], ["--json", result], ["--output", dataset / ".." / "images" / second.name]):
        assert run(dataset, tmp_path, *options) == errors.OutputError.exit_code
        assert "it is an input or another output" in capsys.readouterr().err
    assert first.read_bytes() == kept and not result.exists()


def test_a_name_that_the_terminal_cannot_spell(dataset: Path, tmp_path: Path) -> None:
    paths = [scene.path.rename(dataset / f"Київ-{k}.jp2") for k, scene in enumerate(list_scenes(dataset)[:2])]
    options = ["--images", *paths, "--image_size", 256, 256, "--confidence", 0.2, "--no-show"]
    done = command(*options, cwd=tmp_path, PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "????-0.jp2" in done.stdout and (tmp_path / "result.png").exists()


def test_no_screen_is_said_whatever_the_backend(dataset: Path, tmp_path: Path) -> None:
    options = ["--dataset_path", dataset, "--indexes_of_images", 0, 1, "--image_size", 64, 64, "--show"]
    done = command(*options, cwd=tmp_path, MPLBACKEND="TkAgg", DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == errors.OutputError.exit_code
    assert done.stderr.splitlines()[-1].startswith("error: There is no screen")


def test_two_paths_without_georeference(tmp_path: Path, write_image: Writer, capsys: Capture) -> None:
    scene = texture(300, 300, seed=1)
    paths = [
        write_image(f"{name}.png", scene[cut, cut], transform=None, driver="PNG")
        for name, cut in (("a", slice(0, 256)), ("b", slice(8, 264)))
    ]
    assert run(tmp_path, tmp_path, "--images", *paths) == 0
    captured = capsys.readouterr()
    assert "a.png" in captured.out and "no georeference" in captured.out
    assert captured.err == ""


def test_list(dataset: Path, capsys: Capture) -> None:
    (dataset / "T50UXA_20190606T083601_TCI.jp2").write_text("broken")
    assert model_inference.main(["--dataset_path", str(dataset), "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["index", "tile", "date", "size", "nodata", "file"]
    assert lines[1].split() == ["0", "T36UXA", "2018-08-20", "256", "x", "256", "0%", "T36UXA_20180820T083601_TCI.jp2"]
    assert [int(line.split()[0]) for line in lines[1:]] == [0, 1, 2, 3]
    assert "unreadable" in lines[4]


def test_the_list_as_json(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    (dataset / "T50UXA_20190606T083601_TCI.jp2").write_text("broken")
    path = tmp_path / "list.json"
    assert model_inference.main(["--dataset_path", str(dataset), "--list", "--json", str(path), "--no-show"]) == 0
    images = json.loads(path.read_text())
    assert [image["index"] for image in images] == [0, 1, 2, 3]
    assert images[0] == {
        "index": 0,
        "file": "T36UXA_20180820T083601_TCI.jp2",
        "tile": "T36UXA",
        "date": "2018-08-20",
        "width_px": 256,
        "height_px": 256,
        "nodata_share": 0.0,
        "error": None,
    }
    assert images[3]["width_px"] is images[3]["nodata_share"] is None
    assert images[3]["error"].startswith("Cannot read") and "T50UXA" in images[3]["error"]
    assert "unreadable" in capsys.readouterr().out
    first = dataset / "T36UXA_20180820T083601_TCI.jp2"
    for target, words in ((first, "it is an input"), (tmp_path / "nowhere" / "list.json", "nowhere")):
        options = ["--dataset_path", str(dataset), "--list", "--json", str(target)]
        assert model_inference.main(options) == errors.OutputError.exit_code
        assert words in capsys.readouterr().err


SAYS_NOTHING = {
    "figure of a list": (["--list", "--output", "{tmp}/result.png"], "--output has no effect on a list"),
    "report of a list": (["--list", "--report", "{tmp}/report"], "--report has no effect on a list"),
    "confidence of a list": (["--list", "--confidence", "0.8"], "--confidence has no effect on a list"),
    "show a list": (["--list", "--show"], "--show has no effect on a list"),
    "folder and files": (["--images", "a.tif", "b.tif", "--dataset_path", "{data}"], "--dataset_path is the folder"),
    "default beside tie points": (
        ["--from_tie_points", "{tmp}/t.csv", "--confidence", "0.8"],
        "--confidence is an option of matching",
    ),
    "no refinement beside tie points": (
        ["--from_tie_points", "{tmp}/t.csv", "--no-refine"],
        "--no-refine is an option of matching",
    ),
    "windows in one pass": (["--coverage", "0.5", "--image_size", "256", "256"], "--coverage is about matching in"),
    "radius in one pass": (["--search_radius_m", "90"], "--search_radius_m is about matching in windows, and 256 x"),
}


@pytest.mark.parametrize("case", SAYS_NOTHING)
def test_options_that_say_nothing_are_refused(case: str, dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments, words = SAYS_NOTHING[case]
    filled = [argument.format(tmp=tmp_path, data=dataset) for argument in arguments]
    choice = [] if "--images" in arguments else ["--dataset_path", str(dataset)]
    choice += [] if {"--images", "--list"} & set(arguments) else ["--indexes_of_images", "0", "1"]
    choice += [] if "--list" in arguments else ["--output", str(tmp_path / "r.png")]
    before = sorted(tmp_path.iterdir())
    assert model_inference.main([*choice, *filled]) == errors.OptionError.exit_code
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {words}") and captured.err.count("\n") == 1 and not captured.out
    assert sorted(tmp_path.iterdir()) == before


def test_version_needs_no_torch() -> None:
    code = "import sys, model_inference\ntry: model_inference.main(['--version'])\nexcept SystemExit: pass\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "assert 'torch' not in sys.modules"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"model_inference.py {__version__}"


BAD = {
    "folder missing": (["--dataset_path", "{tmp}/nowhere"], errors.DatasetError, "does not exist"),
    "folder empty": (["--dataset_path", "{tmp}/empty"], errors.DatasetError, "no *_TCI.jp2"),
    "index too large": (["--indexes_of_images", "0", "3"], errors.ImageIndexError, "3 images, 0 to 2"),
    "index negative": (["--indexes_of_images", "-1", "0"], errors.ImageIndexError, "0 to 2"),
    "same index": (["--indexes_of_images", "1", "1"], errors.SameImageError, "two different"),
    "same path": (["--images", "{data}/{a}", "{data}/../images/{a}"], errors.SameImageError, "two different"),
    "folder a file": (["--dataset_path", "{tmp}/text.jp2"], errors.DatasetError, "is not a folder"),
    "image a folder": (["--images", "{data}/{a}", "{tmp}/empty"], errors.UnreadableImageError, "is a folder"),
    "no such file": (["--images", "{data}/{a}", "{data}/x.jp2"], errors.UnreadableImageError, "x.jp2"),
    "not an image": (["--images", "{data}/{a}", "{tmp}/text.jp2"], errors.UnreadableImageError, "text.jp2"),
    "truncated": (["--images", "{data}/{a}", "{tmp}/short.jp2"], errors.UnreadableImageError, "short.jp2"),
    "all nodata": (["--images", "{data}/{a}", "{tmp}/black.jp2"], errors.NoValidPixelsError, "black.jp2"),
    "no overlap": (["--indexes_of_images", "0", "2"], errors.NoOverlapError, "share no ground"),
    "size zero": (["--image_size", "0", "0"], errors.ImageSizeError, "0 0"),
    "size negative": (["--image_size", "-5", "100"], errors.ImageSizeError, "-5 100"),
    "size absurd": (["--image_size", "900000", "900000"], errors.ImageSizeError, "900000"),
    "no points": (["--max_points", "0"], errors.OptionError, "1 or more"),
    "search radius": (["--search_radius_m", "-1"], errors.OptionError, "-1 m"),
    "confidence": (["--confidence", "1.2"], errors.OptionError, "0 to 1"),
    "geometry": (["--geometry", "spline"], errors.OptionError, "auto, translation"),
    "threshold": (["--ransac_threshold", "0"], errors.OptionError, "positive"),
    "seed": (["--seed", "-1"], errors.OptionError, "0 or more"),
    "weights unknown": (["--model_pretrained", "outdor"], errors.UnknownWeightsError, "sentinel2"),
    "weights corrupt": (["--model_pretrained", "{tmp}/text.jp2"], errors.CorruptWeightsError, "text.jp2"),
    "device": (["--device", "tpu"], errors.DeviceError, "tpu"),
    "output folder missing": (["--output", "{tmp}/nowhere/a.png"], errors.OutputError, "nowhere"),
    "output a folder": (["--output", "{tmp}/empty"], errors.OutputError, "folder"),
    "output format": (["--output", "{tmp}/result.xyz"], errors.OutputError, "png"),
    "json folder missing": (["--json", "{tmp}/nowhere/a.json"], errors.OutputError, "nowhere"),
    "report a file": (["--report", "{tmp}/text.jp2"], errors.OutputError, "not a folder"),
    "report folder missing": (["--report", "{tmp}/nowhere/report"], errors.OutputError, "nowhere"),
    "no screen": (["--show"], errors.OutputError, "screen"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_its_code(
    case: str, dataset: Path, tmp_path: Path, write_image: Writer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jp2").write_text("hello")
    first = list_scenes(dataset)[0].path
    (tmp_path / "short.jp2").write_bytes(first.read_bytes()[:8000])
    write_image("black.jp2", np.zeros((256, 256), np.uint8), GRID)
    arguments, error, words = BAD[case]
    filled = [argument.format(tmp=tmp_path, data=dataset, a=first.name) for argument in arguments]
    assert run(dataset, tmp_path, *filled) == error.exit_code
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert words in captured.err
    assert not list(tmp_path.glob("result*")) and not list(tmp_path.glob(".*"))


def test_a_damaged_second_file_ends_a_real_process_with_one_line(dataset: Path, tmp_path: Path) -> None:
    """It is met in a thread, while PyTorch is imported and the weights load."""
    first, second = (scene.path for scene in list_scenes(dataset)[:2])
    second.write_bytes(second.read_bytes()[:8000])
    done = command("--images", first, second, "--image_size", 256, 256, cwd=tmp_path)
    assert done.returncode == errors.UnreadableImageError.exit_code == 13
    assert done.stderr.startswith(f"error: Cannot read {second}") and done.stderr.count("\n") == 1
    assert done.stdout == "" and not (tmp_path / "result.png").exists()


@pytest.mark.parametrize(
    ("met", "code", "line"),
    [
        (errors.CorruptWeightsError("No weights."), errors.CorruptWeightsError.exit_code, "error: No weights."),
        (KeyboardInterrupt(), model_inference.INTERRUPTED, "interrupted"),
    ],
)
def test_what_ends_the_command_does_not_wait_for_images(
    dataset: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    met: BaseException,
    code: int,
    line: str,
) -> None:
    ended = threading.Event()
    waited_for: list[bool] = []

    def read_until_the_end(*grids: object) -> None:
        waited_for.append(not ended.wait(timeout=60))

    def create_matcher(settings: object) -> None:
        raise met

    monkeypatch.setattr("s2match.pipeline.previews_of", read_until_the_end)
    monkeypatch.setattr("s2match.pipeline.create_matcher", create_matcher)
    assert run(dataset, tmp_path) == code
    assert waited_for == []
    ended.set()
    assert capsys.readouterr().err == f"{line}\n"


def test_a_list_of_whole_images_needs_no_opencv(dataset: Path) -> None:
    """Only patches of nodata do."""
    code = "import sys, model_inference\nmodel_inference.main(['--list', '--dataset_path', sys.argv[1]])\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "assert not {'cv2', 'torch', 'matplotlib'} & set(sys.modules)", str(dataset)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0 and "0%" in done.stdout, done.stderr


def test_reading_needs_no_torch() -> None:
    """Nor what the command imports before it begins to read."""
    modules = "model_inference, s2match.cli.pair, s2match.pipeline, s2match.outputs.targets, s2match.dataset.listing"
    code = f"import sys, {modules}\nprint([name for name in ('torch', 'kornia', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_exit_codes_are_distinct() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.S2MatchError)]
    codes = [c.exit_code for c in classes] + [0, 2, model_inference.NO_REGISTRATION, model_inference.INTERRUPTED]
    assert len(codes) == len(set(codes)) > 15


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that not even the superuser can write to")
def test_an_unwritable_folder(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(dataset, tmp_path, "--output", "/proc/result.png") == errors.OutputError.exit_code
    assert "Cannot write /proc/result.png" in capsys.readouterr().err
