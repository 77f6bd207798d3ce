"""Small images are enlarged for the network, and its points are scaled back."""

import numpy as np
import pytest

from s2match.core.image_size import MAX_SIDE_PX, ONE_PASS_PX, network_scale
from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.matching.greyscale import enlarge


@pytest.mark.parametrize("scale", [2, 3])
def test_enlarged_pixels_lie_at_multiples_of_their_positions(scale: int) -> None:
    """Position (x, y) moves to ``scale * (x, y)``: a ramp keeps its values, and invalid pixels their place."""
    x, y = np.meshgrid(np.arange(70) + 0.5, np.arange(64) + 0.5)
    valid = (x > 20) & (y > 10)
    image = GreyImage(np.where(valid, 0.004 * x + 0.008 * y, 0).astype(np.float32), valid)
    large = enlarge(image, scale)
    assert large.grey.shape == large.valid.shape == (64 * scale, 70 * scale)
    x, y = np.meshgrid(np.arange(70 * scale) + 0.5, np.arange(64 * scale) + 0.5)
    assert (large.valid == ((x > 20 * scale) & (y > 10 * scale))).all()
    inside = (x > 21 * scale) & (y > 11 * scale) & (x < 69 * scale) & (y < 63 * scale)
    assert np.abs(large.grey - (0.004 * x + 0.008 * y) / scale)[inside].max() < 1e-5
    assert not large.grey[~large.valid].any()
    assert enlarge(image, 1) is image


def test_matches_return_to_the_pixels_of_the_image() -> None:
    origin = Provenance("test", "cpu", 0.2)
    seen = Matches(np.array([[10.0, 20]]), np.array([[14.0, 24]]), np.ones(1), origin, np.array([0.6]))
    small = seen.reduced(2)
    assert small.xy0.tolist() == [[5, 10]] and small.xy1.tolist() == [[7, 12]]
    assert small.raw_residual_px is not None and small.raw_residual_px.tolist() == [0.3]
    assert small.origin == Provenance("test", "cpu", 0.2, network_scale=2)
    assert small.above(0.5).origin.network_scale == small.subset(np.ones(1, np.bool_)).origin.network_scale == 2


def test_only_small_images_are_enlarged_and_never_above_one_pass() -> None:
    assert network_scale((64, 64), (64, 64)) == network_scale((95, 300), (400, 500)) == 2
    assert network_scale((96, 96), (1098, 1098)) == network_scale((MAX_SIDE_PX, 96), (96, 96)) == 1
    assert network_scale((64, ONE_PASS_PX // 2), (64, 64)) == 2
    assert network_scale((64, ONE_PASS_PX // 2 + 1), (64, 64)) == 1
