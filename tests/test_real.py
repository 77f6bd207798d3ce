"""The project's own data set, for real: the pairs people will try first, at the sizes they will try."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL

import model_inference
from s2match.catalog import list_scenes, pick_pair

UKRAINE = REAL / "ukraine"


def run(tmp_path: Path, first: int, second: int, size: int, confidence: float) -> tuple[int, dict]:  # type: ignore[type-arg]
    code = model_inference.main(
        [
            *("--dataset_path", str(UKRAINE), "--indexes_of_images", str(first), str(second)),
            *("--image_size", str(size), str(size), "--confidence", str(confidence), "--no-show"),
            *("--output", str(tmp_path / "result.png"), "--json", str(tmp_path / "facts.json")),
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
@pytest.mark.parametrize("size", [1024, 1098])
def test_the_mission_s_pair_runs(tmp_path: Path, size: int) -> None:
    """Cumulus, two years and two tiles apart, of which a strip is common: three times the 129 matches of `outdoor`."""
    code, facts = run(tmp_path, 15, 5, size, 0.8)
    assert code == 0
    matrix = np.array(facts["registration"]["matrix_reference_px_to_target_px"])
    assert np.abs(matrix[:2, 2] - [99_960 / 109_800 * size, 0]).max() < 1
    assert facts["matches"] > 3 * 129 and facts["registration"]["inlier_share"] > 0.95


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
    assert code == 0
    assert facts["ground_errors"]["inliers"]["ce90_m"] < 200


@pytest.mark.real
@pytest.mark.slow
def test_a_clear_pair_has_thousands_of_matches(tmp_path: Path) -> None:
    """June and August of one year: 6 000 right matches, and a model true to half a pixel."""
    code, facts = run(tmp_path, 35, 47, 1024, 0.2)
    assert code == 0
    assert facts["registration"]["inliers"] > 4000
    matrix = np.array(facts["registration"]["matrix_reference_px_to_target_px"])
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
