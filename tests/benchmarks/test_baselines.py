"""The baselines are exact, in the GDAL frame."""

import cv2
import numpy as np
from conftest import make_raster, texture

from benchmarks.baselines import match_phase, match_sift, phase_shift
from s2match.core.matches import GreyImage, Matches
from s2match.matching.greyscale import prepare

IMAGE = texture(256, 200, detail_px=2)


def sift(target: np.ndarray) -> Matches:
    return match_sift(prepare(make_raster(IMAGE)), prepare(make_raster(target)))


def test_turned_by_180_degrees() -> None:
    matches = sift(np.ascontiguousarray(IMAGE[::-1, ::-1]))
    assert len(matches) > 50
    assert np.abs(np.median(matches.xy1 + matches.xy0 - [256, 200], axis=0)).max() < 0.02


def test_twice_as_large() -> None:
    matches = sift(cv2.resize(IMAGE, (512, 400), interpolation=cv2.INTER_LINEAR))
    assert len(matches) > 50
    assert np.abs(np.median(matches.xy1 - 2 * matches.xy0, axis=0)).max() < 0.1


def test_nothing_to_find() -> None:
    assert len(sift(np.full((100, 100), 80, np.uint8))) == 0


def seen_from(fine: np.ndarray, x: int, y: int) -> GreyImage:
    """128 × 128 px image, each pixel the mean of 5 × 5 finer pixels."""
    grey = fine[y : y + 640, x : x + 640].reshape(128, 5, 128, 5).mean(axis=(1, 3)) / 255
    return GreyImage(grey.astype(np.float32), np.ones(grey.shape, np.bool_))


def test_phase_correlation_is_off_by_less_than_a_hundredth_of_a_pixel() -> None:
    """Twenty shifts of up to 4 px, in steps of 1/5 px."""
    fine, steps = texture(800, 800, seed=1), np.random.default_rng(0).integers(-20, 21, (20, 2))
    errors = [
        np.linalg.norm(phase_shift(seen_from(fine, 60, 60), seen_from(fine, 60 - x, 60 - y)) - [x / 5, y / 5])
        for x, y in steps
    ]
    assert np.median(errors) < 0.01 and np.max(errors) < 0.03


def test_phase_correlation_knows_sizes_apart_nodata_and_nothing() -> None:
    scene = texture(200, 200, seed=2, detail_px=2)
    target = make_raster(scene[5:195, 3:190])
    np.testing.assert_allclose(phase_shift(prepare(make_raster(scene)), prepare(target)), [-3, -5], atol=0.1)
    empty = GreyImage(np.zeros((128, 128), np.float32), np.zeros((128, 128), np.bool_))
    np.testing.assert_array_equal(phase_shift(empty, empty), [0, 0])
    valid = np.ones(scene.shape, np.bool_)
    valid[:, 120:] = False
    moved = np.roll(scene, 2, axis=1)
    matches = match_phase(prepare(make_raster(scene, valid=valid)), prepare(make_raster(moved, valid=valid)))
    assert len(matches) == 3 and matches.xy0[:, 0].max() < 100
    np.testing.assert_allclose(np.median(matches.xy1 - matches.xy0, axis=0), [2, 0], atol=0.1)
