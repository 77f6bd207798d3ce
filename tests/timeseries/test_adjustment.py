"""Known shifts are found again from noisy pairs, with errors as large as their covariance says."""

from dataclasses import replace

import numpy as np
import pytest

from s2match.timeseries.adjustment import adjust
from s2match.timeseries.choices import Datum
from s2match.timeseries.closure import closure_of
from s2match.timeseries.group_terms import group_terms
from s2match.timeseries.images import series_image
from s2match.timeseries.observations import PairObservation, PairStatus

STD = 0.5


def pairs_of(count: int, partners: int = 3) -> list[tuple[int, int]]:
    return [(i, j) for i in range(count) for j in range(i + 1, min(i + 1 + partners, count))]


def observed(truth: np.ndarray, pairs: list[tuple[int, int]], std: float = STD, seed: int = 0) -> list[PairObservation]:
    """Pairs with normal errors, whose covariance is an ellipse."""
    rng = np.random.default_rng(seed)
    ellipse = std**2 * np.array([[1.0, 0.3], [0.3, 0.5]])
    errors = rng.multivariate_normal([0, 0], ellipse, len(pairs))
    return [
        PairObservation(
            i, j, PairStatus.MEASURED, shift=tuple(truth[j] - truth[i] + error), covariance=tuple(map(tuple, ellipse))
        )
        for (i, j), error in zip(pairs, errors, strict=True)
    ]


def truth_of(count: int, seed: int = 1) -> np.ndarray:
    truth = np.random.default_rng(seed).normal(0, 5, (count, 2))
    return truth - truth.mean(axis=0)


def test_known_shifts_are_recovered_within_their_covariance() -> None:
    squares = []
    for seed in range(100):
        truth = truth_of(20, seed + 1000)
        result = adjust(20, observed(truth, pairs_of(20), seed=seed))
        error = result.shifts - truth
        squares += list(np.einsum("ni,nij,nj->n", error, np.linalg.inv(result.covariance), error))
        assert np.abs(result.shifts.sum(axis=0)).max() < 1e-9
    assert np.mean(squares) == pytest.approx(2, abs=0.25)
    assert np.mean(np.array(squares) < 5.99) == pytest.approx(0.95, abs=0.02)


def test_covariances_are_scaled_by_what_the_residuals_show() -> None:
    """Errors twice as large as the pairs say: so are those of the images."""
    truth, pairs = truth_of(40), pairs_of(40, 6)
    right = adjust(40, observed(truth, pairs))
    pessimistic = [
        replace(o, covariance=tuple(tuple(v / 4 for v in row) for row in o.covariance)) for o in observed(truth, pairs)
    ]
    wrong = adjust(40, pessimistic)
    assert right.variance_factor == pytest.approx(1, abs=0.15)
    assert wrong.variance_factor == pytest.approx(4 * right.variance_factor, rel=0.05)
    assert np.sqrt(wrong.covariance[3, 0, 0] / right.covariance[3, 0, 0]) == pytest.approx(1, abs=0.05)


def test_wrong_pairs_are_rejected_and_do_no_harm() -> None:
    truth, pairs = truth_of(20), pairs_of(20, 5)
    clean = observed(truth, pairs)
    wrong = [7, 20, 41, 60]
    spoilt = [replace(o, shift=(o.shift[0] + 15, o.shift[1] - 8)) if k in wrong else o for k, o in enumerate(clean)]
    result = adjust(20, spoilt)
    assert [k for k, weight in enumerate(result.weights) if weight == 0] == wrong
    assert np.abs(result.shifts - adjust(20, clean).shifts).max() < STD
    # a rejected pair is off by what was added
    assert np.allclose(result.residuals[wrong], [15, -8], atol=3 * STD)


def test_parts_that_nothing_connects_are_told_apart() -> None:
    truth = truth_of(10)
    pairs = [*pairs_of(6), (7, 8)]
    result = adjust(10, observed(truth, pairs))
    assert result.components.tolist() == [0] * 6 + [-1, 1, 1, -1]
    assert np.isnan(result.shifts[[6, 9]]).all() and np.isfinite(result.shifts[[0, 7]]).all()
    # the only pair of a part has nothing that checks it
    assert np.isnan(result.residuals[-1]).all() and np.isnan(result.left_out[-1]).all()


def test_a_left_out_pair_is_predicted_by_the_others() -> None:
    truth, pairs = truth_of(8), pairs_of(8)
    observations = observed(truth, pairs)
    result = adjust(8, observations)
    without = adjust(8, [o if k != 5 else replace(o, status=PairStatus.FAILED) for k, o in enumerate(observations)])
    i, j = pairs[5]
    predicted = without.shifts[j] - without.shifts[i]
    # the biweight of the others changes a little
    assert np.allclose(result.left_out[5], np.subtract(observations[5].shift, predicted), atol=0.1 * STD)


def test_datum_by_reference_and_by_georeference() -> None:
    truth, pairs = truth_of(20), pairs_of(20)
    observations = observed(truth, pairs)
    mean = adjust(20, observations)
    by_reference = adjust(20, observations, Datum.REFERENCE, 4)
    assert np.allclose(by_reference.shifts, mean.shifts - mean.shifts[4])
    assert np.abs(by_reference.covariance[4]).max() < 1e-9
    far, near = by_reference.covariance[19, 0, 0], by_reference.covariance[5, 0, 0]
    assert far > near > 0
    # most georeferences are right, and two are far off
    truth = np.zeros((20, 2))
    truth[[3, 9]] = [60, -40]
    by_georeference = adjust(20, observed(truth, pairs), Datum.GEOREFERENCE)
    assert np.abs(by_georeference.shifts - truth).max() < 4 * STD
    assert (by_georeference.covariance[:, 0, 0] > adjust(20, observed(truth, pairs)).covariance[:, 0, 0]).all()


def test_pairs_in_any_order_give_the_same_shifts() -> None:
    truth, pairs = truth_of(12), pairs_of(12)
    observations = observed(truth, pairs)
    order = np.random.default_rng(0).permutation(len(pairs))
    assert np.allclose(adjust(12, [observations[k] for k in order]).shifts, adjust(12, observations).shifts, atol=1e-9)


def test_without_a_measured_pair_nothing_is_placed() -> None:
    result = adjust(3, [PairObservation(0, 1, PairStatus.NO_EVIDENCE)])
    assert np.isnan(result.shifts).all() and result.components.tolist() == [-1, -1, -1]
    assert result.weights.tolist() == [0]


def test_triangles_close_but_for_the_error_of_one_pair() -> None:
    truth, pairs = truth_of(5), [(0, 1), (1, 2), (0, 2), (2, 3), (4, 3)]
    observations = observed(truth, pairs, std=1e-9)
    observations[2] = replace(observations[2], shift=tuple(np.add(observations[2].shift, [3, 4])))
    closure = closure_of(observations, np.ones(5))
    assert closure.triangles.tolist() == [[0, 1, 2]]
    assert closure.lengths == pytest.approx([5])
    assert closure.quantile(0.5) == pytest.approx(5)
    assert np.isnan(closure.worst[3]) and closure.worst[1] == pytest.approx(5)
    rejected = closure_of(observations, np.array([1, 1, 0, 1, 1.0]))
    assert len(rejected.lengths) == 0 and rejected.worst[2] == pytest.approx(5)


def test_days_of_the_repeat_cycle_tell_the_satellites_apart() -> None:
    """Names with dates only: images ten days apart belong together."""
    images = [series_image(k, f"T36UXA_201905{5 * k + 1:02d}T083601_TCI.jp2") for k in range(6)]
    shifts = np.array([[0.0, 2.0], [0.0, -2.0]] * 3)
    terms = group_terms(images, shifts, np.tile(0.01 * np.eye(2), (6, 1, 1)))
    assert [term.images for term in terms] == [3, 3] and {term.kind for term in terms} == {"repeat_day"}
    assert sorted(term.shift[1] for term in terms) == pytest.approx([-2, 2])


@pytest.mark.parametrize(("matched_m", "unit", "error"), [(10.0, "m", 0.7), (100.0, "m", 3.0), (100.0, "px", 7.0)])
def test_an_image_has_an_error_of_its_own_that_pairs_do_not_show(matched_m: float, unit: str, error: float) -> None:
    """In pixels of the matched size, and a few metres at most."""
    truth, pairs = truth_of(20), pairs_of(20)
    observations = [replace(o, matched_pixel=matched_m, unit=unit) for o in observed(truth, pairs, std=1e-3)]
    result = adjust(20, observations)
    assert np.sqrt(result.covariance[:, 0, 0]) == pytest.approx(error, rel=0.01)
    by_reference = adjust(20, observations, Datum.REFERENCE, 0)
    assert np.sqrt(by_reference.covariance[5, 1, 1]) == pytest.approx(error * 2**0.5, rel=0.01)
    assert by_reference.covariance[0, 0, 0] == pytest.approx(0, abs=1e-9)


def test_one_image_that_is_far_off_does_not_move_its_group() -> None:
    images = [series_image(k, f"T36UXA_201905{5 * k + 1:02d}T083601_TCI.jp2") for k in range(6)]
    shifts = np.random.default_rng(2).normal(0, 0.3, (6, 2))
    shifts[4] = 51.0
    terms = group_terms(images, shifts, np.tile(0.01 * np.eye(2), (6, 1, 1)))
    assert sorted(term.name for term in terms) == ["T36UXA cycle day 0", "T36UXA cycle day 5"]
    assert np.abs([term.shift for term in terms]).max() < 1 and np.max([term.std for term in terms]) < 1


def test_two_images_are_no_group() -> None:
    images = [series_image(k, f"T36UXA_201905{5 * k + 1:02d}T083601_TCI.jp2") for k in range(5)]
    terms = group_terms(images, np.zeros((5, 2)), np.tile(0.01 * np.eye(2), (5, 1, 1)))
    assert [term.images for term in terms] == [3]


def test_intervals_of_medians_hold_the_truth() -> None:
    """In 92 to 97 % of cases, for groups of three images or more."""
    images = [series_image(k, f"T36UXA_201905{5 * k + 1:02d}T083601_TCI.jp2") for k in range(6)]
    rng, inside = np.random.default_rng(4), []
    for _ in range(400):
        for term in group_terms(images, rng.normal(0, 2, (6, 2)), np.tile(0.01 * np.eye(2), (6, 1, 1))):
            inside += [abs(shift) < 1.96 * std for shift, std in zip(term.shift, term.std, strict=True)]
    assert 0.91 < np.mean(inside) < 0.98


def test_orbits_and_platforms_have_their_own_medians() -> None:
    name = "S2{}_MSIL1C_201808{:02d}T083601_N0206_R{:03d}_T36UXA_20180820T104205.tif"
    images = [series_image(k, name.format("AB"[k % 2], k + 1, (64, 107)[k // 4])) for k in range(8)]
    shifts = np.array([[4.0, -2.0]] * 4 + [[-4.0, 2.0]] * 4) + np.random.default_rng(0).normal(0, 0.1, (8, 2))
    shifts[7] = np.nan
    terms = group_terms(images, shifts, np.tile(0.01 * np.eye(2), (8, 1, 1)))
    assert [(term.kind, term.name, term.images) for term in terms] == [
        ("relative_orbit", "R064", 4),
        ("relative_orbit", "R107", 3),
        ("platform", "S2A", 4),
        ("platform", "S2B", 3),
    ]
    # a median of four has an error of 0.6 times their scatter
    assert terms[0].shift == pytest.approx((4, -2), abs=0.2) and 0.03 < terms[0].std[0] < 0.12
    # the platforms' images scatter by 4 m
    assert terms[2].std[0] > 1
