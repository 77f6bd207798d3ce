"""Known movements are exact."""

import numpy as np
import pytest

from benchmarks.deformations import Deformation, deformed
from benchmarks.exact_sampling import pixel_centres, sampled


@pytest.mark.parametrize("shift_px", [0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("period_px", [4.0, 6.5, 16.0, 64.0])
def test_waves_lie_where_they_were_moved_to(shift_px: float, period_px: float) -> None:
    """Up to the rounding of grey levels, which holds long waves back by 0.01 px."""
    size = (260, 200)

    def wave(xy: np.ndarray) -> np.ndarray:
        return 127 + 100 * np.sin(2 * np.pi * (xy[..., 0] + 0.3 * xy[..., 1]) / period_px)

    image = np.rint(wave(pixel_centres(size))).astype(np.uint8)
    found = deformed(image, Deformation("shift", lambda xy, size: xy - [shift_px, 0.0])).astype(float)
    inner = pixel_centres(size)[40:-40, 40:-40] - [shift_px, 0.0]
    phase = 2 * np.pi * (inner[..., 0] + 0.3 * inner[..., 1]) / period_px
    # a wave that is off by a small step has its derivative in the difference
    design = np.stack([np.sin(phase).ravel(), np.cos(phase).ravel(), np.ones(phase.size)], axis=1)
    sine, cosine, _ = np.linalg.lstsq(design, found[40:-40, 40:-40].ravel(), rcond=None)[0]
    assert abs(np.arctan2(cosine, sine)) * period_px / (2 * np.pi) < 0.012


def test_bands_and_blocks_are_sampled_alike() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)
    positions = pixel_centres((80, 90)) + [0.37, -0.61]
    whole = sampled(image, positions)
    assert np.array_equal(whole[..., 1], sampled(np.ascontiguousarray(image[..., 1]), positions))
    # a spline that is fitted to a part differs by rounding only
    rows = slice(30, 60)
    assert np.abs(whole[rows].astype(int) - sampled(image, positions[rows])).max() <= 1
