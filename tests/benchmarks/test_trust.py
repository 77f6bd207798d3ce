"""Benchmarks count how often intervals hold the truth and verdicts are right."""

from pathlib import Path

import numpy as np
from conftest import GRID, UTM

from benchmarks.trust import DIRECTIONS, MOVEMENTS_PX, Trust, interval_sentence, trust_of, verdict_table
from s2match.core.grid import Grid
from s2match.core.matches import Matches, Provenance
from s2match.core.raster import Raster
from s2match.core.scene import scene_of
from s2match.registration.fit import fit
from s2match.registration.model import Registration

SIDE = 400


def raster() -> Raster:
    grid = Grid((SIDE, SIDE), GRID, UTM, (SIDE, SIDE), scene_of(Path("a.tif")))
    return Raster(grid, np.full((SIDE, SIDE, 3), 100, np.uint8), np.ones((SIDE, SIDE), bool))


def measured(bias_px: float, deviation_px: float = 0.1) -> Trust:
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, SIDE, (2000, 2))
    xy1 = xy0 + [bias_px, 0] + rng.normal(0, deviation_px, xy0.shape)
    covariance = np.tile(0.1**2 * np.eye(2), (2000, 1, 1))
    matches = Matches(xy0, xy1, np.ones(2000), Provenance("test", "cpu", 0.8), covariance_px2=covariance)
    registration = fit(matches)
    assert isinstance(registration, Registration)
    return trust_of(raster(), raster(), matches, registration)


def test_right_results_are_trusted() -> None:
    trust = measured(0.0)
    assert trust.normalised is not None and 1.9 < trust.normalised < 2.1
    assert trust.corners_inside == 4
    assert trust.registered[0] == DIRECTIONS and trust.register[0] == 0
    assert trust.register[MOVEMENTS_PX.index(0.3)] == trust.register[-1] == DIRECTIONS


def test_biased_results_and_too_small_covariances_are_counted() -> None:
    trust = measured(0.4, deviation_px=0.2)
    assert trust.normalised is not None and trust.normalised > 6
    assert trust.corners_inside == 0 and trust.registered[0] == 0


def test_tables_show_the_counts() -> None:
    trusts = [measured(0.0), measured(0.4)]
    lines = verdict_table(trusts).splitlines()
    assert lines[2] == "| 0 px | 50.0% | 50.0% | 0.0% |" and len(lines) == 2 + len(MOVEMENTS_PX)
    assert interval_sentence(trusts).startswith("The 95 % region of the model holds the truth at 4 of 8 corners.")
