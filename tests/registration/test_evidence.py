"""Small common ground registers with enough weight of inliers, or the failure has a reason."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GRID, Writer, make_raster, texture

import model_inference
from s2match.core.matches import Matches, Provenance
from s2match.registration.evidence import (
    CommonGround,
    FitFailure,
    Reason,
    common_ground,
    count_patches,
    evidence_weight,
)
from s2match.registration.fit import fit
from s2match.registration.model import Registration

ORIGIN = Provenance("test", "cpu", 0.2)
SHIFT = np.array([3.0, -5.0])


def on_cells(columns: range, rows: range, confidence: float = 0.95, raw_residual_px: float = 0.3) -> Matches:
    """One match in each of the cells of 8 px, fitted to its neighbours."""
    x, y = np.meshgrid(np.array(columns), np.array(rows))
    xy0 = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * 8
    count = len(xy0)
    noise = np.random.default_rng(0).normal(0, 0.05, xy0.shape)
    return Matches(xy0, xy0 + SHIFT + noise, np.full(count, confidence), ORIGIN, np.full(count, raw_residual_px))


def square(side_px: int) -> CommonGround:
    everywhere = np.ones((side_px, side_px), np.bool_)
    return CommonGround((side_px, side_px), (side_px, side_px), everywhere, everywhere)


@pytest.mark.parametrize("side_px", [64, 96, 128, 160, 176])
def test_small_common_ground_with_matches_throughout_registers(side_px: int) -> None:
    found = fit(on_cells(range(1, side_px // 8 - 1), range(1, side_px // 8 - 1)), ground=square(side_px))
    assert isinstance(found, Registration) and found.model == "translation"
    np.testing.assert_allclose(found.apply(np.array([[20.0, 30.0]])), [[23, 25]], atol=0.05)


@pytest.mark.parametrize("side_px", [64, 96, 128, 160, 176])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_a_cluster_on_small_common_ground_does_not_register(side_px: int, confidence: float) -> None:
    """As large as the largest clusters of wrong matches: 45 cells of weak matches, or 25 of confident ones."""
    rows = 9 if confidence < 0.8 and side_px > 96 else 5
    found = fit(on_cells(range(1, 6), range(1, 1 + rows), confidence, raw_residual_px=0.6), ground=square(side_px))
    assert isinstance(found, FitFailure) and found.reason is Reason.ONE_CLUSTER


def test_large_common_ground_needs_five_patches() -> None:
    block = on_cells(range(1, 21), range(1, 21))
    assert isinstance(fit(block, ground=square(160)), Registration)
    found = fit(block, ground=square(1098))
    assert isinstance(found, FitFailure) and found.reason is Reason.ONE_CLUSTER and found.inliers == 400
    assert isinstance(fit(on_cells(range(1, 60), range(1, 21)), ground=square(1098)), Registration)


def test_masked_or_unshared_ground_is_not_common() -> None:
    """Only a corner of 160 px of a large image is valid, or covered by the other image."""
    block = on_cells(range(1, 19), range(1, 19))
    valid = np.zeros((600, 600), np.bool_)
    valid[:160, :160] = True
    corner, whole = make_raster(texture(600, 600), valid=valid), make_raster(texture(600, 600))
    chip = make_raster(texture(160, 160))
    for pair in ((corner, whole), (whole, corner), (whole, chip)):
        assert isinstance(fit(block, ground=common_ground(*pair)), Registration)
    assert isinstance(fit(block, ground=common_ground(whole, whole)), FitFailure)


def test_a_rotation_of_small_common_ground_registers() -> None:
    matches = on_cells(range(1, 19), range(1, 19))
    turn = np.array([[0.0, 0.06], [-0.06, 0.0]])
    turned = Matches(
        matches.xy0, matches.xy1 + (matches.xy0 - 80) @ turn, matches.confidence, ORIGIN, matches.raw_residual_px
    )
    found = fit(turned, ground=square(160))
    assert isinstance(found, Registration) and found.model == "similarity"


@pytest.mark.parametrize(
    ("matches", "reason"),
    [
        (on_cells(range(1, 1), range(1, 1)), Reason.HARDLY_ANY_MATCHES),
        (on_cells(range(1, 6), range(1, 3)), Reason.HARDLY_ANY_MATCHES),
        (on_cells(range(1, 7), range(1, 7)), Reason.ONE_CLUSTER),
    ],
)
def test_a_failure_says_why(matches: Matches, reason: Reason) -> None:
    found = fit(matches, ground=square(320))
    assert isinstance(found, FitFailure)
    assert (found.reason, found.matches) == (reason, len(matches))


def test_matches_that_disagree_and_models_that_mirror_or_scale() -> None:
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, 1000, (300, 2))
    wrong = fit(Matches(xy0, rng.uniform(0, 1000, (300, 2)), np.ones(300), ORIGIN))
    assert isinstance(wrong, FitFailure) and wrong.reason is Reason.TOO_FEW_AGREE
    assert wrong.inliers < wrong.required == 42
    scaled = fit(Matches(xy0, 3 * xy0, np.ones(300), ORIGIN))
    assert isinstance(scaled, FitFailure) and scaled.reason is Reason.IMPLAUSIBLE and not scaled.mirrored
    assert scaled.scale == pytest.approx((3, 3), rel=1e-3) and scaled.inliers == 300
    mirrored = fit(Matches(xy0, xy0 * [-1, 1] + [1000, 0], np.ones(300), ORIGIN))
    assert isinstance(mirrored, FitFailure) and mirrored.reason is Reason.IMPLAUSIBLE and mirrored.mirrored


def run(tmp_path: Path, reference: Path, target: Path, *options: object) -> tuple[int, dict[str, Any]]:
    written = tmp_path / "facts.json"
    arguments = ["--images", reference, target, "--image_size", "native", "--output", tmp_path / "r.png", "--no-show"]
    code = model_inference.main([str(word) for word in (*arguments, "--overwrite", "--json", written, *options)])
    return code, json.loads(written.read_text())


@pytest.mark.parametrize("side_px", [72, 100, 160])
def test_small_images_register_with_the_right_shift(tmp_path: Path, write_image: Writer, side_px: int) -> None:
    """The target shows everything 30 m further east and 20 m further north than it lies."""
    scene = texture(240, 240, seed=4, detail_px=2.0)
    reference = write_image("a.tif", scene[20 : 20 + side_px, 20 : 20 + side_px])
    target = write_image("b.tif", scene[22 : 22 + side_px, 17 : 17 + side_px])
    code, facts = run(tmp_path, reference, target)
    assert code == 0 and facts["registration_failure"] is None
    assert facts["registration"]["model"] == "translation"
    found = facts["displacement"]
    assert abs(found["mean_east_m"] - 30) < 3 and abs(found["mean_north_m"] - 20) < 3


@pytest.mark.parametrize("confidence", [0.2, 0.8])
def test_small_images_of_two_places_do_not(tmp_path: Path, write_image: Writer, confidence: float) -> None:
    reference = write_image("a.tif", texture(160, 160, seed=4, detail_px=2.0))
    target = write_image("b.tif", texture(160, 160, seed=5, detail_px=2.0), GRID)
    code, facts = run(tmp_path, reference, target, "--confidence", confidence)
    assert code == model_inference.NO_REGISTRATION and facts["registration"] is None
    assert facts["registration_failure"]["code"] in ("hardly_any_matches", "too_few_agree", "one_cluster")


@pytest.mark.parametrize(("side_px", "raw_residual_px"), [(64, 0.3), (96, 0.3), (64, 0.9)])
def test_images_enlarged_for_the_network_have_the_evidence_of_what_it_saw(side_px: int, raw_residual_px: float) -> None:
    """Cells, patches and raw residuals count in pixels of the network."""
    seen = on_cells(range(1, 2 * side_px // 8 - 1), range(1, 2 * side_px // 8 - 1), raw_residual_px=raw_residual_px)
    small = seen.reduced(2)
    inliers = np.ones(len(seen), np.bool_)
    assert small.xy0.max() < side_px and count_patches(small, inliers) == count_patches(seen, inliers) > 1
    assert evidence_weight(small, inliers) == pytest.approx(evidence_weight(seen, inliers))
    outcomes = [fit(seen, ground=square(2 * side_px)), fit(small, ground=square(side_px))]
    assert all(isinstance(outcome, Registration) for outcome in outcomes)


def test_a_cluster_in_an_enlarged_image_does_not_register() -> None:
    cluster = on_cells(range(1, 6), range(1, 6), raw_residual_px=0.6).reduced(2)
    found = fit(cluster, ground=square(64))
    assert isinstance(found, FitFailure) and found.reason is Reason.ONE_CLUSTER
