"""The project's own data set, for real: the pairs people will try first, at the sizes they will try."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PRECISIONS, REAL

import model_inference
from s2match.dataset.catalog import pick_pair
from s2match.io.scene_files import list_scenes
from s2match.matching import single_pass
from s2match.matching.orientation_search import find_orientation
from s2match.registration.options import FitOptions

UKRAINE = REAL / "ukraine"


def run(
    tmp_path: Path, first: int, second: int, size: int, confidence: float, *options: str
) -> tuple[int, dict[str, Any]]:
    code = model_inference.main(
        [
            *("--dataset_path", str(UKRAINE), "--indexes_of_images", str(first), str(second)),
            *("--image_size", str(size), str(size), "--confidence", str(confidence), "--no-show"),
            *options,
            *("--overwrite", "--output", str(tmp_path / "result.png"), "--json", str(tmp_path / "facts.json")),
        ]
    )
    assert (tmp_path / "result.png").stat().st_size > 500_000
    return code, json.loads((tmp_path / "facts.json").read_text())


@pytest.mark.real
def test_indexes_name_the_scenes_of_the_mission() -> None:
    scenes = list_scenes(UKRAINE)
    assert len(scenes) == 50
    first, second = pick_pair(scenes, 15, 5)
    assert first.title == "T36UYA 2016-05-02" and second.title == "T36UXA 2018-08-20"
    first, second = pick_pair(scenes, 35, 25)
    assert first.title == "T36UYA 2019-06-11" and second.title == "T36UYA 2019-03-28"


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_network_matches_the_mission_s_pair(tmp_path: Path, precision: str) -> None:
    """Cumulus, two years and two tiles apart, of which a strip is common: three times the 129 matches of `outdoor`.

    93.6 % of 438 matches in float32 and 94.1 % of 440 in bfloat16 lie within 1.5 px of the truth.
    """
    code, facts = run(tmp_path, 15, 5, 1024, 0.8, "--precision", precision, "--no-refine")
    assert code == 0 and facts["precision"] == precision
    matrix = np.array(facts["registration"]["matrix_reference_file_px_to_target_file_px"])
    assert np.abs(matrix[:2, 2] - [99_960 / 109_800 * 1024, 0]).max() < 1
    assert facts["matches"] > 3 * 129 and facts["registration"]["inlier_share"] > 0.9
    # of the file's pixels, which are 1024 a side
    assert facts["ground_errors"]["all_matches"]["ce90_native_px"] < 1.5


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_mission_s_pair_is_registered_already(tmp_path: Path, precision: str) -> None:
    """Half of the network's matches remain, all of them right; the images, of 1024 px, are not enlarged."""
    code, facts = run(tmp_path, 15, 5, 1098, 0.8, "--precision", precision)
    assert code == 0 and facts["verdict"] == "already registered"
    assert facts["reference"]["width_px"] == facts["target"]["height_px"] == 1024
    assert facts["matches"] > 150 and facts["registration"]["inlier_share"] > 0.99
    assert facts["ground_errors"]["all_matches"]["ce90_native_px"] < 0.5
    assert facts["displacement"]["rms_m"] < 20


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("size", [1024, 1098])
def test_the_second_pair_registers(tmp_path: Path, size: int) -> None:
    code, facts = run(tmp_path, 35, 25, size, 0.2)
    assert code == 0
    inliers = facts["ground_errors"]["inliers"]
    assert abs(inliers["median_east_m"]) < 60 and abs(inliers["median_north_m"]) < 60
    assert inliers["ce90_m"] < 200


@pytest.mark.real
@pytest.mark.slow
def test_the_second_pair_registers_with_the_default_options(tmp_path: Path) -> None:
    code, facts = run(tmp_path, 35, 25, 1098, 0.8)
    assert code == 0 and facts["verdict"] == "already registered"
    assert facts["ground_errors"]["inliers"]["ce90_m"] < 200


@pytest.mark.real
@pytest.mark.slow
def test_a_clear_pair_has_thousands_of_matches(tmp_path: Path) -> None:
    """June and August of one year: 6 000 right matches, and a model true to half a pixel."""
    code, facts = run(tmp_path, 35, 47, 1024, 0.2)
    assert code == 0
    assert facts["registration"]["inliers"] > 4000
    matrix = np.array(facts["registration"]["matrix_reference_file_px_to_target_file_px"])
    corners = np.array([[0, 0, 1], [1024, 0, 1], [0, 1024, 1], [1024, 1024, 1.0]])
    assert np.linalg.norm((corners @ matrix.T - corners)[:, :2], axis=1).max() < 1.5


@pytest.mark.real
@pytest.mark.slow
def test_a_half_swath_matches_on_its_own_half(tmp_path: Path) -> None:
    """December, 53 % nodata, snow, against April."""
    code, facts = run(tmp_path, 22, 31, 1024, 0.2)
    assert code == 0
    assert facts["reference"]["nodata_share"] == pytest.approx(0.53, abs=0.01)
    assert facts["registration"]["inliers"] > 200


def command(tmp_path: Path, first: Path, second: Path, *options: str) -> tuple[int, dict[str, Any]]:
    facts = tmp_path / "facts.json"
    written = ["--output", str(tmp_path / "result.png"), "--json", str(facts), "--no-show", "--overwrite"]
    code = model_inference.main(["--images", str(first), str(second), *options, *written])
    return code, json.loads(facts.read_text())


@pytest.mark.real
@pytest.mark.slow
def test_another_sensor_with_another_pixel_size_and_reference_system_registers(tmp_path: Path) -> None:
    """Sentinel-2 at 20 m in UTM and EMIT at about 60 m in degrees, whose georeferences agree within half a pixel."""
    sentinel, emit = (REAL / "cross_sensor" / f"{name}_Haib_resize.tif" for name in ("S2", "EMIT"))
    code, facts = command(tmp_path, sentinel, emit, "--image_size", "native")
    assert code == 0 and facts["registration"]["inliers"] > 300
    inliers = facts["ground_errors"]["inliers"]
    assert np.hypot(inliers["median_east_m"], inliers["median_north_m"]) < 30


@pytest.mark.real
@pytest.mark.slow
def test_seasons_that_have_little_in_common_register_and_agree(tmp_path: Path) -> None:
    """NDVI of a valley, fields and forest and snow: from May by August to November is from May to November.

    Shadows and the snow line move edges by up to a pixel. The models agree within what they miss of held-out matches.
    """
    dates = [REAL / "ndvi" / f"Sentinel2_NDVI_2020-{day}.tif" for day in ("05-21", "08-01", "11-27")]
    moved, missed_px = [], 0.0
    for first, second in ((0, 1), (1, 2), (0, 2)):
        code, facts = command(tmp_path, dates[first], dates[second], "--image_size", "native")
        assert code == 0 and facts["registration"]["inlier_share"] > 0.9
        matrix = np.array(facts["registration"]["matrix_reference_file_px_to_target_file_px"])
        moved.append((matrix @ [277, 264, 1])[:2] - [277, 264])
        missed_px += facts["registration"]["held_out_error_px"][facts["registration"]["model"]]
    assert max(np.linalg.norm(by) for by in moved) < 2
    assert np.linalg.norm(moved[0] + moved[1] - moved[2]) < missed_px < 1.2


@pytest.fixture(scope="module")
def searches() -> dict[tuple[str, FitOptions], Any]:
    """What the search for the orientation of two images found, by the precision of the network."""
    return {}


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("confidence", ["0.8", "0.2"])
def test_two_places_are_refused(
    tmp_path: Path,
    confidence: str,
    precision: str,
    searches: dict[tuple[str, FitOptions], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The search for a turn and a scale has a threshold of its own, and is done once for both."""

    def find_once(matcher: Any, reference: Any, target: Any, options: FitOptions, *more: Any) -> Any:
        key = precision, options
        if key not in searches:
            searches[key] = find_orientation(matcher, reference, target, options, *more)
        return searches[key]

    monkeypatch.setattr(single_pass, "find_orientation", find_once)
    places = [REAL / "native10m" / f"{name}.png" for name in ("dolomites", "zone9_Jun")]
    options = ("--image_size", "native", "--confidence", confidence, "--precision", precision)
    code, facts = command(tmp_path, *places, *options)
    assert code == model_inference.NO_REGISTRATION
    assert facts["registration"] is None and facts["verdict"] == "not enough evidence"
