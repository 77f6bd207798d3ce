"""Large images in windows: the matches of one pass, without seams, for any offset between the images."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from conftest import GRID, Writer, texture
from numpy.typing import NDArray

import model_inference
from s2match import Settings
from s2match.core.grid import Grid
from s2match.core.matches import Matches
from s2match.core.scene import scene_of
from s2match.errors import ImageSizeError, OptionError
from s2match.io.pair_grid import grids_of
from s2match.io.reader import read_grid, read_raster
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import EncodedImage, LoftrMatcher
from s2match.matching import tiled
from s2match.matching.known_position import aligned_prior
from s2match.matching.search_prior import SearchPrior
from s2match.matching.single_pass import match_rasters
from s2match.matching.tile_plan import WindowPair, plan
from s2match.matching.tiled import match_grids, previews_of
from s2match.pipeline import match_scenes
from s2match.registration import estimators

pytestmark = pytest.mark.usefixtures("coarse_figures")

# Three columns and two rows of windows
WIDTH, HEIGHT = 448, 320
LONGEST_PX = 256
SHIFT = (21, -13)


@pytest.fixture(scope="module")
def matcher() -> LoftrMatcher:
    return LoftrMatcher(load_network("sentinel2"), torch.device("cpu"))


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled, "plan", partial(plan, longest_px=LONGEST_PX))
    monkeypatch.setattr(tiled, "ONE_PASS_PX", 400)
    monkeypatch.setattr(tiled, "REDUCED_SIDE_PX", 224)


def pair_of(
    write_image: Writer, georeference: str = "true", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> tuple[Grid, Grid]:
    """Two images of one scene, SHIFT px apart; their georeference is right, wrong or missing."""
    width, height = size
    scene = texture(width + 60, height + 60, seed=5, detail_px=2.5)
    place = {"true": GRID @ Affine.translation(*SHIFT), "wrong": GRID, "none": None}[georeference]
    x, y = 30 + SHIFT[0], 30 + SHIFT[1]
    grids = []
    for name, image, transform in (
        ("T36UXA_20180820T083601_TCI.jp2", scene[30 : 30 + height, 30 : 30 + width], GRID if place else None),
        ("T36UXA_20190606T083601_TCI.jp2", 255 - scene[y : y + height, x : x + width], place),
    ):
        grids.append(read_grid(write_image(name, np.stack([image] * 3), transform)))
    return grids[0], grids[1]


def match_windows_by(monkeypatch: pytest.MonkeyPatch, match: Callable[..., Matches]) -> None:
    """Let a function match the windows, which have bands; the coarse pass remains one by the network."""
    coarse = LoftrMatcher.match_encoded

    def chosen(self: LoftrMatcher, first: EncodedImage, second: EncodedImage, *given: Any) -> Matches:
        _, bands, _ = given
        return (coarse if bands is None else match)(self, first, second, *given)

    monkeypatch.setattr(LoftrMatcher, "match_encoded", chosen)


def no_window(*given: Any) -> Matches:
    raise AssertionError("the network was asked for the matches of a window")


def errors(matches: Matches) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(matches.xy1 - matches.xy0 + SHIFT, axis=1))


def test_windows_find_what_one_pass_finds(matcher: LoftrMatcher, write_image: Writer) -> None:
    reference, target = pair_of(write_image)
    settings = Settings(refine=False)
    whole = match_rasters(matcher, read_raster(reference.scene), read_raster(target.scene), settings)
    reports: list[float] = []
    found = match_grids(matcher, (reference, target), previews_of(reference, target), settings, reports.append)
    assert len(found) > 0.95 * len(whole) > 1500
    assert errors(found).max() < 1.0 and np.median(errors(found)) < 0.15
    assert reports == sorted(reports) and reports[-1] == pytest.approx(1) and len(reports) == 1 + 6
    # one point for each cell of the grid, none twice, as many at the seams as anywhere
    assert len(np.unique(found.xy0, axis=0)) == len(found)
    assert np.allclose(found.xy0 % 8, 0.5)
    columns = np.bincount((found.xy0[:, 0] // 8).astype(int), minlength=WIDTH // 8)[4:48]
    assert columns.min() > 0.9 * columns.max()
    assert found.raw_residual_px is not None and len(found.raw_residual_px) == len(found)


def test_points_added_in_windows_do_not_meet_at_seams(
    matcher: LoftrMatcher, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matches in a diagonal strip across windows and seams are removed, and points added there."""
    match = LoftrMatcher.match_encoded
    pairs: list[WindowPair] = []

    def planned(*arguments: Any, **options: Any) -> list[WindowPair]:
        pairs.extend(plan(*arguments, longest_px=320, **options))
        return list(pairs)

    def silent(*arguments: Any) -> Matches:
        found, window = match(*arguments), pairs.pop(0).reference
        return found.subset(np.abs(found.xy0[:, 0] + window.x - found.xy0[:, 1] - window.y) > 80)

    reference, target = pair_of(write_image, size=(WIDTH, WIDTH))
    monkeypatch.setattr(tiled, "plan", planned)
    match_windows_by(monkeypatch, silent)
    # with a radius the network matches every window
    settings = Settings(search_radius_m=100)
    found = match_grids(matcher, (reference, target), previews_of(reference, target), settings)
    assert found.correlated is not None
    new, others = found.subset(found.correlated), found.subset(~found.correlated)
    assert len(others) > 500 and len(new) > 12 and errors(new).max() < 0.5
    apart = np.abs(new.xy0[:, None] - others.xy0).max(axis=2).min(axis=1)
    assert apart.min() >= 28 and len(np.unique(new.xy0, axis=0)) == len(new)
    assert (new.xy0.max(axis=0) - new.xy0.min(axis=0)).min() > 320


def test_known_positions_are_measured_without_the_network(
    matcher: LoftrMatcher, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    match_windows_by(monkeypatch, no_window)
    grids = pair_of(write_image)
    for most in (100_000, 500):
        found = match_grids(matcher, grids, previews_of(*grids), Settings(max_points=most))
        assert found.is_correlated.all() and errors(found).max() < 0.5 and np.median(errors(found)) < 0.05
        assert found.covariance_px2 is not None and found.confidence.min() > 0.98
        assert len(np.unique(found.xy0, axis=0)) == len(found)
        # as many as allowed, at most one for each cell, everywhere where the images overlap
        assert 0.7 * min(most, 41 * 54) < len(found) <= min(most, 41 * 54)
        assert (np.ptp(found.xy0, axis=0) > [WIDTH - 2 * SHIFT[0] - 30, HEIGHT + 2 * SHIFT[1] - 30]).all()


def test_ground_that_only_one_image_shows_needs_no_network(
    matcher: LoftrMatcher, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right third of the target has no data."""
    reference, target = pair_of(write_image)
    image = read_raster(target.scene).image[..., 0].copy()
    image[:, 300:] = 0
    target = read_grid(write_image(target.scene.path.name, np.stack([image] * 3), target.transform, nodata=0))
    match_windows_by(monkeypatch, no_window)
    found = match_grids(matcher, (reference, target), previews_of(reference, target), Settings())
    assert len(found) > 1000 and errors(found).max() < 0.5 and found.xy1[:, 0].max() < 300


def test_a_model_that_correlation_contradicts_is_not_a_known_position(write_image: Writer) -> None:
    """Such as a strong perspective, of which correlation starts with the affine map in the middle."""
    reference, target = (read_raster(grid.scene) for grid in pair_of(write_image))

    def bent(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x = xy[:, :1] - WIDTH / 2
        return xy - SHIFT + np.hstack([x**2, 0 * x]) / 4000

    exact = SearchPrior(lambda xy: xy - SHIFT, 2.0)
    found = aligned_prior(exact, (reference, target))
    xy = np.array([[50.0, 60.0], [300.0, 200.0]])
    assert found is not None and np.allclose(found.map_points(xy), xy - SHIFT, atol=0.1)
    assert aligned_prior(SearchPrior(bent, 2.0), (reference, target)) is None


def test_the_network_matches_windows_where_correlation_finds_little(
    matcher: LoftrMatcher, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cloud on the right of the target."""
    reference, target = pair_of(write_image)
    image = read_raster(target.scene).image[..., 0].copy()
    image[:, 200:] = texture(WIDTH - 200, HEIGHT, seed=9, detail_px=12)
    target = read_grid(write_image(target.scene.path.name, np.stack([image] * 3), target.transform))
    match = LoftrMatcher.match_encoded
    matched: list[float] = []

    def recorded(self: LoftrMatcher, first: EncodedImage, *given: Any) -> Matches:
        matched.append(first.image.grey.size)
        return match(self, first, *given)

    match_windows_by(monkeypatch, recorded)
    found = match_grids(matcher, (reference, target), previews_of(reference, target), Settings())
    assert 0 < len(matched) < 6
    clear = found.xy1[:, 0] < 180
    assert clear.sum() > 500 and errors(found.subset(clear)).max() < 1


@pytest.mark.parametrize("georeference", ["wrong", "none"])
def test_the_coarse_pass_corrects_a_wrong_or_missing_georeference(
    matcher: LoftrMatcher, write_image: Writer, georeference: str
) -> None:
    reference, target = pair_of(write_image, georeference)
    found = match_grids(matcher, (reference, target), previews_of(reference, target), Settings())
    assert len(found) > 1500 and np.median(errors(found)) < 0.15


def test_without_a_coarse_registration_the_georeference_is_the_prior(
    matcher: LoftrMatcher, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiled, "by_matches", lambda *arguments: None)
    reference, target = pair_of(write_image)
    assert len(match_grids(matcher, (reference, target), previews_of(reference, target), Settings())) > 1500
    lost = pair_of(write_image, "none")
    nothing = match_grids(matcher, lost, previews_of(*lost), Settings())
    assert len(nothing) == 0 and nothing.origin.weights == "sentinel2"


def test_the_command_matches_every_pixel(
    write_image: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grids = pair_of(write_image)
    files = [str(grid.scene.path) for grid in grids]
    options = ["--output", str(tmp_path / "r.png"), "--json", str(tmp_path / "r.json"), "--max_points", "500"]
    assert model_inference.main(["--images", *files, "--image_size", "native", *options]) == 0
    facts = json.loads((tmp_path / "r.json").read_text())
    assert facts["reference"]["width_px"] == WIDTH and 350 < facts["matches"] <= 500
    assert np.allclose(
        np.array(facts["registration"]["matrix_reference_file_px_to_target_file_px"])[:2, 2], [-21, 13], atol=0.1
    )
    assert facts["ground_errors"]["inliers"]["rmse_m"] < 3
    assert f"({WIDTH} x {HEIGHT} px of 10 m)" in capsys.readouterr().out
    assert (tmp_path / "r.png").exists()


@pytest.mark.parametrize("size", [["small"], ["300"], ["300", "x"], ["1", "2", "3"]])
def test_malformed_sizes(size: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        model_inference.main(["--image_size", *size])
    assert "width and a height in pixels, or native" in capsys.readouterr().err


def test_memory_is_checked_for_the_windows_that_are_matched(
    matcher: LoftrMatcher, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wide search makes a window of the target several times as large as that of the reference."""
    grids = pair_of(write_image)
    pixels: list[int] = []

    def match(self: LoftrMatcher, first: EncodedImage, second: EncodedImage, confidence: float, *given: Any) -> Matches:
        pixels.append(first.image.grey.size + second.image.grey.size)
        return self.no_matches(confidence)

    match_windows_by(monkeypatch, match)
    previews = previews_of(*grids)
    match_grids(matcher, grids, previews, Settings(search_radius_m=1500))
    needed = max(pixels) * matcher.bytes_per_pixel
    monkeypatch.setattr("s2match.util.containers.free_memory", lambda: needed)
    match_grids(matcher, grids, previews, Settings(search_radius_m=1500))
    monkeypatch.setattr("s2match.util.containers.free_memory", lambda: needed - 1)
    with pytest.raises(ImageSizeError, match=r"A window of \d+ x \d+ px, sought in .* use a smaller search radius"):
        match_grids(matcher, grids, previews, Settings(search_radius_m=1500))
    match_grids(matcher, grids, previews, Settings(search_radius_m=100))


def test_a_radius_in_metres_needs_metres(matcher: LoftrMatcher, write_image: Writer) -> None:
    paths = [write_image(f"{k}.tif", texture(96, 96, seed=1), crs=None) for k in (1, 2)]
    grids = grids_of(*map(scene_of, paths), None)
    with pytest.raises(OptionError, match="reference system"):
        match_grids(matcher, grids, previews_of(*grids), Settings(search_radius_m=100))


def test_seed_and_threshold_reach_every_fit(write_image: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Including those of the coarse pass and of the refinement."""
    seeds: list[int] = []
    thresholds: list[float] = []
    kept, estimate = np.random.default_rng, estimators._estimate

    def rng(seed: int) -> np.random.Generator:
        seeds.append(seed)
        return kept(seed)

    def estimated(model: str, xy0: Any, xy1: Any, threshold_px: float) -> Any:
        thresholds.append(threshold_px)
        return estimate(model, xy0, xy1, threshold_px)

    grids = pair_of(write_image)
    monkeypatch.setattr(np.random, "default_rng", rng)
    monkeypatch.setattr(estimators, "_estimate", estimated)
    result = match_scenes(*(grid.scene for grid in grids), Settings(image_size=None, seed=7, ransac_threshold_px=4.0))
    assert result.registration is not None and result.matches.similarity is not None
    assert set(seeds) == {7} and set(thresholds) == {4.0}
