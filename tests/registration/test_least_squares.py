"""Weighted least squares of models."""

import numpy as np
import pytest
from test_fit import TRUTH

from s2match.core.matches import Matches, Provenance
from s2match.registration.estimators import best_model
from s2match.registration.least_squares import refit, weights_of
from s2match.registration.model import apply_matrix
from s2match.registration.options import FitOptions

CORNERS = np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, 1000.0], [1000.0, 1000.0]])


def uneven(model: str, seed: int = 0) -> Matches:
    """Exact matches and inexact ones, with their covariances, and a few wrong ones."""
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, 1000, (400, 2))
    deviation = np.where(np.arange(400) < 100, 0.02, 0.6)
    xy1 = apply_matrix(TRUTH[model], xy0) + rng.normal(0, 1, xy0.shape) * deviation[:, None]
    xy1[::25] += rng.uniform(-30, 30, (16, 2))
    covariance = deviation[:, None, None] ** 2 * np.eye(2)
    return Matches(xy0, xy1, np.ones(400), Provenance("test", "cpu", 0.5), covariance_px2=covariance)


@pytest.mark.parametrize("model", ["translation", "similarity", "affine", "homography"])
def test_exact_matches_decide(model: str) -> None:
    matches = uneven(model)
    registration = best_model(matches, FitOptions(model, threshold_px=3.0))
    assert registration is not None
    error = registration.apply(CORNERS) - apply_matrix(TRUTH[model], CORNERS)
    # without weights the inexact ones put a corner off by several times as much
    assert np.abs(error).max() < 0.03


@pytest.mark.parametrize("model", ["translation", "similarity", "affine", "homography"])
def test_a_start_nearby_leads_to_the_same_model(model: str) -> None:
    matches = uneven(model)
    weights = weights_of(matches)
    assert weights is not None
    start = TRUTH[model].copy()
    start[:2, 2] += [0.4, -0.3]
    refitted = refit(model, start, matches, weights, 3.0)
    exact = refit(model, TRUTH[model], matches, weights, 3.0)
    assert np.abs(apply_matrix(refitted, CORNERS) - apply_matrix(exact, CORNERS)).max() < 0.01


def test_matches_without_covariance_have_no_weights() -> None:
    matches = uneven("affine")
    assert weights_of(Matches(matches.xy0, matches.xy1, matches.confidence, matches.origin)) is None
