"""Before and after: from the original target and the corrected file, on one grid, and said when it did not help."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, Writer, texture

from s2match.core.grid import Grid
from s2match.core.mask import Mask, Masking
from s2match.core.matches import Matches, Provenance
from s2match.core.raster import Patch
from s2match.core.scene import scene_of
from s2match.core.window import Window
from s2match.correction.decision import CorrectionOutcome, decide
from s2match.correction.evaluation import Agreement, Improvement, measure_improvement
from s2match.correction.request import CorrectionRequest, correct
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_whole, read_window
from s2match.matching.tiled import previews_of
from s2match.outputs.correction_text import correction_lines, not_written_line, warning_line
from s2match.outputs.facts import correction_facts
from s2match.registration.fit import fit
from s2match.registration.options import FitOptions
from s2match.registration.verdict import Decision, Verdict
from s2match.result import PairResult, assemble
from s2match.settings import Settings

SIDE = 300
MOVED = Verdict(Decision.REGISTER, "translation")


def matches_of(reference: Grid, by: tuple[float, float]) -> Matches:
    """A lattice of right matches of a target that shows the ground so many pixels further right and down."""
    random = np.random.default_rng(0)
    xy = random.uniform(20, np.array(reference.size) - 20, (400, 2))
    noise = random.normal(0, 0.1, xy.shape)
    return Matches(xy, xy + by + noise, np.ones(len(xy)), Provenance("known", "cpu", 0.5))


@pytest.fixture
def pair(write_image: Writer) -> Callable[..., PairResult]:
    """A reference and a target whose georeference is wrong, matched."""

    def make(
        by: tuple[int, int] = (3, 5), transform: Affine | None = GRID, size: tuple[int, int] | None = None
    ) -> PairResult:
        scene = texture(SIDE + 40, SIDE + 40, seed=1, detail_px=3)
        cut = slice(20, 20 + SIDE)
        reference = write_image("reference.tif", scene[cut, cut])
        seen = scene[20 - by[1] : 20 - by[1] + SIDE, 20 - by[0] : 20 - by[0] + SIDE]
        target = write_image("target.tif", seen, transform)
        grids = grids_of(scene_of(reference), scene_of(target), size)
        scale = grids[0].size[0] / SIDE
        matches = matches_of(grids[0], (by[0] * scale, by[1] * scale))
        return assemble(*grids, previews_of(*grids), matches, fit(matches, FitOptions("translation")), Settings())

    return make


def outcome_of(result: PairResult, improvement: Improvement | None, force: bool = False) -> CorrectionOutcome:
    return CorrectionOutcome(decide(result.verdict, improvement, force), improvement)


def right(reference: Grid, corrected: Grid) -> Matches:
    return matches_of(reference, (0.0, 0.0))


@pytest.mark.parametrize("size", [None, (150, 150)])
@pytest.mark.parametrize("resampling", ["cubic", None])
def test_a_correction_that_helps(
    pair: Callable[..., PairResult], tmp_path: Path, size: tuple[int, int] | None, resampling: str | None
) -> None:
    result = pair(size=size)
    order = CorrectionRequest(tmp_path / "out.tif", resampling=resampling)
    correct(result, order)
    found = measure_improvement(result, order.out, right)
    assert found is not None and found.better
    assert found.before.matches > 300 and found.before.east_m == pytest.approx(30, abs=1)
    assert found.before.north_m == pytest.approx(-50, abs=1) and found.before.rmse_m == pytest.approx(58.3, abs=2)
    assert abs(found.after.east_m) < 1 and found.after.rmse_m < 4 and found.after.ce90_m < 6
    assert found.before.similarity < 0.9 and found.after.similarity > 0.98
    assert found.after.mutual_information > found.before.mutual_information + 1
    reference, before, after = found.previews
    assert {raster.size for raster in found.previews} == {result.reference.size}
    assert {raster.transform for raster in found.previews} == {result.reference.transform}
    inner = (slice(20, -20), slice(20, -20))
    off = [np.abs(reference.image[inner].astype(int) - raster.image[inner]).mean() for raster in (before, after)]
    assert off[1] < 0.1 * off[0]
    outcome = outcome_of(result, found)
    assert warning_line(outcome) is None and not_written_line(order, outcome) is None
    lines = correction_lines(order, outcome)
    assert lines[0].startswith(f"corrected     {order.out}") and "--force" not in lines[0]
    assert lines[2].split() == ["inliers", str(found.before.matches), str(found.after.matches)]
    facts = correction_facts(order, outcome)["correction"]
    assert facts["better"] is True and facts["kept"] is True and facts["code"] == "better"
    assert facts["after"]["similarity"] == found.after.similarity


def test_rasters_are_measured_as_their_grids_are(pair: Callable[..., PairResult], tmp_path: Path) -> None:
    result, out = pair(size=(150, 150)), tmp_path / "out.tif"
    assert isinstance(result.reference, Grid) and isinstance(result.target, Grid)
    rasters = replace(result, reference=read_whole(result.reference), target=read_whole(result.target))
    correct(rasters, CorrectionRequest(out))
    of_grids, of_rasters = (measure_improvement(one, out, right) for one in (result, rasters))
    assert of_grids is not None and of_rasters is not None
    assert (of_rasters.before, of_rasters.after) == (of_grids.before, of_grids.after)


def test_a_correction_that_does_not_help_is_said(pair: Callable[..., PairResult], tmp_path: Path) -> None:
    """The model is wrong: it moves a target that lies where it should."""
    result = pair(by=(0, 0))
    wrong = matches_of(result.reference, (4.0, 0.0))
    result = replace(result, registration=fit(wrong, FitOptions("translation")))
    assert result.registration is not None
    order = CorrectionRequest(tmp_path / "out.tif")
    correct(result, order)
    found = measure_improvement(result, order.out, lambda reference, corrected: matches_of(reference, (-4.0, 0.0)))
    assert found is not None and not found.better
    assert found.before.similarity > 0.99 > found.after.similarity
    refused, forced = (outcome_of(result, found, force) for force in (False, True))
    assert warning_line(refused) is None
    line = not_written_line(order, refused)
    assert line is not None and line.startswith(f"not written   {order.out}: the corrected image does not agree better")
    assert "RMSE" in line and "mutual info" in line and line.endswith("--force overrides this")
    facts = correction_facts(order, refused)["correction"]
    assert (facts["kept"], facts["code"], facts["better"], facts["files"]) == (False, "not_better", False, [])
    line = warning_line(forced)
    assert line is not None and line.startswith("warning       the correction did not make it better: RMSE")
    assert not_written_line(order, forced) is None and "on --force" in correction_lines(order, forced)[0]
    facts = correction_facts(order, forced)["correction"]
    assert (facts["kept"], facts["forced"], facts["better"], facts["files"]) == (True, True, False, ["out.tif"])


def test_points_of_a_field_are_moved_to_where_the_corrected_file_shows_them(
    pair: Callable[..., PairResult], tmp_path: Path
) -> None:
    """After the correction only the noise of the points is left, some pixels of bending are not."""
    result = pair()
    matches = result.matches
    wave = 2 * np.stack([np.sin(matches.xy0[:, 1] / 50), np.cos(matches.xy0[:, 0] / 50)], axis=1)
    matches = replace(matches, xy1=matches.xy1 + wave)
    registration = fit(matches, FitOptions("field"))
    assert registration is not None and registration.field is not None
    np.testing.assert_allclose(registration.invert(registration.apply(matches.xy0)), matches.xy0, rtol=0, atol=1e-7)
    result = assemble(result.reference, result.target, result.previews, matches, registration, Settings())
    correct(result, CorrectionRequest(tmp_path / "out.tif"))
    found = measure_improvement(result, tmp_path / "out.tif", None)
    assert found is not None and found.same_points
    assert found.before.matches == found.after.matches > 380
    assert found.before.rmse_m > 55 and found.after.rmse_m < 2
    again = replace(found, same_points=False)
    for improvement, words in ((found, "the same before and after"), (again, "matched again")):
        outcome = outcome_of(result, improvement)
        assert words in correction_lines(CorrectionRequest(tmp_path / "out.tif"), outcome)[-1]


def test_masked_ground_does_not_count(pair: Callable[..., PairResult], tmp_path: Path, write_image: Writer) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, : SIDE // 2] = 1
    result = pair()
    assert isinstance(result.reference, Grid)
    masking = Masking((Mask(write_image("half_mask.tif", mask)),))
    result = replace(result, reference=replace(result.reference, masking=masking))
    order = CorrectionRequest(tmp_path / "out.tif")
    correct(result, order)
    found = measure_improvement(result, order.out, right)
    assert found is not None and 120 < found.after.matches < 250 and found.better
    assert not found.previews[0].valid[:, : SIDE // 2].any()


def test_large_images_are_measured_in_windows(
    pair: Callable[..., PairResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = pair()
    order = CorrectionRequest(tmp_path / "out.tif")
    correct(result, order)
    whole = measure_improvement(result, order.out, right)
    monkeypatch.setattr("s2match.correction.evaluation.ONE_PASS_PX", 128)
    monkeypatch.setattr("s2match.correction.evaluation._PART_PX", 100)
    parts = measure_improvement(result, order.out, right)
    assert whole is not None and parts is not None
    assert parts.after.similarity == pytest.approx(whole.after.similarity, abs=2e-3)
    assert parts.before.mutual_information == pytest.approx(whole.before.mutual_information, abs=0.05)
    assert {raster.size for raster in parts.previews} == {(128, 128)}


def test_of_large_images_as_much_is_measured_as_was_matched(
    pair: Callable[..., PairResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = pair()
    order = CorrectionRequest(tmp_path / "out.tif")
    correct(result, order)
    monkeypatch.setattr("s2match.correction.evaluation.ONE_PASS_PX", 128)
    pixels: list[int] = []

    def read(grid: Grid, window: Window) -> Patch:
        pixels.append(window.width * window.height)
        return read_window(grid, window)

    monkeypatch.setattr("s2match.correction.evaluation.read_window", read)
    found = []
    for coverage in (1.0, 0.3):
        pixels.clear()
        one = measure_improvement(replace(result, settings=result.settings.but(coverage=coverage)), order.out, right)
        assert one is not None
        found.append((one, sum(pixels)))
    (whole, all_pixels), (part, some_pixels) = found
    assert some_pixels < 0.75 * all_pixels
    assert part.after.similarity == pytest.approx(whole.after.similarity, abs=0.02)
    assert part.better and part.after.matches == whole.after.matches


def test_nothing_is_known_without_georeference(pair: Callable[..., PairResult], tmp_path: Path) -> None:
    result = pair(transform=None)
    order = CorrectionRequest(tmp_path / "out.tif")
    correct(result, order)
    assert measure_improvement(result, order.out, right) is None
    outcome = outcome_of(result, None)
    assert outcome.decision.kept and warning_line(outcome) is None
    assert "unknown: an image has no georeference" in correction_lines(order, outcome)[1]


def test_no_match_after_is_no_improvement() -> None:
    before = Agreement(50, 1.0, 2.0, 3.0, 4.0, 0.5, 1.0)
    after = Agreement(0, math.nan, math.nan, math.nan, math.nan, 0.6, 1.1)
    found = Improvement(before, after, ())  # type: ignore[arg-type]
    order, outcome = CorrectionRequest(Path("out.tif")), CorrectionOutcome(decide(MOVED, found), found)
    assert not found.better and "RMSE 3.00 m before, unknown after" in (not_written_line(order, outcome) or "")
    facts = correction_facts(order, outcome)["correction"]
    assert facts["after"]["rmse_m"] is None and facts["after"]["matches"] == 0
