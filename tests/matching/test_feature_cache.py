"""Features are computed once for each image, within a bound of memory, and change no match."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_raster, texture

from s2match import pipeline
from s2match.core.matches import GreyImage
from s2match.core.scene import scene_of
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching import tiled
from s2match.matching.feature_cache import CachingMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.single_pass import match_rasters
from s2match.settings import Settings

SIDE = 192


@functools.cache
def loftr() -> LoftrMatcher:
    return LoftrMatcher(load_network("sentinel2"), torch.device("cpu"))


def grey(seed: int, valid: bool = True) -> GreyImage:
    mask = np.ones((SIDE, SIDE), np.bool_)
    mask[:64, :64] = valid
    return prepare(make_raster(texture(SIDE, SIDE, seed), valid=mask))


def test_an_image_of_several_pairs_is_encoded_once_with_the_same_matches() -> None:
    rasters = [make_raster(texture(SIDE + 4, SIDE + 4)[k : k + SIDE, k : k + SIDE]) for k in range(3)]
    cached, settings = CachingMatcher(loftr(), 1 << 30), Settings(confidence=0.2)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        matches = match_rasters(cached, rasters[first], rasters[second], settings)
        plain = match_rasters(loftr(), rasters[first], rasters[second], settings)
        assert len(matches) > 50 and np.array_equal(matches.xy1, plain.xy1)
        assert np.array_equal(matches.confidence, plain.confidence)
    assert (cached.encoded, cached.hits) == (3, 3)


def test_windows_of_large_images_are_encoded_once(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled, "ONE_PASS_PX", 128)
    monkeypatch.setattr(tiled, "REDUCED_SIDE_PX", 128)
    scenes = [scene_of(write_image(f"{k}.tif", texture(SIDE, SIDE))) for k in range(2)]
    cached = CachingMatcher(loftr(), 1 << 30)
    run = functools.partial(pipeline.match_scenes, *scenes, Settings(image_size=None, confidence=0.2))
    first = run(load_matcher=lambda settings: cached)
    encoded = cached.encoded
    again = run(load_matcher=lambda settings: cached)
    assert cached.encoded == encoded and cached.hits >= encoded
    plain = run(load_matcher=lambda settings: loftr())
    assert len(first.matches) > 50
    assert np.array_equal(first.matches.xy1, plain.matches.xy1) and np.array_equal(again.matches.xy1, plain.matches.xy1)


def test_features_used_least_recently_are_discarded() -> None:
    size = loftr().encode(grey(0)).nbytes
    cached = CachingMatcher(loftr(), 2 * size)
    for seed in (0, 1, 0, 2, 0, 1):
        cached.encode(grey(seed))
        assert cached.nbytes <= 2 * size
    # 2 replaces 1, which is encoded again
    assert (cached.encoded, cached.hits) == (4, 2)


def test_features_above_the_capacity_are_not_kept() -> None:
    cached = CachingMatcher(loftr(), 1000)
    cached.encode(grey(0))
    cached.encode(grey(0))
    assert (cached.encoded, cached.hits, cached.nbytes) == (2, 0, 0)


def test_a_mask_makes_another_image() -> None:
    cached = CachingMatcher(loftr(), 1 << 30)
    image = grey(0)
    cached.encode(image)
    cached.encode(GreyImage(image.grey, grey(0, valid=False).valid))
    assert cached.encoded == 2


def test_the_size_is_that_of_all_arrays() -> None:
    features = loftr().encode(grey(0))
    inner = features.features
    arrays = (inner.tokens.values, inner.tokens.cells, inner.pyramid.half, inner.pyramid.quarter)
    # storages may be larger than tensors, but here they are not
    assert features.nbytes == sum(a.untyped_storage().nbytes() for a in arrays) + SIDE * SIDE * 5
