"""Matched pairs that no network made, with errors that are known."""

from dataclasses import replace

import cv2
import numpy as np
from conftest import GRID, UTM, make_raster, texture

from s2match.core.matches import Matches, Provenance
from s2match.correction.evaluation import Agreement, Improvement, MeasuredPoints
from s2match.registration.fit import fit
from s2match.result import PairResult, assemble
from s2match.settings import Settings


def shifted_pair(
    right: int = 400,
    wrong: int = 20,
    shift: tuple[float, float] = (2.0, -1.0),
    georeferenced: bool = True,
    noise: float = 0.05,
    name: str = "T36UXA_{}T083601_TCI.jp2",
) -> PairResult:
    """Matches of images of 240 × 180 px of 10 m, whose target shows everything some (right, down) pixels away."""
    rng = np.random.default_rng(0)
    xy0 = rng.uniform(8, 172, (right + wrong, 2))
    xy1 = xy0 + shift + rng.normal(0, noise, xy0.shape)
    xy1[right:] = rng.uniform(8, 172, (wrong, 2))
    place = {"transform": GRID, "crs": UTM} if georeferenced else {"transform": None, "crs": None}
    image = texture(240, 180)
    moved = cv2.warpAffine(image, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float), (240, 180), borderMode=1)
    reference, target = (
        make_raster(image, **place, name=name.format(20180820)),
        make_raster(moved, **place, name=name.format(20190606)),
    )
    confidence = rng.uniform(0.8, 1, right + wrong)
    matches = Matches(xy0, xy1, confidence, Provenance("sentinel2", "cpu", 0.8))
    return assemble(reference, target, (reference, target), matches, fit(matches), Settings(device="cpu"))


GOOD = Agreement(480, 0.3, -0.2, 1.1, 1.9, 0.81, 1.2)
POOR = Agreement(420, 20.4, 10.1, 22.5, 23.2, 0.35, 0.4)


def corrected(result: PairResult, better: bool = True) -> Improvement:
    """A correction that put the target onto the reference, or the other way round."""
    reference, target = result.previews
    after = replace(reference, grid=replace(reference.grid, scene=target.scene))
    if better:
        return Improvement(POOR, GOOD, (reference, target, after), points=_points(result))
    return Improvement(GOOD, POOR, (reference, after, target), points=_points(result)[::-1])


def _points(result: PairResult) -> tuple[MeasuredPoints | None, MeasuredPoints | None]:
    """The inliers, and the same with their mean shift removed."""
    if result.inlier_errors is None or result.registration is None:
        return None, None
    matches = result.matches.subset(result.registration.inliers)
    shift_px = matches.xy1 - matches.xy0
    left_px, errors = shift_px - shift_px.mean(axis=0), result.inlier_errors
    after = replace(errors, east_m=10 * left_px[:, 0], north_m=-10 * left_px[:, 1])
    return MeasuredPoints(matches, shift_px, errors), MeasuredPoints(matches, left_px, after)
