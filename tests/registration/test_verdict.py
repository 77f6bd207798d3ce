"""The verdict on a pair."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import GRID, UTM

from s2match.core.grid import Grid
from s2match.core.matches import Matches, Provenance
from s2match.core.scene import scene_of
from s2match.outputs.headline import headline
from s2match.registration.fit import fit
from s2match.registration.model import Registration
from s2match.registration.options import FitOptions
from s2match.registration.uncertainty import REFINED_SYSTEMATIC_PX, SYSTEMATIC_PX, season_error
from s2match.registration.verdict import Decision, Verdict, in_words, judge

REFERENCE = Grid((800, 600), GRID, UTM, (1600, 1200), scene_of(Path("T36UXA_20180820T083601_TCI.jp2")))
BARE = replace(REFERENCE, transform=None, crs=None)


def seen(shift_px: tuple[float, float], count: int = 400, turn: float = 0.0) -> Matches:
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(0, 1, (count, 2)) * REFERENCE.size
    turned = (xy0 - [400, 300]) @ np.array([[0, turn], [-turn, 0]])
    return Matches(
        xy0, xy0 + turned + shift_px + rng.normal(0, 0.1, xy0.shape), np.ones(count), Provenance("test", "cpu", 0.8)
    )


def judged(matches: Matches, reference: Grid = REFERENCE, target: Grid = REFERENCE) -> Verdict:
    fitted = fit(matches)
    return judge(reference, target, matches, fitted if isinstance(fitted, Registration) else None)


def test_a_displacement_within_the_noise_is_registered_already() -> None:
    found = judged(seen((0, 0)))
    assert found.decision is Decision.REGISTERED and found.displacement is not None
    # pixels of 10 m, and the 95 % quantile of the length of an error
    assert found.displacement.noise == pytest.approx(10 * 2.45 * SYSTEMATIC_PX, rel=0.2)
    assert found.displacement.shift_error == pytest.approx(10 * 1.96 * SYSTEMATIC_PX, rel=0.2)
    assert in_words(found).startswith("already registered: the shift is 0.")
    assert in_words(found).endswith(" (95 %), not significant at 1 %")


@pytest.mark.parametrize(("shift_px", "decision"), [(0.25, Decision.REGISTER), (0.15, Decision.REGISTERED)])
def test_refined_matches_tell_smaller_displacements_from_none(shift_px: float, decision: Decision) -> None:
    matches = seen((shift_px, 0))
    refined = replace(matches, covariance_px2=np.tile(0.1**2 * np.eye(2), (len(matches), 1, 1)))
    found = judged(refined)
    assert found.decision is decision and found.displacement is not None
    expected_px = np.hypot(REFINED_SYSTEMATIC_PX, season_error(1, in_metres=False))
    assert found.displacement.noise == pytest.approx(10 * 2.45 * expected_px, rel=0.1)
    assert judged(matches).decision is Decision.REGISTERED


def test_the_error_of_the_season_is_at_most_some_metres() -> None:
    """Shadows are as long on the ground whatever the pixels are: coarse ones see them as a smaller part of a pixel."""
    matches = seen((0, 0))
    refined = replace(matches, covariance_px2=np.tile(0.1**2 * np.eye(2), (len(matches), 1, 1)))
    coarse = replace(REFERENCE, transform=GRID @ Affine.scale(10), native_size=REFERENCE.size)
    found = judged(refined, coarse, coarse)
    assert found.displacement is not None
    # 0.07 px would be 7 m; the model has an error of its own of up to 0.03 px
    assert 2.45 * 3.0 < found.displacement.noise < 2.45 * np.hypot(3.0, 100 * 0.03)


def test_an_interval_without_0_does_not_contradict_the_verdict() -> None:
    """A shift of 2.4 standard deviations along one axis: 0 is not in its interval, but the test of both is at 1 %."""
    matches = seen((0.18, 0))
    found = judged(replace(matches, covariance_px2=np.tile(0.1**2 * np.eye(2), (len(matches), 1, 1))))
    assert found.decision is Decision.REGISTERED and found.displacement is not None
    assert abs(found.displacement.shift[0]) > found.displacement.shift_error
    assert in_words(found).endswith(
        " (95 % for each axis alone); for both axes together it is not significant at 1 %, which decides"
    )
    assert headline(found).endswith(", not significant at 1 %")
    assert "decides" not in in_words(judged(seen((0, 0)))) and "1 %" not in headline(judged(seen((0, 0))))


def test_noise_that_hides_a_native_pixel_asks_for_native_pixels() -> None:
    """At a tenth of the resolution of the files half a native pixel is far below the noise."""
    reduced = replace(REFERENCE, native_size=(8000, 6000))
    found = judged(seen((0, 0)), reduced, reduced)
    assert found.decision is Decision.INDISTINCT and found.displacement is not None
    assert in_words(found).startswith("not distinguishable from the noise at this size: errors of up to 2.")
    assert in_words(found).endswith("native px) are possible (95 %); match native pixels (--image_size native)")
    assert judged(seen((3, 0)), reduced, reduced).decision is Decision.REGISTER


def test_a_target_of_coarser_pixels_has_no_more_pixels_to_match() -> None:
    fine, coarse = (replace(REFERENCE, native_size=size) for size in ((8000, 6000), REFERENCE.size))
    for pair in ((fine, coarse), (coarse, fine)):
        assert judged(seen((0, 0), 40), *pair).decision is not Decision.INDISTINCT
    found = judged(seen((0, 0)), fine, coarse)
    assert found.decision is Decision.UNKNOWN
    assert in_words(found).endswith("native px) are possible (95 %)")


@pytest.mark.parametrize(
    ("shift_px", "words"), [((3, 1), "further east and 10.0 ± 2.0 m further south"), ((-3, -1), "west")]
)
def test_a_displacement_above_the_noise_is_to_be_registered(shift_px: tuple[float, float], words: str) -> None:
    found = judged(seen(shift_px))
    assert found.decision is Decision.REGISTER and found.displacement is not None
    assert found.displacement.shift == pytest.approx((10 * shift_px[0], -10 * shift_px[1]), abs=0.2)
    assert found.displacement.rms == pytest.approx(found.displacement.largest, rel=0.01)
    assert in_words(found).startswith("register with this translation: the target shows the ground ")
    # native pixels are half as large
    assert words in in_words(found) and "(6.3 native px) in all" in in_words(found)


@pytest.mark.parametrize("place", [GRID, None])
def test_enlarged_images_have_the_noise_of_their_files(place: Affine | None) -> None:
    """The matched pixels are half as large as those of the files, or as large."""
    base = replace(REFERENCE, transform=place, crs=None if place is None else UTM)
    grids = replace(base, native_size=(400, 300)), replace(base, native_size=(800, 600))
    native = {grid.native_size[0]: judged(seen((0, 0)), grid, grid).displacement for grid in grids}
    unit = 1.0 if place is None else 10.0
    assert native[400] is not None and native[800] is not None
    if place is not None:
        assert native[400].noise == pytest.approx(2 * unit * 2.45 * SYSTEMATIC_PX, rel=0.2)
        assert judged(seen((0, 0)), *grids).displacement == replace(native[400], native_pixel=20.0)
    else:
        assert native[400].noise == pytest.approx(unit * 2.45 * SYSTEMATIC_PX, rel=0.2)
    assert native[800].noise == pytest.approx(unit * 2.45 * SYSTEMATIC_PX, rel=0.2)


def test_a_shift_by_the_georeference_is_no_displacement() -> None:
    target = replace(REFERENCE, transform=GRID @ Affine.translation(-30, 20))
    assert judged(seen((30, -20)), target=target).decision is Decision.REGISTERED
    assert judged(seen((0, 0)), target=target).decision is Decision.REGISTER


def test_a_rotation_is_judged_over_all_of_the_common_ground() -> None:
    found = judged(seen((0, 0), turn=0.005)).displacement
    assert found is not None and found.largest == pytest.approx(25, abs=1) and found.rms == pytest.approx(15, abs=1)
    assert np.hypot(*found.shift) < 1
    assert judged(seen((0, 0), turn=0.005)).decision is Decision.REGISTER


def test_few_matches_are_not_enough() -> None:
    found = judged(seen((0, 0), count=11))
    assert found.decision is Decision.UNKNOWN and found.displacement is None
    assert in_words(found) == (
        "not enough evidence: only the georeference relates the images; the matches do not confirm it"
    )
    assert in_words(judged(seen((0, 0), count=11), BARE, BARE)) == (
        "not enough evidence: neither the matches nor a georeference relate the images"
    )


def test_an_uncertain_model_is_not_enough_evidence() -> None:
    """A dozen matches in a corner do not determine a rotation of the whole image."""
    matches = seen((0, 0), count=2000)
    corner = matches.subset((matches.xy0 < 60).all(axis=1))
    registration = fit(corner, FitOptions("affine"))
    assert len(corner) >= 12 and isinstance(registration, Registration)
    native = replace(REFERENCE, native_size=REFERENCE.size)
    found = judge(native, native, corner, registration)
    assert found.displacement is not None and found.displacement.noise > 10 * 2.45 * 2 * SYSTEMATIC_PX
    assert found.decision is Decision.UNKNOWN
    assert in_words(found).startswith("not enough evidence: errors of up to ") and in_words(found).endswith("(95 %)")


def test_without_georeference_equal_grids_are_compared_pixel_by_pixel() -> None:
    same = judged(seen((0, 0)), BARE, BARE)
    assert same.decision is Decision.REGISTERED and "the shift is 0.0 ± 0.4 px " in in_words(same)
    moved = judged(seen((3, 1)), BARE, BARE)
    assert moved.decision is Decision.REGISTER and moved.displacement is not None
    assert moved.displacement.shift == pytest.approx((6, 2), abs=0.05)
    assert "6.0 ± 0.4 px further right and 2.0 ± 0.4 px further down" in in_words(moved)


@pytest.mark.parametrize("target", [replace(BARE, size=(700, 600)), replace(BARE, native_size=(3200, 2400))])
def test_without_georeference_other_sizes_are_never_registered_already(target: Grid) -> None:
    found = judged(seen((0, 0)), BARE, target)
    assert found.decision is Decision.REGISTER and found.displacement is None
    assert in_words(found) == (
        "register with this translation: without georeference there is nothing to compare it with"
    )
