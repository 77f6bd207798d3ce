"""The library and the command choose alike: the same names, defaults and presets, and the same results."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Writer, texture

import model_inference
from s2match import Settings, facts, match_arrays, match_files
from s2match.cli.arguments import parse
from s2match.cli.pair import settings_of
from s2match.errors import DeviceError, ImageSizeError, OptionError
from s2match.pipeline import create_matcher
from s2match.settings import PRESETS, Choices


@pytest.fixture
def pair(write_image: Writer) -> tuple[Path, Path]:
    scene = texture(260, 260, seed=1)
    return write_image("a.tif", scene[:256, :256]), write_image("b.tif", scene[3:259, 2:258])


def of_the_command(pair: tuple[Path, Path], tmp_path: Path, *options: str) -> object:
    arguments = ["--images", *map(str, pair), "--no-show", "--output", str(tmp_path / "r.png")]
    arguments += ["--json", str(tmp_path / "r.json"), *options]
    assert model_inference.main(arguments) in (0, model_inference.NO_REGISTRATION)
    content = json.loads((tmp_path / "r.json").read_text())
    assert content.pop("options")["confidence"] == 0.3
    return content


def test_native_pixels_mean_the_same_everywhere(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Refined on the pixels, too."""
    result = match_files(*pair, confidence=0.3, image_size=None)
    assert result.matches.similarity is not None
    command = of_the_command(pair, tmp_path, "--image_size", "native", "--confidence", "0.3")
    assert json.loads(json.dumps(facts(result))) == command


def test_a_preset_means_the_same_everywhere(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = match_files(*pair, Settings.preset("fast", confidence=0.3), max_points=50)
    assert result.matches.similarity is not None and len(result.matches) <= 50
    options = ("--preset", "fast", "--confidence", "0.3", "--max_points", "50")
    assert json.loads(json.dumps(facts(result))) == of_the_command(pair, tmp_path, *options)


@pytest.mark.parametrize("options", [[], ["--preset", "fast"], ["--preset", "thorough"], ["--image_size", "native"]])
def test_the_command_has_the_defaults_of_the_library(options: list[str]) -> None:
    arguments = parse(options, "model_inference.py")
    chosen = Settings.preset(options[1]) if "--preset" in options else Settings()
    chosen = chosen if "native" not in options else chosen.but(image_size=None)
    assert settings_of(arguments) == chosen
    assert settings_of(parse([*options, "--no-refine"], "model_inference.py")) == chosen.but(refine=False)


def test_arrays_have_the_defaults_of_files(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import rioxarray

    given: list[Settings] = []
    monkeypatch.setattr("s2match.pipeline.match_scenes", lambda a, b, settings, *rest: given.append(settings))
    array = rioxarray.open_rasterio(pair[0])
    for choices in ({}, {"image_size": None, "overlap_only": True}):
        match_files(*pair, **choices)
        match_arrays(array, array, **choices)
    assert given[0] == given[1] == Settings()
    assert given[2] == given[3] == Settings(image_size=None, overlap_only=True)


def test_choices_are_the_attributes_of_settings() -> None:
    assert list(Choices.__annotations__) == [field.name for field in dataclasses.fields(Settings)]
    assert all(Settings.preset(name).refine for name in PRESETS) and not Settings.preset("fast", refine=False).refine
    assert Settings(image_size=[300, 200]) == Settings(image_size=(300, 200))  # type: ignore[arg-type]
    assert set(PRESETS) == {"fast", "thorough"}


def test_bad_choices_are_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(OptionError, match="Unknown preset 'quick': choose fast, thorough"):
        Settings.preset("quick")
    with pytest.raises(OptionError, match="Confidence 2"):
        match_files(*pair, confidence=2)
    with pytest.raises(ImageSizeError, match="0 0"):
        Settings(image_size=(0, 0))
    for size in ((512, 512, 512), (512.5, 512), (512,), 512, "512"):
        with pytest.raises(ImageSizeError, match="a width and a height"):
            Settings(image_size=size)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="confidense"):
        match_files(*pair, confidense=0.5)  # type: ignore[call-arg]


@pytest.mark.parametrize("device", ["tpu", "cuda:99"])
def test_a_device_that_does_not_exist_is_refused_before_images_are_opened(
    device: str, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2match.pipeline.grids_of", lambda *arguments: pytest.fail("an image was opened"))
    with pytest.raises(DeviceError, match=f"no device '{device}' here: choose auto, .*cpu"):
        match_files(*pair, device=device)
    with pytest.raises(DeviceError, match=device):
        create_matcher(Settings(device=device, weights="missing"))


def test_settings_need_no_large_import() -> None:
    large = "{'numpy', 'cv2', 'rasterio', 'scipy', 'torch'}"
    code = f"import sys, s2match.settings as s; s.Settings(image_size=(300, 200)); print({large} & {{*sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_precision_is_one_that_exists() -> None:
    with pytest.raises(OptionError, match=r"float64.*auto, float32, bfloat16"):
        Settings(precision="float64")
