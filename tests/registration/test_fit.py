"""Models are fitted despite outliers, from reference to target, and refused without evidence."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from s2match.core.matches import PATCH_PX, RADIUS_CELLS, Matches, Provenance
from s2match.errors import OptionError
from s2match.registration.evidence import MIN_INLIERS, FitFailure, Reason, required_inliers
from s2match.registration.fit import fit
from s2match.registration.model import Registration, apply_matrix
from s2match.registration.options import MODELS, FitOptions
from s2match.registration.uncertainty import REFINED_SYSTEMATIC_PX, SYSTEMATIC_PX, uncertainty_px

TRUTH = {
    "translation": np.array([[1, 0, 13.3], [0, 1, -7.7], [0, 0, 1]]),
    "similarity": np.array([[1.02, -0.05, 13.3], [0.05, 1.02, -7.7], [0, 0, 1]]),
    "affine": np.array([[1.02, -0.05, 13.3], [0.01, 0.97, -7.7], [0, 0, 1]]),
    "homography": np.array([[1.02, -0.05, 13.3], [0.01, 0.97, -7.7], [2e-5, -1e-5, 1]]),
    "field": np.array([[1.02, -0.05, 13.3], [0.01, 0.97, -7.7], [0, 0, 1]]),
}


def made(matrix: NDArray[np.float64], right: int = 300, wrong: int = 300, noise: float = 0.3, seed: int = 0) -> Matches:
    rng = np.random.default_rng(seed)
    xy0 = rng.uniform(0, 1000, (right + wrong, 2))
    xy1 = apply_matrix(matrix, xy0) + rng.normal(0, noise, xy0.shape)
    xy1[right:] = rng.uniform(0, 1000, (wrong, 2))
    return Matches(xy0, xy1, np.full(len(xy0), 0.9), Provenance("test", "cpu", 0.8))


@pytest.mark.parametrize("model", MODELS)
def test_every_model_recovers_its_truth(model: str) -> None:
    matches = made(TRUTH[model])
    found = fit(matches, FitOptions(model))
    assert isinstance(found, Registration) and found.model == model
    corners = np.array([[0, 0], [1000, 0], [0, 1000], [1000, 1000.0]])
    assert np.abs(found.apply(corners) - apply_matrix(TRUTH[model], corners)).max() < 0.3
    assert found.inliers[:300].mean() > 0.98 and found.inliers[300:].mean() < 0.02
    residual = np.linalg.norm(found.apply(matches.xy0) - matches.xy1, axis=1)
    np.testing.assert_allclose(found.residual_px, residual)
    assert (found.inliers == (residual <= 1.5)).all()


def test_a_translation_has_no_linear_part() -> None:
    found = fit(made(TRUTH["affine"]), FitOptions("translation", threshold_px=40))
    assert isinstance(found, Registration)
    np.testing.assert_array_equal(found.matrix[:, :2], np.eye(3)[:, :2])


def test_the_threshold_is_in_pixels() -> None:
    matches = made(TRUTH["affine"], wrong=0, noise=0.8)
    narrow, wide = fit(matches, FitOptions(threshold_px=0.6)), fit(matches, FitOptions(threshold_px=5))
    assert isinstance(narrow, Registration) and isinstance(wide, Registration)
    assert narrow.inliers.sum() < 0.4 * wide.inliers.sum()


@pytest.mark.parametrize("model", MODELS)
def test_same_seed_same_result(model: str) -> None:
    first, second = (fit(made(TRUTH["affine"]), FitOptions(model, 20, seed=3)) for _ in range(2))
    assert isinstance(first, Registration) and isinstance(second, Registration)
    np.testing.assert_array_equal(first.matrix, second.matrix)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [0, 1, 3, MIN_INLIERS - 1])
def test_too_few_matches_are_no_registration(model: str, count: int) -> None:
    assert isinstance(fit(made(TRUTH[model], right=count, wrong=0, noise=0), FitOptions(model)), FitFailure)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [30, 300, 1000])
def test_wrong_matches_are_no_registration(model: str, count: int) -> None:
    for seed in range(5):
        assert isinstance(fit(made(np.eye(3), right=0, wrong=count, seed=seed), FitOptions(model)), FitFailure)


def test_more_outliers_need_more_inliers() -> None:
    assert required_inliers(0) == MIN_INLIERS
    assert isinstance(fit(made(TRUTH["affine"], right=30, wrong=100)), Registration)
    assert isinstance(fit(made(TRUTH["affine"], right=30, wrong=400)), FitFailure)


@pytest.mark.parametrize("matrix", [np.diag([-1.0, 1, 1]), np.diag([3.0, 3, 1]), np.diag([1.0, 0.3, 1])])
def test_implausible_models_are_refused(matrix: NDArray[np.float64]) -> None:
    assert isinstance(fit(made(matrix, wrong=0)), FitFailure)
    assert isinstance(fit(made(matrix, wrong=0), expected=matrix[:2, :2]), Registration)


@pytest.mark.parametrize(
    ("perspective", "extent_px", "far_px", "mirrored"),
    [
        pytest.param(1e-3, 1000, 1000, False, id="smaller than half"),
        pytest.param(-5e-4, 300, 1500, False, id="larger than twice"),
        pytest.param(-5e-4, 300, 2000, None, id="infinite"),
        pytest.param(-5e-4, 300, 2500, True, id="beyond the horizon"),
    ],
)
def test_homographies_that_are_implausible_at_a_match_are_refused(
    perspective: float, extent_px: float, far_px: float, mirrored: bool | None
) -> None:
    """However plausible they are at the origin, and exact at all matches but one."""
    homography = np.array([[1, 0, 0], [0, 1, 0], [perspective, 0, 1]])
    xy0 = np.random.default_rng(0).uniform(0, extent_px, (400, 2))
    xy1 = np.vstack([apply_matrix(homography, xy0), [[5000, 10]]])
    matches = Matches(np.vstack([xy0, [[far_px, 100]]]), xy1, np.ones(401), Provenance("test", "cpu", 0.8))
    failure = fit(matches, FitOptions("homography", threshold_px=10))
    assert isinstance(failure, FitFailure) and failure.reason is Reason.IMPLAUSIBLE
    assert mirrored is None or failure.mirrored == mirrored


def test_a_moderate_perspective_is_plausible() -> None:
    matrix = np.array([[1, 0, 0], [0, 1, 0], [1.5e-4, 0, 1]])
    assert isinstance(fit(made(matrix, wrong=0), FitOptions("homography")), Registration)


@pytest.mark.parametrize("model", [model for model in MODELS if model != "field"])
@pytest.mark.parametrize(("count", "side_px"), [(400, 640), (800, 1024)])
def test_uncertainty_is_the_spread_of_repeated_fits(model: str, count: int, side_px: float) -> None:
    """Neighbours share their errors: repeated fits scatter as predicted, among the points and far from them."""
    points = np.array([[900.0, 900.0], [side_px / 2, side_px / 2], [0.0, side_px]])
    squares, variances = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        xy0 = rng.uniform(0, side_px, (count, 2))
        column, row = np.floor(xy0 / 128).astype(int).T
        # and all points share one
        shared = rng.normal(0, 0.5, (8, 8, 2))[row, column] + rng.normal(0, SYSTEMATIC_PX, 2)
        xy1 = apply_matrix(TRUTH[model], xy0) + shared + rng.normal(0, 0.05, xy0.shape)
        matches = Matches(xy0, xy1, np.ones(count), Provenance("test", "cpu", 0.8))
        registration = fit(matches, FitOptions(model, threshold_px=3))
        assert isinstance(registration, Registration)
        squares.append(np.sum((registration.apply(points) - apply_matrix(TRUTH[model], points)) ** 2, axis=1))
        variances.append(uncertainty_px(registration, matches, points) ** 2)
    np.testing.assert_allclose(np.sqrt(np.mean(variances, axis=0)), np.sqrt(np.mean(squares, axis=0)), rtol=0.3)


@pytest.mark.parametrize("height_px", [0.0, 0.1])
def test_regions_of_refined_matches_hold_what_the_model_does_not_follow(height_px: float) -> None:
    """Stripes that a translation cannot follow, as those of Sentinel-2's detectors, make its regions larger."""
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, 1024, (4000, 2))
    stripe = height_px * np.where(np.floor(xy0[:, 0] / 256) % 2, 1, -1)
    covariance = np.tile(0.05**2 * np.eye(2), (len(xy0), 1, 1))
    xy1 = xy0 + np.stack([0 * stripe, stripe], axis=1) + rng.normal(0, 0.05, xy0.shape)
    matches = Matches(xy0, xy1, np.ones(len(xy0)), Provenance("test", "cpu", 0.8), covariance_px2=covariance)
    registration = fit(matches, FitOptions("translation", threshold_px=3))
    assert isinstance(registration, Registration)
    variance = float(uncertainty_px(registration, matches, np.array([[512.0, 512.0]]))[0] ** 2)
    # the variance of the stripes is along one of the two axes, and taken for both alike
    assert variance == pytest.approx(2 * REFINED_SYSTEMATIC_PX**2 + height_px**2, rel=0.15, abs=2e-4)


@pytest.mark.parametrize(
    ("options", "word"), [(("spline",), "spline"), (("affine", 0.0), "0"), (("affine", 1, -1), "-1")]
)
def test_options_out_of_range(options: tuple[object, ...], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        FitOptions(*options)  # type: ignore[arg-type]
    with pytest.raises(OptionError):
        FitOptions("affine", float("nan"))


def test_uncertainty_includes_raw_residuals() -> None:
    """Points of local fits scatter less than their raw matches; the model is as uncertain as by these."""
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, 1000, (400, 2))
    noise = rng.normal(0, 0.5, (400, 2))
    alone = Matches(xy0, xy0 + noise, np.ones(400), Provenance("test", "cpu", 0.8))
    together = Matches(
        xy0, xy0 + noise / 20, np.ones(400), Provenance("test", "cpu", 0.8), np.linalg.norm(noise, axis=1)
    )
    corner = np.array([[1000.0, 1000.0]])
    wanted, found, naive = (
        float(uncertainty_px(fitted, matches, corner)[0])
        for matches in (alone, together, replace(together, raw_residual_px=None))
        if isinstance(fitted := fit(matches, FitOptions(threshold_px=3.0)), Registration)
    )
    # the error that all matches share is the same with each
    shared = SYSTEMATIC_PX * 2**0.5
    assert np.sqrt(found**2 - shared**2) == pytest.approx(np.sqrt(wanted**2 - shared**2), rel=0.15)
    assert np.sqrt(naive**2 - shared**2) < 0.1 * wanted


@pytest.mark.parametrize(("spread_px", "registers"), [(80, False), (500, True)])
def test_one_patch_is_no_evidence(spread_px: float, registers: bool) -> None:
    """However many matches it has, and wherever it lies, if points were fitted to their neighbours."""
    xy0 = np.random.default_rng(0).uniform(0, spread_px, (400, 2)) + [130, 220]
    alone = Matches(xy0, xy0 + [3, 4], np.ones(400), Provenance("test", "cpu", 0.8))
    assert isinstance(fit(alone), Registration)
    assert isinstance(fit(replace(alone, raw_residual_px=np.full(400, 0.1))), Registration) == registers


def test_a_patch_is_the_extent_of_a_local_fit() -> None:
    assert PATCH_PX == 8 * (2 * RADIUS_CELLS + 1)
