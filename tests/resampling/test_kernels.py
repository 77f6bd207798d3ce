"""Every way to look up the pixels under a kernel gives the same values."""

import numpy as np
import pytest

from s2match.resampling.kernels import RESAMPLINGS, SamplePoints, sample

SHAPE = (150, 300)


@pytest.mark.parametrize("gaps", [0.0, 0.01])
@pytest.mark.parametrize("stretch", [1.0, 1.7])
@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_values_do_not_depend_on_how_positions_are_given(resampling: str, stretch: float, gaps: float) -> None:
    """By axis, for each pixel, and in an order in which neighbours lie far apart; partly beyond the image."""
    rng = np.random.default_rng(0)
    bands = rng.integers(1, 255, (2, 160, 290)).astype(np.uint8)
    valid = rng.random(bands.shape) >= gaps
    x, y = np.arange(SHAPE[1])[None] + 3.37, np.arange(SHAPE[0])[:, None] - 2.61
    full_x, full_y = (at.copy() for at in np.broadcast_arrays(x, y))
    order = rng.permutation(full_x.size)
    mixed_x, mixed_y = (at.reshape(-1)[order].reshape(SHAPE) for at in (full_x, full_y))

    by_axis, full, mixed = (
        sample(bands, valid, SamplePoints(*at, stretch=(stretch, stretch)), resampling)
        for at in ((x, y), (full_x, full_y), (mixed_x, mixed_y))
    )

    assert 0.9 < by_axis[1].mean() < 1
    for one, two, three in zip(by_axis, full, mixed, strict=True):
        assert np.array_equal(one, two)
        assert np.array_equal(one.reshape(2, -1)[:, order], three.reshape(2, -1))
