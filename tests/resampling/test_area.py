"""Area resampling preserves positions: linear ramps stay linear."""

import cv2
import numpy as np
import pytest
from conftest import texture
from hypothesis import given
from hypothesis import strategies as st

from s2match.resampling.area import AxisMap, resample


@given(scale=st.floats(0.3, 12), offset=st.floats(-3, 3), size=st.integers(8, 40))
def test_ramp_stays_a_ramp(scale: float, offset: float, size: int) -> None:
    """The values of a ramp are the positions of the samples; edges are left out."""
    axis = AxisMap(size, scale, offset)
    count = 120
    ramp = np.tile(np.arange(count) + 0.5, (3, 1))
    found = resample(ramp, AxisMap(3, 1.0, 0.0), axis)[1]
    truth = (np.arange(size) + 0.5) * scale + offset
    inner = (truth - scale > 1) & (truth + scale < count - 1)
    np.testing.assert_allclose(found[inner], truth[inner], atol=2e-4)


def test_identity_changes_nothing() -> None:
    image = texture(40, 30)
    same = resample(image, AxisMap(30, 1.0, 0.0), AxisMap(40, 1.0, 0.0))
    np.testing.assert_array_equal(same, image)


@pytest.mark.parametrize("factor", [5, 10])
def test_large_scales_are_area_averages(factor: int) -> None:
    image = texture(400, 300)
    small = resample(image, AxisMap(300 // factor, factor, 0.0), AxisMap(400 // factor, factor, 0.0))
    area = cv2.resize(image.astype(np.float32), (400 // factor, 300 // factor), interpolation=cv2.INTER_AREA)
    assert np.abs(small - area).max() < 2.0
