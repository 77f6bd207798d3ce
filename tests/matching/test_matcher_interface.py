"""Any matcher with the interface matches rasters and grids, without LoFTR."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from conftest import Writer, make_raster, texture
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.core.scene import scene_of
from s2match.errors import NoValidPixelsError
from s2match.io.pair_grid import grids_of
from s2match.matching import tiled
from s2match.matching.matcher import Matcher
from s2match.matching.single_pass import match_rasters
from s2match.matching.tiled import match_grids, previews_of
from s2match.settings import Settings

SIDE = 320
SHIFT = (3.0, -2.0)


@dataclass(frozen=True)
class Cells:
    """An encoded image: its size and the cells of 8 px that take part."""

    shape: tuple[int, int]
    mask: NDArray[np.bool_]

    @property
    def nbytes(self) -> int:
        return self.mask.nbytes

    def within(self, cells: NDArray[np.bool_]) -> "Cells":
        return Cells(self.shape, cells)


class ConstantShift:
    """A matcher that knows the shift between the images, and matches the centre of each cell."""

    device = "abacus"
    bytes_per_pixel = 1
    free_bytes = 1 << 30

    def no_matches(self, confidence: float) -> Matches:
        return self._matches(np.zeros((0, 2)), confidence)

    def encode(self, image: GreyImage) -> Cells:
        return Cells(image.valid.shape, image.valid[4::8, 4::8])

    def match_encoded(
        self,
        reference: Cells,
        target: Cells,
        confidence: float,
        bands: NDArray[np.int64] | None = None,
        to_refine: bool = False,
    ) -> Matches:
        xy = np.argwhere(reference.mask)[:, ::-1] * 8 + 4.5
        return self._matches(xy[((xy + SHIFT >= 0) & (xy + SHIFT < target.shape[::-1])).all(axis=1)], confidence)

    def _matches(self, xy: NDArray[np.float64], confidence: float) -> Matches:
        return Matches(xy, xy + SHIFT, np.full(len(xy), 0.95), Provenance("constant shift", self.device, confidence))


def test_rasters_are_matched_by_any_matcher() -> None:
    matcher: Matcher[Any] = ConstantShift()
    raster = make_raster(texture(SIDE, SIDE))
    matches = match_rasters(matcher, raster, raster, Settings(confidence=0.5, refine=False))
    assert len(matches) > 1000 and matches.origin == Provenance("constant shift", "abacus", 0.5)
    assert len(match_rasters(matcher, raster, raster, Settings(max_points=50, refine=False))) <= 50


def test_the_log_tells_the_prior_the_windows_and_the_model(
    write_image: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tiled, "ONE_PASS_PX", 256)
    monkeypatch.setattr(tiled, "REDUCED_SIDE_PX", 256)
    path = write_image("a.tif", texture(SIDE, SIDE))
    grids = grids_of(scene_of(path), scene_of(path), None)
    with caplog.at_level(logging.INFO, "s2match"):
        matches = match_grids(ConstantShift(), grids, previews_of(*grids), Settings(refine=False))
    assert len(matches) > 100
    assert "search prior: translation of" in caplog.text and f"window 1 of 1: {len(matches)} matches" in caplog.text
    assert "translation: " in caplog.text and "error on held-out matches: translation 0.000" in caplog.text


def test_matching_imports_no_matcher() -> None:
    code = "import sys, s2match.matching.tiled; print([m for m in sys.modules if m.startswith('s2match.loftr')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_an_image_without_valid_pixels_is_an_error_of_its_own() -> None:
    image = texture(128, 128, seed=1)
    empty = make_raster(image, valid=np.zeros(image.shape, np.bool_), name="empty.tif")
    for pair in ((make_raster(image), empty), (empty, make_raster(image))):
        with pytest.raises(NoValidPixelsError, match=r"empty\.tif has no valid pixel to match"):
            match_rasters(ConstantShift(), *pair, Settings())
