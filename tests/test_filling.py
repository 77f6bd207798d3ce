"""Points where the network finds none: right ones, where edges show them, and none where nothing does."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import texture
from numpy.typing import NDArray
from test_refinement import Image, errors, grey, rough_matches, shifted, through, turned

from s2match.filling import CONFIDENCE, STEP_PX, fill
from s2match.finishing import Finishing
from s2match.images import Window
from s2match.matches import Matches
from s2match.refinement import refine

SIDE = 400
WHOLE = Window(0, 0, SIDE, SIDE)
STILL = np.eye(2)


def known(reference: Image, target: Image, matrix: NDArray[np.float64], right: float = 150) -> Matches:
    """Refined matches in the left part of two images."""
    matches = rough_matches(matrix)
    return refine(matches.of(matches.xy0[:, 0] < right), grey(reference), grey(target), matrix[:2, :2])


def filled(found: Matches) -> Matches:
    assert found.correlated is not None
    return found.of(found.correlated)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(
    "matrix", [shifted(0.3, -2.6), turned(0.6, 1.01), turned(10, 1.0)], ids=["shift", "turn and scale", "turn"]
)
def test_empty_ground_is_filled_with_the_contrast_as_it_is_or_inverted(matrix: NDArray[np.float64], odd: bool) -> None:
    image = texture(SIDE, SIDE, seed=1, detail_px=2)
    target = through(image, matrix)
    matches = known(image, target, matrix)
    target = 255 - target if odd else target
    found = fill(matches, grey(image), grey(target), matrix[:2, :2], WHOLE)
    new = filled(found)
    assert len(new) > 40 and len(found) == len(matches) + len(new)
    assert np.median(errors(new, matrix)) < 0.05 and errors(new, matrix).max() < 0.3
    assert (new.confidence == CONFIDENCE).all() and new.similarity is not None and new.similarity.min() > 0.5
    columns, rows = np.unique(new.xy0[:, 0]), np.unique(new.xy0[:, 1])
    assert (np.diff(columns) == STEP_PX).all() and columns.max() > SIDE - 2 * STEP_PX and len(rows) >= 10
    apart = np.abs(new.xy0[:, None] - matches.xy0).max(axis=2)
    assert apart.min() >= STEP_PX - 2


def test_a_target_is_followed_where_it_drifts_away_from_its_matches() -> None:
    """Far from the matches it lies 4 px off from where the nearest of them lead to expect it."""
    image = texture(SIDE, SIDE, seed=2, detail_px=2)
    matrix = np.array([[1.03, 0, 0], [0, 1, 0], [0, 0, 1]])
    target = through(image, matrix)
    found = filled(fill(known(image, target, matrix, 250), grey(image), grey(target), STILL, WHOLE))
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
    new = filled(fill(matches, grey(image, valid), grey(changed), STILL, WHOLE))
    assert not ((new.xy0[:, 0] > 230) & (np.abs(new.xy0[:, 1] - 200) > 70)).any()
    assert errors(new, matrix).max(initial=0) < 0.5
    everywhere = filled(fill(matches, grey(image, valid), grey(target), STILL, WHOLE))
    assert 230 < everywhere.xy0[:, 0].max() < 330


def test_only_the_part_that_is_asked_for() -> None:
    image = texture(SIDE, SIDE, seed=5, detail_px=2)
    matches = known(image, image, np.eye(3))
    new = filled(fill(matches, grey(image), grey(image), STILL, Window(200, 100, 150, 60)))
    assert len(new) == 10 and (new.xy0 > (200, 100)).all() and (new.xy0 < (350, 160)).all()


def test_nothing_is_sought_where_all_is_covered_or_the_confidence_asked_for_is_higher() -> None:
    image = texture(SIDE, SIDE, seed=6, detail_px=2)
    matches = known(image, image, np.eye(3))
    strict = replace(matches, origin=replace(matches.origin, confidence=0.995))
    assert fill(strict, grey(image), grey(image), STILL, WHOLE).correlated is None
    middle = Window(70, 70, 70, 260)
    assert fill(matches, grey(image), grey(image), STILL, middle).correlated is None
    nothing = matches.of(np.zeros(len(matches), bool))
    assert len(fill(nothing, grey(image), grey(image), STILL, WHOLE)) == 0


def test_matches_that_are_no_evidence_lead_nowhere() -> None:
    """Images of different places: what chance found must not be followed."""
    reference, target = grey(texture(SIDE, SIDE, seed=7, detail_px=2)), grey(texture(SIDE, SIDE, seed=8, detail_px=2))
    few = rough_matches(np.eye(3)).of(np.arange(289) < 5)
    assert Finishing(1000, refined=True).apply(few, reference, target, STILL).correlated is None


def test_no_more_points_than_asked_for() -> None:
    image = texture(SIDE, SIDE, seed=9, detail_px=2)
    matches = rough_matches(np.eye(3))
    left = matches.of(matches.xy0[:, 0] < 150)
    found = Finishing(60, refined=True).apply(left, grey(image), grey(image), STILL)
    assert len(found) <= 60 and len(filled(found)) > 20
