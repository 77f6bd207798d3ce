"""Points are added where the images correlate, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import texture
from numpy.typing import NDArray
from test_subpixel import Image, errors, grey, refined, rough_matches, shifted, through, turned

from s2match.core.matches import GreyImage, Matches
from s2match.core.window import Window
from s2match.matching.displacement import align
from s2match.matching.postprocess import Region, postprocess
from s2match.matching.subpixel import STEP_PX, fill
from s2match.settings import Settings

SIDE = 400
WHOLE = Window(0, 0, SIDE, SIDE)
STILL = np.eye(2)


def known(reference: Image, target: Image, matrix: NDArray[np.float64], right: float = 150) -> Matches:
    """Refined matches in the left part of two images."""
    matches = rough_matches(matrix)
    return refined(matches.subset(matches.xy0[:, 0] < right), grey(reference), grey(target), matrix[:2, :2])


def added(
    matches: Matches,
    reference: GreyImage,
    target: GreyImage,
    linear: NDArray[np.float64] = STILL,
    core: Window = WHOLE,
) -> Matches:
    """Points that are added to refined matches."""
    start = np.eye(3)
    start[:2, :2] = linear
    if len(matches):
        start[:2, 2] = np.median(matches.xy1 - matches.xy0 @ linear.T, axis=0)
    aligned = align((reference, target), start)
    new = fill(matches, matches.xy0, reference.valid, aligned, core)
    assert new.correlated is not None and new.correlated.all() and len(new.correlated) == len(new)
    return new


def filled(found: Matches) -> Matches:
    assert found.correlated is not None
    return found.subset(found.correlated)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(
    "matrix", [shifted(0.3, -2.6), turned(0.6, 1.01), turned(10, 1.0)], ids=["shift", "turn and scale", "turn"]
)
def test_empty_ground_is_filled_with_normal_and_inverted_contrast(matrix: NDArray[np.float64], odd: bool) -> None:
    image = texture(SIDE, SIDE, seed=1, detail_px=2)
    target = through(image, matrix)
    matches = known(image, target, matrix)
    matches = replace(matches, raw_residual_px=np.full(len(matches), 0.2))
    new = added(matches, grey(image), grey(255 - target if odd else target), matrix[:2, :2])
    assert len(new) > 40
    assert np.median(errors(new, matrix)) < 0.05 and errors(new, matrix).max() < 0.3
    assert (new.confidence > 0.99).all() and new.similarity is not None and new.similarity.min() > 0.5
    assert new.raw_residual_px is not None and (new.raw_residual_px == 0.2).all()
    columns, rows = np.unique(new.xy0[:, 0]), np.unique(new.xy0[:, 1])
    assert (np.diff(columns) == STEP_PX).all() and columns.max() > SIDE - 2 * STEP_PX and len(rows) >= 10
    assert np.abs(new.xy0[:, None] - matches.xy0).max(axis=2).min() >= STEP_PX - 2


def test_points_are_found_4_px_from_their_prediction() -> None:
    """The target is stretched, so that the prediction errs more the further it is from the matches."""
    image = texture(SIDE, SIDE, seed=2, detail_px=2)
    matrix = np.array([[1.03, 0, 0], [0, 1, 0], [0, 0, 1]])
    target = through(image, matrix)
    found = added(known(image, target, matrix, 250), grey(image), grey(target))
    assert found.xy0[:, 0].max() > SIDE - STEP_PX and errors(found, matrix).max() < 0.5


def test_ground_that_changed_cloud_and_nodata_stay_empty() -> None:
    image, matrix = texture(SIDE, SIDE, seed=3, detail_px=2), shifted(0.4, 0.2)
    target = through(image, matrix)
    matches = known(image, target, matrix)
    changed, other = target.copy(), texture(SIDE, SIDE, seed=4, detail_px=2)
    changed[:200, 150:] = other[:200, 150:]
    changed[200:, 150:] = 250
    valid = np.ones((SIDE, SIDE), bool)
    valid[:, 330:] = False
    new = added(matches, grey(image, valid), grey(changed))
    assert not ((new.xy0[:, 0] > 230) & (np.abs(new.xy0[:, 1] - 200) > 70)).any()
    assert errors(new, matrix).max(initial=0) < 0.5
    everywhere = added(matches, grey(image, valid), grey(target))
    assert 230 < everywhere.xy0[:, 0].max() < 330


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("flat", ["reference", "target", "both"])
def test_flat_ground_gets_no_points(flat: str, value: int) -> None:
    """Water and saturated cloud have constant values."""
    image = texture(SIDE, SIDE, seed=3, detail_px=2)
    matches = known(image, image, np.eye(3))
    plain = image.copy()
    plain[:, 150:] = value
    pair = grey(image if flat == "target" else plain), grey(image if flat == "reference" else plain)
    new = added(matches, *pair)
    assert not (new.xy0[:, 0] > 230).any() and errors(new, np.eye(3)).max(initial=0) < 1.5


def test_masked_ground_of_either_image_gets_no_point() -> None:
    image, matrix = texture(SIDE, SIDE, seed=10, detail_px=2), shifted(3.0, 0.0)
    target = through(image, matrix)
    valid0, valid1 = np.ones((2, SIDE, SIDE), bool)
    # narrower than what is compared: the edges around it show the points
    valid0[200:212], valid1[:, 300:310] = False, False
    left = rough_matches(matrix)
    left = left.subset(left.xy0[:, 0] < 150)
    pair = grey(image * valid0, valid0), grey(target * valid1, valid1)
    found = postprocess(left, pair, Region(STILL), Settings(max_points=1000))
    assert len(filled(found)) > 30 and pair[0].valid_at(found.xy0).all() and pair[1].valid_at(found.xy1).all()
    without = postprocess(left, (grey(image), grey(target)), Region(STILL), Settings(max_points=1000))
    assert not (pair[0].valid_at(without.xy0) & pair[1].valid_at(without.xy1)).all()


def test_points_are_added_in_the_core_only() -> None:
    image = texture(SIDE, SIDE, seed=5, detail_px=2)
    new = added(known(image, image, np.eye(3)), grey(image), grey(image), core=Window(200, 100, 150, 60))
    assert len(new) == 10 and (new.xy0 > (200, 100)).all() and (new.xy0 < (350, 160)).all()


def test_no_points_where_all_is_occupied_or_the_confidence_threshold_is_higher() -> None:
    image = texture(SIDE, SIDE, seed=6, detail_px=2)
    matches, pair = known(image, image, np.eye(3)), (grey(image), grey(image))
    strict = replace(matches, origin=replace(matches.origin, confidence=1.0))
    assert len(added(matches, *pair)) > 0 and len(added(strict, *pair)) == 0
    assert len(added(matches, *pair, core=Window(70, 70, 70, 260))) == 0


def test_no_points_are_predicted_from_matches_that_are_no_evidence() -> None:
    """Images of different places have a few matches by chance."""
    image = grey(texture(SIDE, SIDE, seed=7, detail_px=2))
    few = rough_matches(np.eye(3)).subset(np.arange(289) < 5)
    found = postprocess(few, (image, image), Region(STILL), Settings(max_points=1000))
    assert len(found) > 0 and found.correlated is None


def test_matches_that_were_thinned_out_or_lie_beyond_the_core_are_not_replaced() -> None:
    image = grey(texture(SIDE, SIDE, seed=8, detail_px=2))
    matches = rough_matches(np.eye(3))
    thinned = postprocess(matches, (image, image), Region(STILL, Window(64, 64, 272, 272)), Settings(max_points=30))
    assert 10 < len(thinned) < 30 and len(filled(thinned)) == 0
    core = Window(64, 64, 128, 272)
    torn = matches.subset((matches.xy0[:, 0] < 100) | (matches.xy0[:, 0] > 192))
    found = filled(postprocess(torn, (image, image), Region(STILL, core), Settings(max_points=1000)))
    assert np.unique(found.xy0[:, 0]).tolist() == [144.5]


def test_no_more_points_than_the_maximum() -> None:
    image = grey(texture(SIDE, SIDE, seed=9, detail_px=2))
    matches = rough_matches(np.eye(3))
    left = matches.subset(matches.xy0[:, 0] < 150)
    found = postprocess(left, (image, image), Region(STILL), Settings(max_points=len(left) + 28))
    assert len(found) <= len(left) + 28 and 15 < len(filled(found)) < 40
