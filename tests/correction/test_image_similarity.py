"""Structural similarity and mutual information: known values, masks, and the same in parts as in one piece."""

import numpy as np
import pytest
from conftest import texture
from numpy.typing import NDArray

from s2match.correction.image_similarity import (
    MARGIN_PX,
    ImageParts,
    SimilarityMetrics,
    similarities,
    structural_similarity,
)

WHOLE = (slice(None), slice(None))


def grey(seed: int = 0) -> NDArray[np.float32]:
    return texture(120, 90, seed=seed).astype(np.float32)


def everywhere() -> NDArray[np.bool_]:
    return np.ones((90, 120), np.bool_)


def similarity_of(*parts: ImageParts) -> SimilarityMetrics:
    (metrics,) = similarities(parts)
    return metrics


def test_an_image_and_itself_and_another() -> None:
    same = similarity_of(ImageParts(grey(), (grey(),), everywhere(), WHOLE))
    assert same.similarity == pytest.approx(1)
    # what an image tells of itself is its entropy, up to six bits of 64 levels
    assert 4 < same.mutual_information <= 6
    other = similarity_of(ImageParts(grey(), (grey(5),), everywhere(), WHOLE))
    assert abs(other.similarity) < 0.6 and other.mutual_information < 0.6 * same.mutual_information


def test_similarity_by_the_definition() -> None:
    """At one pixel, from the paper's formulas written out."""
    one, two = grey().astype(float), grey(3).astype(float)
    at = np.arange(-5, 6)
    weight = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    weight /= weight.sum()
    part = (slice(40, 51), slice(60, 71))
    mean1, mean2 = (np.sum(weight * image[part]) for image in (one, two))
    square1, square2, product = (np.sum(weight * a[part] * b[part]) for a, b in ((one, one), (two, two), (one, two)))
    c1, c2 = 2.55**2, 7.65**2
    expected = (2 * mean1 * mean2 + c1) * (2 * (product - mean1 * mean2) + c2)
    expected /= (mean1**2 + mean2**2 + c1) * (square1 - mean1**2 + square2 - mean2**2 + c2)
    found = structural_similarity(grey(), grey(3), everywhere())[45, 65]
    assert found == pytest.approx(expected, abs=1e-6)


def test_what_is_masked_has_no_say() -> None:
    common = everywhere()
    common[20:50, 30:80] = False
    spoiled = np.where(common, grey(), 255).astype(np.float32)
    found = similarity_of(ImageParts(grey(), (spoiled,), common, WHOLE))
    assert found.similarity == pytest.approx(1)
    assert np.isnan(similarity_of(ImageParts(grey(), (grey(),), np.zeros_like(common), WHOLE)).similarity)


def test_parts_give_what_the_whole_gives() -> None:
    one, two, common = grey(), grey(3), everywhere()
    common[:, 60:64] = False
    whole = similarity_of(ImageParts(one, (two,), common, WHOLE))
    cut, m = 57, MARGIN_PX
    parts = []
    for rows, core in ((slice(0, cut + m), slice(0, cut)), (slice(cut - m, 90), slice(m, None))):
        parts.append(ImageParts(one[rows], (two[rows],), common[rows], (core, slice(None))))
    assert similarity_of(*parts).similarity == pytest.approx(whole.similarity)
    assert similarity_of(*parts).mutual_information == pytest.approx(whole.mutual_information)


def test_several_images_are_compared_at_once() -> None:
    """As each of them alone."""
    common = everywhere()
    alone = [similarity_of(ImageParts(grey(), (grey(seed),), common, WHOLE)) for seed in (3, 5)]
    assert list(similarities([ImageParts(grey(), (grey(3), grey(5)), common, WHOLE)])) == alone
    assert alone[0] != alone[1]
