"""Scores are right, and the pages show the last measurement."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import GRID, REAL, make_raster, texture

from benchmarks import chips, correction, months, registration, warps
from benchmarks.accuracy import DEFAULT_JSON, OFFSETS, identity, measure, phase_correlation, sift
from benchmarks.deformations import Deformation, deformations, deformed, field
from benchmarks.exact_sampling import sampled
from benchmarks.pairs import date_pairs
from benchmarks.precision import Agreement, agreement, total
from benchmarks.readme import (
    ALL_DEFORMATIONS,
    ALL_TABLES,
    PAGES,
    TABLES,
    all_deformations,
    all_tables,
    blocks_of,
    fill_blocks,
    main_lines,
)
from benchmarks.scoring import Score, moved, score
from benchmarks.speed import Case, in_own_process
from benchmarks.speed_tables import REST
from benchmarks.speed_tables import table as speed_table
from benchmarks.warps import WARPS, Warp, warped, without_georeference
from s2match.core.matches import Matches, Provenance
from s2match.registration.evidence import required_inliers
from s2match.registration.model import apply_matrix
from s2match.settings import Settings

ORIGIN = Provenance("test", "cpu", 0.2)
RASTER = make_raster(texture(200, 200))


def matches(error_px: float, count: int = 100) -> Matches:
    xy0 = np.random.default_rng(0).uniform(10, 190, (count, 2))
    return Matches(xy0, xy0 - [3, 5] + [error_px, 0], np.linspace(0.5, 1, count), ORIGIN)


def test_right_matches_count_and_their_model_is_registered() -> None:
    target = moved(RASTER, (3, 5))
    assert target.size == (197, 195) and target.transform == GRID @ GRID.translation(3, 5)
    outcome = score(RASTER, target, matches(0.4))
    assert (outcome.matches, outcome.right) == (100, 100)
    assert outcome.above_08 == outcome.right_above_08 == 40
    assert outcome.median_px == pytest.approx(0.4) and outcome.corner_px == pytest.approx(0.4, abs=1e-3)
    assert outcome.within == [0, 100, 100, 100, 100]
    assert outcome.by_confidence[0] == outcome.by_confidence[1] and sum(outcome.by_confidence[0]) == 100
    assert outcome.registered


def test_wrong_matches_count_as_wrong_and_a_wrong_model_is_not_registered() -> None:
    outcome = score(RASTER, moved(RASTER, (3, 5)), matches(2.0))
    assert (outcome.matches, outcome.right, outcome.median_px) == (100, 0, None)
    assert outcome.corner_px == pytest.approx(2.0, abs=1e-3) and not outcome.registered
    assert score(RASTER, moved(RASTER, (3, 5)), matches(0.0, required_inliers(0) - 1)).corner_px is None


def test_precisions_agree_where_both_find_a_match() -> None:
    """Of 40 matches above 0.8, one is missing, one is off by 2 px, and the others by 0.1 px."""
    target, full = moved(RASTER, (3, 5)), matches(0.4)
    shift = np.full((100, 2), [0.1, 0.0])
    shift[70] = [2, 0]
    half = replace(full, xy1=full.xy1 + shift).subset(np.arange(100) != 80)
    outcome = agreement(RASTER, target, full, half)
    assert (outcome.sure, outcome.common, outcome.right, outcome.right_half) == (40, 38, 100, 98)
    assert outcome.moved_px == pytest.approx(0.1)
    assert total([outcome, outcome]) == Agreement(80, 76, 200, 196, outcome.moved_px)


def test_a_model_alone_is_scored_by_its_corners() -> None:
    target = moved(RASTER, (3, 5))
    outcome = score(RASTER, target, identity(RASTER, target))
    assert (outcome.matches, outcome.right, outcome.median_px) == (0, 0, None)
    assert outcome.corner_px == pytest.approx(34**0.5) and not outcome.registered
    assert score(RASTER, target, None).corner_px is None


@pytest.mark.parametrize("offset", [(3, 5), (2.4, 6.7)])
def test_phase_correlation_finds_a_shift_of_one_image(offset: tuple[float, float]) -> None:
    target = moved(RASTER, offset)
    assert score(RASTER, target, phase_correlation(RASTER, target)).corner_px == pytest.approx(0, abs=0.1)


def test_a_fraction_of_a_pixel_moves_the_image_with_its_georeference() -> None:
    """SIFT, which does not use the georeference, confirms it."""
    target = moved(RASTER, (2.5, 6.25))
    assert target.transform == GRID @ GRID.translation(2.5, 6.25) and target.size == (198, 194)
    outcome = score(RASTER, target, sift(RASTER, target))
    assert outcome.right > 30 and outcome.median_px is not None and outcome.median_px < 0.15
    assert outcome.slope is None


@pytest.mark.parametrize(("share", "slope"), [(1.0, 1.0), (0.5, 0.5), (0.0, 0.0)])
def test_slope_is_the_share_of_the_offset_from_the_grid_that_is_found(share: float, slope: float) -> None:
    target = moved(RASTER, (3, 2))
    xy0 = np.stack(np.meshgrid(np.arange(16, 180, 8), np.arange(16, 180, 8)), -1).reshape(-1, 2) + 0.5
    grid = xy0 - np.array([3, 2]) * share
    assert score(RASTER, target, Matches(xy0, grid, np.ones(len(xy0)), ORIGIN)).slope == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("warp", [WARPS[0], Warp((2.0, -3.0), 135, 1.4), Warp((2.25, -3.5), 30, 0.5)])
def test_warps_move_points_where_their_matrix_says(warp: Warp) -> None:
    x, y = np.meshgrid(np.arange(200) + 0.5, np.arange(200) + 0.5)
    point = np.array([[120.3, 80.6]])
    blob = 1 + 200 * np.exp(-((x - point[0, 0]) ** 2 + (y - point[0, 1]) ** 2) / (2 * 6**2))
    reference = without_georeference(make_raster(blob.round().astype(np.uint8)))
    target = warped(reference, warp)
    weight = np.where(target.image[..., 0] > 2, target.image[..., 0] - 1.0, 0)
    moved_xy = np.array([[(weight * x).sum(), (weight * y).sum()]]) / weight.sum()
    truth = warp.matrix(reference.size)
    assert np.linalg.norm(moved_xy - apply_matrix(truth, point)) < 0.05
    xy0 = np.random.default_rng(0).uniform(40, 160, (100, 2))
    points = Matches(xy0, apply_matrix(truth, xy0) + [0.3, 0], np.ones(100), ORIGIN)
    outcome = warps.row(reference, target, warp, points, Settings(geometry="similarity"))
    assert (outcome.matches, outcome.right) == (100, 100) and outcome.median_px == pytest.approx(0.3)
    assert outcome.corner_px == pytest.approx(0.3 / max(1, warp.scale), abs=1e-3)


def test_warps_are_counted_by_turn_and_scale() -> None:
    rows = [warps.Row("a", 90, 1.0, 100, 90, 0.1, 0.2, 4), warps.Row("b", 90, 1.0, 100, 90, 0.3, 0.6, 3)]
    rows += [warps.Row("a", 0, 2.0, 5, 0, None, None), warps.Row("b", 0, 2.0, 100, 90, 0.3, 0.5)]
    lines = warps.table(rows).splitlines()
    assert lines[2:] == [
        "| 90° | 1 | 2 | 1 | 0.40 px | 0.60 px | 0.20 px | 87.5% |",
        "| 0° | 2 | 2 | 1 | 0.50 px | none | 0.30 px | – |",
        "| **all** | | 4 | 2 | | | | 87.5% |",
    ]


@pytest.mark.slow
def test_speed_is_measured_of_stock_and_engine() -> None:
    timings = [in_own_process(Case("sentinel2", path, 256, 1)) for path in ("stock", "float32")]
    for timing in timings:
        assert timing.matches > 50 and timing.total_s == pytest.approx(sum(timing.stages_s.values()))
        assert set(timing.stages_s) == {"backbone", "transformer", "matching", REST} and timing.peak_gb > 0.2
    result = {
        "gemm_gflops": {"float32": 100.0, "bfloat16": 200.0},
        "half": "bfloat16",
        "gflop": {"sentinel2 256": {"backbone": 10.0}},
        "network": [asdict(timing) for timing in timings],
        "tiles": [],
    }
    assert f"({timings[0].total_s / timings[1].total_s:.1f}×)" in speed_table(result)


def test_corners_are_those_of_the_common_ground() -> None:
    """A rotation by 0.001 rad is off by 0.1 px at the corners of the common strip, by more at those of the tile."""
    target = replace(RASTER, grid=replace(RASTER.grid, transform=GRID @ GRID.translation(150, 0)))
    xy0 = np.random.default_rng(0).uniform([150, 0], [200, 200], (100, 2))
    xy1 = xy0 - [150, 0]
    xy1 = xy1 + 1e-3 * np.stack([-(xy0[:, 1] - 100), xy0[:, 0] - 175], axis=1)
    outcome = score(RASTER, target, Matches(xy0, xy1, np.ones(100), ORIGIN))
    assert outcome.corner_px == pytest.approx(0.103, abs=0.01)


def test_blocks_are_filled_empty_ones_too() -> None:
    text = "a\n<!-- x -->\n<!-- /x -->\n<!-- y -->\nold\nlines\n<!-- /y -->\nb\n"
    filled = fill_blocks(text, {"x": "new", "y": "two\nlines", "z": "of another page"})
    assert filled == "a\n<!-- x -->\nnew\n<!-- /x -->\n<!-- y -->\ntwo\nlines\n<!-- /y -->\nb\n"
    assert blocks_of(text) == {"x": "", "y": "old\nlines"} and blocks_of(filled) == {"x": "new", "y": "two\nlines"}
    with pytest.raises(ValueError, match="no content for blocks named y"):
        fill_blocks(text, {"x": "new"})


def test_pages_show_the_last_measurement() -> None:
    shown = [block for page in PAGES for block in blocks_of(page.read_text(encoding="utf-8")).items()]
    tables = {name: tables() for name, tables in TABLES.items()}
    (summary,) = {content for name, content in shown if name == "summary"}
    assert {name for name, _ in shown} == {*tables, "summary", "first_run"}
    tables |= {"summary": summary, "first_run": main_lines(summary)}
    assert all(content == tables[name] for name, content in shown)
    assert all_tables() == ALL_TABLES.read_text(encoding="utf-8")
    assert all_deformations() == ALL_DEFORMATIONS.read_text(encoding="utf-8")
    runs = json.loads(DEFAULT_JSON.read_text())["runs"]
    assert {tuple(run["offset_px"]) for run in runs} == set(OFFSETS)
    assert all(len(run["scores"]) == 16 and Score(**run["scores"][0]) for run in runs)


@pytest.mark.real
@pytest.mark.slow
def test_sift_registers_the_clear_pairs() -> None:
    scores = measure(REAL / "ukraine", sift, 512, (0, 0), "SIFT")
    assert len(scores) == 16
    assert sum(s.registered for s in scores) >= 7
    clear = scores[5]
    assert clear.right > 200 and clear.corner_px is not None and clear.corner_px < 0.3


@pytest.mark.parametrize("deformation", deformations(), ids=lambda d: d.name)
def test_known_deformations_are_what_they_say(deformation: Deformation) -> None:
    xy = np.random.default_rng(0).uniform(0, 400, (500, 2))
    moved_xy = deformation.forward(xy, (400, 400))
    assert np.allclose(deformation.backward(moved_xy, (400, 400)), xy, atol=1e-9)
    assert 0 < np.linalg.norm(moved_xy - xy, axis=1).max() <= 2.0
    image = texture(400, 400, seed=1, detail_px=3)
    moved = deformed(image, deformation)
    inner = (np.abs(xy - 200) < 180).all(axis=1)
    before, after = (sampled(of, at[None, inner]).astype(int) for of, at in ((image, xy), (moved, moved_xy)))
    # resampled once and twice
    assert np.abs(after - before).mean() < 1 < 2 * np.abs(sampled(moved, xy[None, inner]) - before).mean()


def test_refined_matches_recover_a_known_field_of_the_sample() -> None:
    """RMSE below 0.15 px over the scene; without registration it is 1.3 px."""
    pair = next(iter(date_pairs(Path("nowhere"))))
    before = registration.identity(pair, field())
    outcome = registration.measure(pair, field(), "LoFTR, refined", registration.methods("sentinel2")["LoFTR, refined"])
    assert outcome.model == "field" and outcome.coverage == 1 and outcome.rmse_px is not None
    assert outcome.rmse_px < 0.15 < 1 < (before.rmse_px or 0)
    assert "| field 0.3 to 2 px |" in registration.table([before, outcome])
    counted = registration.overview([before, outcome])
    assert "| identity | – | 0 of 1 |" in counted and "| LoFTR, refined | 1 of 1 | 1 of 1 |" in counted


def test_chips_are_moved_by_what_they_say() -> None:
    """The target shows the ground of the reference at the true shift."""
    side, scene = 80, make_raster(texture(200, 180, seed=2, detail_px=3))
    endless = chips.scene_chips([scene, make_raster(texture(60, 60))], side)
    for chip in (next(endless), next(endless)):
        assert chip.reference.size == chip.target.size == (side, side)
        grey, other = (raster.image[..., 0].astype(float)[4:-4, 4:-4] for raster in (chip.reference, chip.target))
        down, right = np.gradient(grey)
        slopes = np.stack([right.ravel(), down.ravel()], axis=1)
        shift_px = np.linalg.lstsq(slopes, (grey - other).ravel(), rcond=None)[0]
        assert np.abs(shift_px - chip.shift_px).max() < 0.1
    outcome = chips.Outcome("one scene", side, True, 2, [0.02, 0.04])
    shown = chips.table([outcome, replace(outcome, refined=False, errors_px=[])])
    assert "| one scene | 80 px | 2 of 2 | 0.03 px | 0.04 px | 0 of 2 | – | – |" in shown


def test_months_are_explained_by_one_offset_each() -> None:
    """The other pairs replace a missing one; a contradicting pair has a residual."""
    true = np.array([[0.0, 0.0], [0.1, -0.1], [1.0, 0.5], [0.0, 0.0], [0.0, 0.1]])
    pairs = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    # the second of the three places is the middle
    bend = np.array([[0.2, 0.0], [0.0, 0.0], [-0.2, 0.1]])
    exact = np.tile(1e-4 * np.eye(2), (3, 1, 1))
    moved = {(a, b): months.Shift(true[b] - true[a] + (b - a) * bend, exact) for a, b in pairs}
    outcome = months.adjust("test", 5, moved | {(0, 1): None})
    assert (outcome.registered, outcome.pairs) == (9, 10) and outcome.left_px < 1e-9
    assert np.allclose(outcome.offset_px, true - np.median(true, axis=0))
    wrong = months.adjust("test", 5, moved | {(0, 1): months.Shift(true[1] + bend + 1.0, exact)})
    assert wrong.left_px > 0.2 and wrong.inside is not None and wrong.inside < 0.5
    shown = months.table(["Jan", "Feb", "Mar", "Apr", "May"], [outcome])
    assert "| Mar | +1.00, +0.50 px |" in shown and "| 9 of 10 |" in shown


def test_regions_of_months_hold_as_often_as_they_say() -> None:
    """Errors with the covariances that the pairs state lie within their 95 % regions 95 times of 100."""
    rng = np.random.default_rng(0)
    pairs = [(a, b) for a in range(12) for b in range(a + 1, 12)]
    inside = []
    for _ in range(40):
        sizes = rng.uniform(0.01, 0.1, len(pairs))
        shifts = {
            pair: months.Shift(rng.normal(0, size, (3, 2)), np.tile(size**2 * np.eye(2), (3, 1, 1)))
            for pair, size in zip(pairs, sizes, strict=True)
        }
        inside.append(months.adjust("test", 12, shifts).inside or 0)
    assert 0.935 < np.mean(inside) < 0.965


@pytest.mark.parametrize("inverted", [False, True])
def test_measures_of_a_right_and_of_a_wrong_correction(inverted: bool) -> None:
    """Structural similarity calls the wrong one better if the contrast is inverted."""
    image = np.ma.masked_array(texture(400, 400, detail_px=10).astype(np.float32))
    pair = image, 255 - image if inverted else image
    assert correction.better(pair, (4, 0), wrong=False) == (not inverted, True)
    assert correction.better(pair, (0, 4), wrong=True) == (inverted, False)
    (rates,) = (rates for rates in correction.measure("textures", [pair]) if rates.moved_px == 1)
    assert (rates.count, rates.information_right, rates.information_wrong) == (2, 2, 0)
    assert (rates.similarity_right, rates.similarity_wrong) == ((0, 2) if inverted else (2, 0))
    assert "| textures | 1 px | " in correction.table([rates])
