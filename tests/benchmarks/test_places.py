"""Pairs of places that no weights were trained on, and of different places."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, make_raster, texture

from benchmarks import evidence, unseen


def test_phase_correlation_corrects_the_georeference_of_the_target() -> None:
    scene = texture(420, 420, seed=5, detail_px=3)
    reference, target = make_raster(scene[10:410, 10:410]), make_raster(scene[7:407, 12:412])
    pair = unseen.aligned((reference, target))
    assert pair is not None and pair[1].transform is not None
    # the ground lies 2 px further left and 3 px further down in the target
    assert pair[1].transform.almost_equals(GRID @ Affine.translation(2, -3), 1.0)
    assert np.array_equal(pair[1].image, target.image) and pair[0] is reference


def test_a_pair_without_a_common_shift_has_no_truth() -> None:
    first, second = (make_raster(texture(400, 400, seed=seed)) for seed in (1, 2))
    assert unseen.aligned((first, second)) is None


def test_pairs_of_different_places_are_counted_once(tmp_path: Path) -> None:
    fit = evidence.ChanceFit("a – b", False, 20, 5, 1, 2.0, 0.01)
    fits = [{"affine": fit}, {"affine": replace(fit, names="a – c", registered=True)}]
    settings = {"size_px": 256, "confidence": 0.2}
    path = tmp_path / "evidence.json"
    assert evidence._kept(path, settings) == []
    result = settings | {"pairs": [{"affine": asdict(one["affine"])} for one in fits]}
    path.write_text(json.dumps(result), encoding="utf-8")
    assert evidence._kept(path, settings) == fits
    with pytest.raises(ValueError, match="other settings"):
        evidence._kept(path, settings | {"size_px": 512})
    assert evidence.sentence(result).startswith("Of the 2 pairs of 3 places, resized to 256 px") and (
        " 1 was registered" in evidence.sentence(result)
    )
