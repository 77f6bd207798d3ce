"""Reprojected images show their ground where it is."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from conftest import make_raster

from s2match.core.raster import Patch
from s2match.core.window import Window
from s2match.resampling.reproject import warp

SIDE = 120


@pytest.mark.parametrize("period_px", [4.0, 5.0, 8.0])
@pytest.mark.parametrize("step_px", [0.2, 0.3, 0.4])
def test_details_keep_their_place_between_pixels(period_px: float, step_px: float) -> None:
    """To 0.01 px; cubic convolution moves them by up to 0.04 px."""
    x = np.arange(SIDE) + 0.5
    wave = np.rint(128 + 100 * np.sin(2 * np.pi * x / period_px)).astype(np.uint8)
    source = make_raster(np.tile(wave, (SIDE, 1)))
    whole = Window(0, 0, SIDE, SIDE)
    assert source.transform is not None
    moved = replace(
        source.grid, transform=source.transform @ Affine.translation(step_px, 0), source=replace(source.grid)
    )
    found = warp(Patch(source.image, source.valid), whole, moved, whole).image[60, 20:100, 0].astype(float)
    phase = 2 * np.pi * (x[20:100] + step_px) / period_px
    design = np.stack([np.sin(phase), np.cos(phase), np.ones(len(phase))], axis=1)
    sine, cosine, _ = np.linalg.lstsq(design, found, rcond=None)[0]
    assert abs(np.arctan2(cosine, sine)) * period_px / (2 * np.pi) < 0.01
