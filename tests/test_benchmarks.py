"""The benchmark scores what it says, and the README shows what was measured last."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import GRID, REAL, make_raster, texture

from benchmarks.accuracy import DEFAULT_JSON, Score, crop, measure, score, sift
from benchmarks.readme import README, accuracy_tables, sample_summary
from s2match.geometry import required_inliers
from s2match.loftr import Matches, Origin

ORIGIN = Origin("test", "cpu", 0.2)
RASTER = make_raster(texture(200, 200))


def matches(error_px: float, count: int = 100) -> Matches:
    xy0 = np.random.default_rng(0).uniform(10, 190, (count, 2))
    return Matches(xy0, xy0 - [3, 5] + [error_px, 0], np.linspace(0.5, 1, count), ORIGIN)


def test_right_matches_count_and_their_model_is_registered() -> None:
    target = crop(RASTER, (3, 5))
    assert target.size == (197, 195) and target.transform == GRID @ GRID.translation(3, 5)
    found = score(RASTER, target, matches(0.4))
    assert (found.matches, found.right) == (100, 100)
    assert found.above_08 == found.right_above_08 == 40
    assert found.median_px == pytest.approx(0.4) and found.corner_px == pytest.approx(0.4, abs=1e-3)
    assert found.registered


def test_wrong_matches_count_as_wrong_and_a_wrong_model_is_not_registered() -> None:
    found = score(RASTER, crop(RASTER, (3, 5)), matches(2.0))
    assert (found.matches, found.right, found.median_px) == (100, 0, None)
    assert found.corner_px == pytest.approx(2.0, abs=1e-3) and not found.registered
    assert score(RASTER, crop(RASTER, (3, 5)), matches(0.0, required_inliers(0) - 1)).corner_px is None


def test_corners_are_those_of_the_common_ground() -> None:
    """A model that turns by a thousandth is 0.1 px off 100 px away: the strip in common is short, the tile is not."""
    target = replace(RASTER, transform=GRID @ GRID.translation(150, 0))
    xy0 = np.random.default_rng(0).uniform([150, 0], [200, 200], (100, 2))
    xy1 = xy0 - [150, 0]
    xy1 = xy1 + 1e-3 * np.stack([-(xy0[:, 1] - 100), xy0[:, 0] - 175], axis=1)
    found = score(RASTER, target, Matches(xy0, xy1, np.ones(100), ORIGIN))
    assert found.corner_px == pytest.approx(0.103, abs=0.01)


def test_readme_shows_the_last_measurement() -> None:
    assert accuracy_tables() in README.read_text(encoding="utf-8")
    runs = json.loads(DEFAULT_JSON.read_text())["runs"]
    assert {tuple(run["offset_px"]) for run in runs} >= {(0, 0), (3, 5)}
    assert all(len(run["scores"]) == 16 and Score(**run["scores"][0]) for run in runs)


@pytest.mark.slow
def test_readme_shows_what_the_command_prints(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    fixed = [
        line
        for line in sample_summary(tmp_path / "result.jpg").splitlines()
        if line.split()[0] in ("reference", "target", "matches")
    ]
    assert len(fixed) == 3 and all(line in text for line in fixed)


@pytest.mark.real
@pytest.mark.slow
def test_sift_registers_the_clear_pairs() -> None:
    scores = measure(REAL / "ukraine", sift, 1024, (0, 0), "SIFT")
    assert len(scores) == 16
    assert sum(s.registered for s in scores) >= 7
    clear = scores[5]
    assert clear.right > 200 and clear.corner_px is not None and clear.corner_px < 0.3
