"""Model selection takes the simplest model that predicts held-out matches as well as any."""

import numpy as np
import pytest
from test_fit import TRUTH, made

from s2match.core.matches import Matches
from s2match.registration.estimators import best_model
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.registration.model_selection import CANDIDATES, GLOBAL_CANDIDATES, choose
from s2match.registration.options import FitOptions


@pytest.mark.parametrize("truth", GLOBAL_CANDIDATES)
@pytest.mark.parametrize("seed", range(4))
def test_the_model_that_made_the_matches_is_chosen(truth: str, seed: int) -> None:
    choice = choose(made(TRUTH[truth], seed=seed))
    assert choice.model == truth
    assert tuple(choice.held_out_px) == CANDIDATES
    assert choice.held_out_px[truth] == pytest.approx(0.35, abs=0.3)


@pytest.mark.parametrize("degrees", [0.05, 0.2])
def test_a_slight_rotation_is_detected(degrees: float) -> None:
    """0.05° moves the edges of 1000 px by 0.4 px, as much as the noise of a single match."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 4], [np.sin(angle), np.cos(angle), -2], [0, 0, 1]])
    assert choose(made(turn, right=2000)).model == "similarity"


def in_patches(seed: int, noise_px: float = 0.4) -> Matches:
    """A shift, matched in six patches on one side of the image, each with an error that its matches share."""
    rng = np.random.default_rng(seed)
    patch = rng.integers(0, 6, 400)
    middle = np.array([[100, 100], [220, 130], [120, 320], [230, 480], [80, 640], [190, 800]])[patch]
    matches = made(TRUTH["translation"], right=400, wrong=0, noise=0.1, seed=seed)
    xy0 = middle + rng.uniform(-40, 40, (400, 2))
    shared = rng.normal(0, noise_px, (6, 2))[patch]
    return Matches(xy0, xy0 + [13.3, -7.7] + shared, matches.confidence, matches.origin)


def test_patches_on_one_side_of_the_image_give_a_translation() -> None:
    """An affine model follows the errors of the patches, and errs where there are none."""
    corner, wrong = np.array([[1000.0, 500.0]]), {"auto": [], "affine": []}
    for seed in range(12):
        for model, errors in wrong.items():
            found = fit(in_patches(seed), FitOptions(model, seed=seed))
            assert isinstance(found, Registration)
            errors.append(np.linalg.norm(found.apply(corner) - corner - [13.3, -7.7]))
    assert np.median(wrong["auto"]) < 0.3 < 1.0 < np.median(wrong["affine"])
    # six patches are few to tell by: now and then chance looks like a turn
    assert np.mean(np.array(wrong["auto"]) < 1.0) > 0.9


def test_only_the_candidates_are_tried() -> None:
    matches = made(TRUTH["affine"], right=2000)
    assert tuple(choose(matches, candidates=GLOBAL_CANDIDATES).held_out_px) == GLOBAL_CANDIDATES
    assert choose(matches, candidates=("translation", "field")).model == "field"


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_too_few_matches_give_the_simplest_model(count: int) -> None:
    assert choose(made(TRUTH["translation"], right=count, wrong=0)).model == "translation"


def test_same_seed_same_choice() -> None:
    matches = made(TRUTH["similarity"], right=6000, wrong=1000)
    assert choose(matches, FitOptions(seed=3)) == choose(matches, FitOptions(seed=3))


def test_the_chosen_model_is_fitted_to_all_matches() -> None:
    matches = made(TRUTH["affine"])
    found, plain = fit(matches), best_model(matches, FitOptions("affine"))
    assert isinstance(found, Registration) and plain is not None and found.model == "affine"
    np.testing.assert_array_equal(found.matrix, plain.matrix)
    assert not plain.held_out_px and found.held_out_px["affine"] < found.held_out_px["translation"]
