"""SIFT, in the GDAL frame: a scale and a turn would show half a pixel out of place."""

import cv2
import numpy as np
from conftest import make_raster, texture

from s2match.baselines import match_sift
from s2match.matches import Matches
from s2match.matching import prepare

IMAGE = texture(256, 200, detail_px=2)


def sift(target: np.ndarray) -> Matches:
    return match_sift(prepare(make_raster(IMAGE)), prepare(make_raster(target)))


def test_turned_by_180_degrees() -> None:
    found = sift(np.ascontiguousarray(IMAGE[::-1, ::-1]))
    assert len(found) > 50
    assert np.abs(np.median(found.xy1 + found.xy0 - [256, 200], axis=0)).max() < 0.02


def test_twice_as_large() -> None:
    found = sift(cv2.resize(IMAGE, (512, 400), interpolation=cv2.INTER_LINEAR))
    assert len(found) > 50
    assert np.abs(np.median(found.xy1 - 2 * found.xy0, axis=0)).max() < 0.1


def test_nothing_to_find() -> None:
    assert len(sift(np.full((100, 100), 80, np.uint8))) == 0
