"""Images that are turned or scaled against each other: the orientation is searched for, matched in, and mapped back."""

import logging
import math
import re
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
import torch
from conftest import ROOT, Writer, make_raster, texture
from numpy.typing import NDArray
from rasterio.windows import Window

from s2match import Settings
from s2match.arrays import match_arrays
from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.core.point_maps import turn_and_scale
from s2match.io.reader import read_grid
from s2match.loftr.checkpoints import load_network
from s2match.loftr.matcher import EncodedImage, LoftrMatcher
from s2match.matching import tiled
from s2match.matching.orientation_search import hypotheses
from s2match.matching.reorientation import map_target, nearest_similarity, reorient
from s2match.matching.single_pass import match_rasters
from s2match.matching.tile_plan import plan
from s2match.matching.tiled import match_grids, previews_of
from s2match.registration.model import apply_matrix

SIDE = 320
CORNERS = np.array([[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]], float)
FOUND = re.compile(r"the target is turned by (-?[\d.]+)° clockwise and scaled by ([\d.]+)")


class CountingMatcher(LoftrMatcher):
    """Counts how often the network encodes an image."""

    def __init__(self) -> None:
        super().__init__(load_network("sentinel2"), torch.device("cpu"))
        self.encoded = 0

    def encode(self, image: GreyImage) -> EncodedImage:
        self.encoded += 1
        return super().encode(image)


@pytest.fixture
def matcher() -> CountingMatcher:
    return CountingMatcher()


def similarity(turn_deg: float, scale: float, size: tuple[int, int]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """3×3, pixels of an image to those of one that shows all of it turned and scaled, and the size of that one."""
    matrix = np.eye(3)
    matrix[:2, :2] = turn_and_scale(turn_deg, scale)
    width, height = np.round(np.abs(matrix[:2, :2]) @ size).astype(int).tolist()
    matrix[:2, 2] = np.array([width, height]) / 2 - matrix[:2, :2] @ (np.array(size) / 2)
    return matrix, (width, height)


def warped(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]
) -> "np.ma.MaskedArray[Any, Any]":
    """The image resampled once, smoothed before if it gets fewer pixels; masked where it has none."""
    scale = math.sqrt(np.linalg.det(matrix[:2, :2]))
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    centred = (np.linalg.inv(half) @ matrix @ half)[:2]
    covered = cv2.warpAffine(np.ones(image.shape[:2], np.float32), centred, size) > 0.999
    if scale < 1:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * math.sqrt(1 / scale**2 - 1)), np.uint8)
    pixels = cv2.warpAffine(image, centred, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    masked = ~covered if pixels.ndim == 2 else np.repeat(~covered[..., None], 3, axis=2)
    return np.ma.masked_array(np.maximum(pixels, 1), masked)


def sample_crop(name: str, x: int, y: int, side: int = SIDE) -> NDArray[np.uint8]:
    """H×W×3 crop of an image of the sample, without its georeference."""
    with rasterio.open(ROOT / "dataset" / "sample" / f"{name}_TCI.jp2") as file:
        return np.ascontiguousarray(file.read(window=Window(x, y, side, side)).transpose(1, 2, 0))


@pytest.mark.parametrize(("turn_deg", "scale"), [(90, 1.0), (0, 0.6), (-130, 1.5), (16, 1.0)])
def test_a_turned_and_scaled_target_registers(turn_deg: float, scale: float, caplog: pytest.LogCaptureFixture) -> None:
    reference = sample_crop("SYNTHETIC-B_20240510T103621", 380, 420)
    truth, size = similarity(turn_deg, scale, (SIDE, SIDE))
    with caplog.at_level(logging.INFO, "s2match"):
        result = match_arrays(reference, warped(reference, truth, size), image_size=None)
    assert result.matrix is not None and result.registration is not None
    error_px = np.linalg.norm(apply_matrix(result.matrix, CORNERS) - apply_matrix(truth, CORNERS), axis=1)
    assert error_px.max() < 0.5
    logged = FOUND.search(caplog.text)
    assert logged is not None
    assert float(logged[1]) == pytest.approx(turn_deg, abs=3) and float(logged[2]) == pytest.approx(scale, rel=0.05)


@pytest.mark.slow
def test_different_places_do_not_register() -> None:
    first = sample_crop("SYNTHETIC-B_20240510T103621", 380, 420, 128)
    second = sample_crop("SYNTHETIC-A_20230615T103631", 100, 500, 128)
    for turns in range(2):
        result = match_arrays(first, np.ascontiguousarray(np.rot90(second, turns)), image_size=None)
        assert result.registration is None and result.matches.origin.turn_deg == 0
        assert result.refusal is not None and "scales of 0.5 to 2 were tried" in " ".join(result.refusal.advice)


def test_a_first_pass_that_succeeds_is_the_only_one(matcher: CountingMatcher) -> None:
    scene = texture(SIDE, SIDE, seed=3, detail_px=2.5)
    matches = match_rasters(matcher, make_raster(scene, None), make_raster(scene, None), Settings())
    assert len(matches) > 1000 and matcher.encoded == 2
    assert matches.origin.turn_deg == 0 and matches.origin.scale == 1


def test_the_georeference_says_otherwise(matcher: CountingMatcher) -> None:
    """Two images of one place by their georeference, of which one is turned: no turn is tried."""
    scene = texture(SIDE, SIDE, seed=3, detail_px=2.5)
    turned = np.ascontiguousarray(np.rot90(scene))
    assert len(match_rasters(matcher, make_raster(scene), make_raster(turned), Settings())) < 100
    assert matcher.encoded == 2
    shares: list[float] = []
    assert len(match_rasters(matcher, make_raster(scene), make_raster(turned, None), Settings(), shares.append)) > 1000
    assert shares == sorted(shares) and shares[-1] == 1


def test_large_images_are_matched_in_turned_windows(
    matcher: CountingMatcher, write_image: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiled, "plan", partial(plan, longest_px=256))
    monkeypatch.setattr(tiled, "ONE_PASS_PX", 400)
    monkeypatch.setattr(tiled, "REDUCED_SIDE_PX", 224)
    size = (448, 384)
    scene = texture(*size, seed=5, detail_px=2.5)
    truth, turned_size = similarity(115, 1.25, size)
    turned = warped(scene, truth, turned_size).filled(0)
    grids = [
        read_grid(write_image(f"{name}.tif", np.stack([image] * 3), None, None))
        for name, image in (("reference", scene), ("target", turned))
    ]
    matches = match_grids(matcher, (grids[0], grids[1]), previews_of(grids[0], grids[1]), Settings())
    error_px = np.linalg.norm(matches.xy1 - apply_matrix(truth, matches.xy0), axis=1)
    assert len(matches) > 1500 and np.median(error_px) < 0.2 and np.percentile(error_px, 95) < 1
    assert matches.origin.turn_deg == pytest.approx(115, abs=2) and matches.origin.scale == pytest.approx(
        1.25, rel=0.03
    )
    # windows all over the reference
    assert (np.ptp(matches.xy0, axis=0) > np.array(size) - 64).all()


def test_hypotheses_are_within_the_range_of_the_network() -> None:
    """An ellipse with half axes of 20 degrees and a scale of 1.33."""
    turns, scales = np.arange(0, 360, 2.5), np.geomspace(0.5, 2, 41)
    tried = np.array([(one.turn_deg, math.log(one.scale)) for one in hypotheses()])
    points = np.array([(turn, math.log(scale)) for turn in turns for scale in scales])
    turn_deg = np.abs((points[:, None, 0] - tried[:, 0] + 180) % 360 - 180)
    distance = np.hypot(turn_deg / 20, (points[:, None, 1] - tried[:, 1]) / math.log(1.33))
    assert distance.min(axis=1).max() < 0.9
    quarter_turns = {one.turn_deg for one in hypotheses()[:4]}
    assert quarter_turns == {0, 90, 180, 270} and {one.scale for one in hypotheses()[:12]} == {1.0}


def test_a_reoriented_target_lies_on_the_reference() -> None:
    scene = texture(400, 300, seed=2)
    truth, size = similarity(70, 0.8, (400, 300))
    target = make_raster(warped(scene, truth, size).filled(0), None, valid=~warped(scene, truth, size).mask)
    pixels = reorient(make_raster(scene, None), target, truth)
    assert pixels is not None
    assert pixels.turn_deg == pytest.approx(70) and pixels.scale == pytest.approx(0.8)
    turned = pixels.resample(target)
    x, y = (np.linalg.inv(truth) @ pixels.to_target)[:2, 2].round().astype(int)
    common = turned.image[-y : 300 - y, -x : 400 - x, 0].astype(float)
    inner = turned.valid[-y : 300 - y, -x : 400 - x]
    assert inner.mean() > 0.97 and np.abs(common - scene)[inner].mean() < 2


def test_too_little_ground_is_not_reoriented() -> None:
    """50 px and the margin of 40 px are enough to be matched, 0 px and the margin are not."""
    raster = make_raster(texture(400, 300), None)
    near, far = (reorient(raster, raster, np.array([[1, 0, -x], [0, 1, 0], [0, 0, 1.0]])) for x in (350, 400))
    assert near is not None and near.size == (90, 300) and far is None


def test_the_target_side_of_matches_is_mapped() -> None:
    xy = np.array([[10.0, 20.0], [30.0, 5.0]])
    origin = Provenance("test", "cpu", 0.2)
    matches = Matches(xy, xy + 1, np.ones(2), origin, raw_residual_px=np.array([0.5, 1.0]))
    matrix, _ = similarity(30, 2.0, (100, 100))
    mapped = map_target(matches, matrix)
    np.testing.assert_array_equal(mapped.xy0, xy)
    np.testing.assert_allclose(mapped.xy1, apply_matrix(matrix, xy + 1))
    np.testing.assert_allclose(mapped.raw_residual_px, [1.0, 2.0])


def test_the_nearest_similarity_has_no_shear() -> None:
    affine = np.array([[1.2, -0.5, 30], [0.6, 1.0, -7], [0, 0, 1]])
    point = np.array([50.0, 80.0])
    nearest = nearest_similarity(partial(apply_matrix, affine), point)
    np.testing.assert_allclose(apply_matrix(nearest, point[None]), apply_matrix(affine, point[None]))
    np.testing.assert_allclose(nearest[:2, :2], [[1.1, -0.55], [0.55, 1.1]])
