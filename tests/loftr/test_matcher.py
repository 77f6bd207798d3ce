"""Matches are in the GDAL frame, on valid pixels only, and reproducible."""

import logging
from dataclasses import replace

import kornia.feature
import numpy as np
import pytest
import torch
from conftest import PRECISIONS, make_raster, match_images, texture
from numpy.typing import NDArray

from s2match.core.matches import GreyImage
from s2match.errors import ImageSizeError, OptionError
from s2match.loftr.checkpoints import Network, load_network
from s2match.loftr.engine import EngineMatches
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.single_pass import match_rasters
from s2match.settings import Settings
from training.photometry import repaint

CPU = torch.device("cpu")


class BlobFinder:
    """Fake engine that matches the centroids of two blobs, in the pixel frame of ``pixel_centre``."""

    def __init__(self, pixel_centre: float) -> None:
        self.pixel_centre = pixel_centre

    def extract(self, image: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        rows, columns = torch.meshgrid(*(torch.arange(side) for side in image.shape), indexing="ij")
        weight = image / image.sum()
        return torch.stack([(columns * weight).sum(), (rows * weight).sum()])[None] + self.pixel_centre

    def match(
        self, centroid0: torch.Tensor, centroid1: torch.Tensor, threshold: float, bands: None, to_refine: bool
    ) -> EngineMatches:
        return EngineMatches(centroid0, centroid1, torch.ones(1), *[torch.zeros(1)] * 3)


def blob(width: int, height: int, x: float, y: float, sigma: float) -> NDArray[np.float32]:
    """A Gaussian centred on (x, y) in the GDAL frame."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).astype(np.float32)


def grey(image: NDArray[np.float32]) -> GreyImage:
    return GreyImage(np.ascontiguousarray(image), np.ones(image.shape, np.bool_))


@pytest.mark.parametrize("pixel_centre", [0.0, 0.5])
class TestPixelFrame:
    """Scale and rotation reveal an offset of half a pixel in both images, which a shift would hide."""

    def match(
        self, pixel_centre: float, target: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        matcher = LoftrMatcher(Network(load_network("sentinel2").net, pixel_centre, "blob"), CPU)
        matcher._engine = BlobFinder(pixel_centre)  # type: ignore[assignment]
        found = match_images(matcher, (grey(blob(128, 96, 50.25, 40.5, 3)), grey(target)), 0.5)
        return found.xy0[0], found.xy1[0]

    def test_points_are_where_the_blob_is(self, pixel_centre: float) -> None:
        xy0, _ = self.match(pixel_centre, blob(128, 96, 60, 60, 3))
        np.testing.assert_allclose(xy0, [50.25, 40.5], atol=1e-3)

    def test_twice_as_large(self, pixel_centre: float) -> None:
        xy0, xy1 = self.match(pixel_centre, blob(256, 192, 100.5, 81, 6))
        np.testing.assert_allclose(xy1, 2 * xy0, atol=1e-3)

    def test_turned_by_180_degrees(self, pixel_centre: float) -> None:
        xy0, xy1 = self.match(pixel_centre, blob(128, 96, 50.25, 40.5, 3)[::-1, ::-1])
        np.testing.assert_allclose(xy1, [128, 96] - xy0, atol=1e-3)


@pytest.fixture(scope="module", params=PRECISIONS)
def matcher(request: pytest.FixtureRequest) -> LoftrMatcher:
    return LoftrMatcher(load_network("sentinel2"), CPU, getattr(torch, request.param))


SCENE = texture(360, 360, seed=3, detail_px=2.0)


def pair(dx: int = 0, dy: int = 0, width: int = 256, height: int = 256) -> tuple[GreyImage, GreyImage]:
    """Two cuts of one scene; a point of the first lies (dx, dy) further left and up in the second."""
    first = make_raster(SCENE[40 : 40 + height, 40 : 40 + width])
    second = make_raster(SCENE[40 + dy : 40 + dy + height, 40 + dx : 40 + dx + width])
    return prepare(first), prepare(second)


def test_a_known_shift_is_found(matcher: LoftrMatcher) -> None:
    found = match_images(matcher, pair(5, 3), 0.2)
    error = np.linalg.norm(found.xy1 - found.xy0 + [5, 3], axis=1)
    assert len(found) > 300
    assert (error < 1.5).mean() > 0.95 and np.median(error) < 0.35
    assert np.abs(np.median(found.xy1 - found.xy0, axis=0) + [5, 3]).max() < 0.2
    assert found.raw_residual_px is not None and found.raw_residual_px.max() < 3


@pytest.mark.parametrize(("width", "height"), [(256, 256), (250, 243)])
def test_equal_to_stock_kornia_and_to_itself(width: int, height: int) -> None:
    """Weights without matching parameters give kornia's own matches, in the GDAL frame."""
    image0, image1 = pair(5, 3, width, height)
    matcher = LoftrMatcher(Network(load_network("sentinel2").net, 0.0, "kornia"), CPU, torch.float32)
    found, again = (match_images(matcher, (image0, image1), 0.2) for _ in range(2))
    np.testing.assert_array_equal(found.xy1, again.xy1)
    stock: kornia.feature.LoFTR = load_network("sentinel2").net
    with torch.inference_mode():
        out = stock({f"image{k}": torch.from_numpy(image.grey)[None, None] for k, image in enumerate((image0, image1))})
    np.testing.assert_allclose(found.xy0, out["keypoints0"] + 0.5, atol=0.01)
    np.testing.assert_allclose(found.xy1, out["keypoints1"] + 0.5, atol=0.01)
    np.testing.assert_allclose(found.confidence, out["confidence"], atol=1e-4)


def test_confidence_is_a_threshold(matcher: LoftrMatcher) -> None:
    """Half of the second image is noise, so that some matches are surer than others.

    Between the thresholds lie 13 and 35 of 451 matches; float32 and bfloat16 differ by 1.
    """
    image0, image1 = pair(5, 3)
    noise = np.random.default_rng(0).random(image1.grey.shape, np.float32)
    share = np.clip(np.linspace(-0.3, 1.3, 256, dtype=np.float32), 0, 1)
    hard = GreyImage(image1.grey * (1 - share) + noise * share, image1.valid)
    found = [match_images(matcher, (image0, hard), threshold) for threshold in (0.05, 0.9, 0.99, 1.0)]
    counts = [len(matches) for matches in found]
    assert counts[0] > counts[1] + 5 and counts[1] > counts[2] + 20 and counts[2] > 300 and counts[3] == 0
    assert found[2].confidence.min() > 0.99
    kept = found[0].confidence > 0.99
    np.testing.assert_array_equal(found[0].xy1[kept], found[2].xy1)


def test_images_of_different_size(matcher: LoftrMatcher) -> None:
    image0, image1 = prepare(make_raster(SCENE)), prepare(make_raster(SCENE[:200, :301]))
    found = match_images(matcher, (image0, image1), 0.2)
    assert len(found) > 50
    assert found.xy0.max() <= 302 and (found.xy1 <= [301, 200]).all()


def test_no_match_on_nodata_nor_at_the_edge(matcher: LoftrMatcher) -> None:
    valid = np.ones((256, 256), np.bool_)
    valid[:, :100] = False
    raster = make_raster(np.where(valid, SCENE[40:296, 40:296], 0).astype(np.uint8), valid=valid)
    _, image1 = pair()
    for first, second in ((prepare(raster), image1), (image1, prepare(raster))):
        found = match_images(matcher, (first, second), 0.1)
        assert len(found) > 30
        for xy in (found.xy0, found.xy1):
            assert xy[:, 0].min() >= 96
            assert xy.min() > 4 and xy.max() < 256 - 4


def test_progress_rises_to_one(matcher: LoftrMatcher) -> None:
    settings = Settings(confidence=0.2)
    for size in (256, 200):
        shares: list[float] = []
        match_rasters(matcher, make_raster(SCENE[:256, :256]), make_raster(SCENE[:size, :256]), settings, shares.append)
        assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0) and len(shares) >= 3


def test_a_strip_of_common_ground_is_matched_twice(matcher: LoftrMatcher) -> None:
    """An eighth of two images in common: matched alone it gives more matches than within the whole, all correct."""
    scene = texture(1504, 512, seed=8)
    other = repaint(np.random.default_rng(0), (scene[:, 704:] / 255).astype(np.float32), 1.0)
    first, second = (
        make_raster(scene[:, :800], None, None),
        make_raster((other * 215 + 20).astype(np.uint8), None, None),
    )
    once = match_images(matcher, (prepare(first), prepare(second)), 0.8)
    twice = match_rasters(matcher, first, second, Settings(confidence=0.8, refine=False))
    assert len(twice) > 1.2 * len(once) > 100
    assert np.percentile(np.linalg.norm(twice.xy1 - twice.xy0 + [704, 0], axis=1), 95) < 2
    assert twice.origin.confidence == 0.8


def test_prepare_stretches_valid_pixels_only() -> None:
    image = texture(100, 100) // 5 + 60
    image[:50] = 0
    image[60] = 255
    prepared = prepare(make_raster(image, valid=np.arange(100)[:, None].repeat(100, 1) >= 50))
    assert prepared.grey.dtype == np.float32
    assert (prepared.grey[:50] == 0).all()
    assert prepared.grey[50:].min() == 0 and prepared.grey[50:].max() == 1 and 0.3 < prepared.grey[50:].mean() < 0.7


def test_a_flat_image_is_not_divided_by_zero(matcher: LoftrMatcher) -> None:
    flat = prepare(make_raster(np.full((128, 128), 77, np.uint8)))
    assert np.isfinite(flat.grey).all()
    assert np.isfinite(match_images(matcher, (flat, flat), 0.2).xy1).all()


def test_impossible_requests_end_before_any_work(matcher: LoftrMatcher) -> None:
    raster = make_raster(SCENE)
    for confidence in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="Confidence"):
            Settings(confidence=confidence)
    large = replace(raster.grid, size=(32768, 32768))
    broad = replace(raster, grid=large, image=np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (32768, 32768, 3)))
    with pytest.raises(ImageSizeError, match="GB"):
        match_rasters(matcher, broad, broad, Settings())


def test_weights_say_their_frame() -> None:
    assert load_network("sentinel2").pixel_centre == 0.0


def test_weights_device_and_precision_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "s2match.loftr"):
        matcher = LoftrMatcher(load_network("sentinel2"), CPU, torch.float32)
        match_images(matcher, pair(width=128, height=128), 0.5)
    assert "weights sentinel2 on cpu in float32" in caplog.messages
    assert any("sentinel2.safetensors" in message for message in caplog.messages)
    assert any("coarse matches above" in message for message in caplog.messages)
