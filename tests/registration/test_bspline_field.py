"""Fields are recovered despite outliers, are affine far from matches, and are not fitted to outliers alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from test_fit import TRUTH

from s2match.core.matches import Matches, Provenance
from s2match.registration.bspline_field import SMOOTHNESS, Observations, fit_by_evidence, fit_fields
from s2match.registration.estimators import best_model
from s2match.registration.evidence import FitFailure
from s2match.registration.fit import fit
from s2match.registration.model import Registration, apply_matrix
from s2match.registration.model_selection import choose
from s2match.registration.options import FitOptions
from s2match.registration.uncertainty import SYSTEMATIC_PX, uncertainty_px

SIDE = 1000.0
PLACES = np.stack(np.meshgrid(np.linspace(0, SIDE, 41), np.linspace(0, SIDE, 41)), -1).reshape(-1, 2)


def bent(xy: NDArray[np.float64], amplitude_px: float = 1.0, wavelength_px: float = SIDE) -> NDArray[np.float64]:
    """A rotation, a shift and a wave."""
    x, y = (xy * 2 * np.pi / wavelength_px).T
    wave = np.stack([np.sin(x + 0.4) * np.cos(y), np.cos(x) * np.sin(y + 1)], axis=1)
    return np.asarray(apply_matrix(TRUTH["similarity"], xy) + amplitude_px * wave)


def seen(
    count: int, amplitude_px: float = 1.0, wavelength_px: float = SIDE, wrong: float = 0.3, seed: int = 0
) -> Matches:
    """Matches of a bent image, with noise and a fraction of outliers."""
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, SIDE, (count, 2))
    xy1 = bent(xy0, amplitude_px, wavelength_px) + rng.normal(0, 0.2, xy0.shape)
    xy1[: int(wrong * count)] = rng.uniform(0, SIDE, (int(wrong * count), 2))
    return Matches(xy0, xy1, np.full(count, 0.9), Provenance("test", "cpu", 0.8))


def rmse_px(carried: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.sum((carried - truth) ** 2, axis=1))))


@pytest.mark.parametrize(("amplitude_px", "wavelength_px"), [(0.3, SIDE), (2.0, SIDE), (0.3, SIDE / 2), (1, SIDE / 2)])
def test_a_field_is_chosen_and_accurate(amplitude_px: float, wavelength_px: float) -> None:
    matches = seen(12_000, amplitude_px, wavelength_px)
    found = fit(matches)
    assert isinstance(found, Registration) and found.model == "field" and found.field is not None
    inside = PLACES[np.all((PLACES >= 20) & (PLACES <= SIDE - 20), axis=1)]
    assert rmse_px(found.apply(inside), bent(inside, amplitude_px, wavelength_px)) < 0.05
    assert found.held_out_px["field"] < found.held_out_px["affine"]
    assert found.inliers[: int(0.3 * 12_000)].mean() < 0.01 < 0.99 < found.inliers[int(0.3 * 12_000) :].mean()
    np.testing.assert_allclose(
        found.residual_px, np.linalg.norm(found.apply(matches.xy0) - matches.xy1, axis=1), atol=1e-9
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("truth", ["translation", "similarity", "affine"])
def test_a_field_is_not_chosen_where_a_matrix_suffices(truth: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, SIDE, (3000, 2))
    xy1 = apply_matrix(TRUTH[truth], xy0) + rng.normal(0, 0.3, xy0.shape)
    choice = choose(Matches(xy0, xy1, np.ones(3000), Provenance("test", "cpu", 0.8)), FitOptions(seed=seed))
    assert choice.model == truth and "field" in choice.held_out_px


@pytest.mark.parametrize("seed", range(3))
def test_a_field_does_not_follow_errors_that_neighbours_share(seed: int) -> None:
    """The errors of patches of 88 px are independent."""
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, SIDE, (6000, 2))
    row, column = np.floor(xy0 / 88).astype(int).T
    shared = rng.normal(0, 0.3, (12, 12, 2))[row, column]
    xy1 = xy0 + [3, 4] + shared + rng.normal(0, 0.1, xy0.shape)
    assert choose(Matches(xy0, xy1, np.ones(6000), Provenance("test", "cpu", 0.8))).model == "translation"


def test_few_blocks_exclude_the_field() -> None:
    matches = seen(4000)
    assert "field" in choose(matches).held_out_px
    assert "field" not in choose(matches.subset(np.all(matches.xy0 < 200, axis=1))).held_out_px
    assert "field" not in choose(matches.subset(np.arange(4000) % 50 == 49)).held_out_px


def test_matches_that_only_the_field_fits_take_part_in_the_choice() -> None:
    """A bend of several pixels leaves few inliers to a matrix."""
    matches = seen(6000, amplitude_px=3.0)
    affine, found = best_model(matches, FitOptions("affine")), fit(matches)
    assert affine is not None and affine.inliers.mean() < 0.35
    assert isinstance(found, Registration) and found.model == "field" and found.inliers.mean() > 0.69


def test_far_from_the_matches_a_field_is_its_affine_part() -> None:
    matches = seen(4000)
    found = fit(matches.subset(matches.xy0[:, 0] < 500), FitOptions("field"))
    assert isinstance(found, Registration) and found.field is not None
    far = np.array([[-2000.0, 500.0], [500.0, 4000.0], [1e6, -1e6]])
    np.testing.assert_allclose(found.apply(far), apply_matrix(found.matrix, far))
    # in between it goes back to it and never further off than it is among the matches
    off = np.linalg.norm(found.apply(PLACES) - apply_matrix(found.matrix, PLACES), axis=1)
    among = PLACES[:, 0] < 500
    assert off[~among].max() < 1.5 * off[among].max()
    edge = np.stack([np.linspace(500, 1100, 7), np.full(7, 400.0)], axis=1)
    steps = np.linalg.norm(found.apply(edge) - apply_matrix(found.matrix, edge), axis=1)
    assert steps[-1] == pytest.approx(0, abs=1e-9)


def test_a_field_is_smooth_and_follows_its_documented_formula() -> None:
    found = fit(seen(3000), FitOptions("field"))
    assert isinstance(found, Registration) and found.field is not None
    field = found.field

    def spline(t: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.abs(t)
        return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0))

    rows, columns = field.coefficients.shape[:2]
    u, v = ((PLACES - field.origin_px) / field.spacing_px).T
    weights = spline(v[:, None] - np.arange(rows))[:, :, None] * spline(u[:, None] - np.arange(columns))[:, None]
    bend = np.einsum("nrc,rcd->nd", weights, field.coefficients)
    np.testing.assert_allclose(found.apply(PLACES), apply_matrix(field.matrix, PLACES) + bend, atol=1e-9)


def test_uncertainty_of_a_field_is_the_spread_of_repeated_fits() -> None:
    """Among the matches, and beyond them, where it is larger; neighbours share their errors."""
    asked, swings, predicted = np.array([[300.0, 500.0], [300.0, 20.0], [700.0, 500.0]]), [], []
    for seed in range(30):
        matches = seen(1500, 0.5, wrong=0, seed=seed)
        rng = np.random.default_rng(seed)
        column, row = np.floor(matches.xy0 / 128).astype(int).T
        shared = rng.normal(0, 0.4, (8, 8, 2))[row, column] + rng.normal(0, SYSTEMATIC_PX, 2)
        matches = replace(matches, xy1=matches.xy1 + shared)
        found = best_model(matches.subset(matches.xy0[:, 0] < 600), FitOptions("field"))
        assert found is not None
        swings.append(np.sum((found.apply(asked) - bent(asked, 0.5)) ** 2, axis=1))
        predicted.append(uncertainty_px(found, matches.subset(matches.xy0[:, 0] < 600), asked))
    spread, expected = np.sqrt(np.mean(swings, axis=0)), np.median(predicted, axis=0)
    assert expected[:2] == pytest.approx(spread[:2], rel=0.6)
    assert expected[2] > 1.5 * expected[0]


@pytest.mark.parametrize("model", ["auto", "field"])
@pytest.mark.parametrize("seed", range(4))
def test_wrong_matches_make_no_field(model: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, SIDE, (2000, 2))
    anywhere = Matches(xy0, rng.uniform(0, SIDE, xy0.shape), np.ones(2000), Provenance("test", "cpu", 0.2))
    # clumps that agree with themselves, each on a shift of its own, as the network finds on different places
    clump = rng.integers(0, 50, 2000)
    own = rng.uniform(0, SIDE, (50, 2))[clump] + rng.uniform(-40, 40, (2000, 2))
    moved = own + rng.normal(0, 30, (50, 2))[clump] + rng.normal(0, 0.2, (2000, 2))
    clumps = Matches(own, moved, np.ones(2000), Provenance("test", "cpu", 0.2), np.full(2000, 0.2))
    assert isinstance(fit(anywhere, FitOptions(model)), FitFailure)
    assert isinstance(fit(clumps, FitOptions(model)), FitFailure)


def test_a_field_that_folds_the_ground_is_refused() -> None:
    """Matches that fold the image onto itself agree on one field."""
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, SIDE, (6000, 2))
    fold = 60 * np.exp(-(((xy0[:, :1] - 500) / 110) ** 2)) * [-1.0, 0.0] * (xy0[:, :1] - 500) / 30
    matches = Matches(xy0, xy0 + fold, np.ones(6000), Provenance("test", "cpu", 0.8))
    bent_too_far = best_model(matches, FitOptions("field", threshold_px=8), SMOOTHNESS[-1])
    assert bent_too_far is not None and bent_too_far.inliers.mean() > 0.5
    assert isinstance(fit(matches, FitOptions("field", threshold_px=8)), FitFailure)


def test_same_seed_same_field() -> None:
    first, second = (fit(seen(5000), FitOptions(seed=2)) for _ in range(2))
    assert (
        isinstance(first, Registration)
        and isinstance(second, Registration)
        and first.field is not None
        and second.field is not None
    )
    np.testing.assert_array_equal(first.field.coefficients, second.field.coefficients)
    assert first.held_out_px == second.held_out_px


def test_a_field_of_very_few_matches_is_affine() -> None:
    """It is the affine map that it started from."""
    xy0 = np.array([[10.0, 10.0], [10.0, 11.0], [12.0, 10.0]])
    field = fit_fields(Observations(xy0, xy0 + [1, 2]), TRUTH["translation"], 20.0, SMOOTHNESS[:1])[0]
    assert np.isfinite(field.apply(PLACES)).all()
    np.testing.assert_allclose(field.apply(xy0), xy0 + [1, 2], atol=0.1)


@pytest.mark.parametrize("seed", range(8))
def test_nearly_equal_matches_make_nearly_equal_fields(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, 1000, (300, 2))
    xy1 = xy0 + rng.normal(0, 0.1, xy0.shape)
    fields = [
        fit_fields(Observations(xy0 + off, xy1), np.eye(3), 1.5, (3e-3,))[0]
        for off in (0.0, rng.normal(0, 1e-9, xy0.shape))
    ]
    assert fields[0].coefficients.shape == fields[1].coefficients.shape
    assert np.abs(fields[0].apply(xy0) - fields[1].apply(xy0)).max() < 1e-6


@pytest.mark.parametrize(("bend_px", "seed"), [(0.0, 0), *((3.0, seed) for seed in range(8))])
def test_the_evidence_chooses_the_smoothness(bend_px: float, seed: int) -> None:
    """Straight where the points are on an affine map, bent where they are not; outliers take no part."""
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, SIDE, (600, 2))
    truth = bent(xy0, bend_px) if bend_px else xy0 + [1.0, -2.0]
    deviation = rng.uniform(0.05, 0.5, 600)
    xy1 = truth + rng.normal(0, 1, xy0.shape) * deviation[:, None]
    xy1[::20] += rng.uniform(-8, 8, (30, 2))
    found = fit_by_evidence(Observations(xy0, xy1, deviation**-2), np.eye(3))
    places = rng.uniform(0.1 * SIDE, 0.9 * SIDE, (200, 2))
    expected = bent(places, bend_px) if bend_px else places + [1.0, -2.0]
    assert np.sqrt(np.square(found.apply(places) - expected).sum(axis=1).mean()) < (0.15 if bend_px else 0.05)
    assert (found.penalty > 100) == (bend_px == 0)
