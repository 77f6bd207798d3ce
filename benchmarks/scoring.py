"""Scores of a method on a pair, by the georeference."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray

from benchmarks.exact_sampling import pixel_centres, sampled
from benchmarks.trust import Trust, trust_of
from s2match.core.footprint import common_corners
from s2match.core.georeference import predict
from s2match.core.grid import Grid
from s2match.core.matches import Matches
from s2match.core.raster import Raster
from s2match.registration.evidence import FitFailure
from s2match.registration.fit import fit
from s2match.registration.model import apply_matrix

RIGHT_PX = 1.5
REGISTERED_PX = 1.0
SURE = 0.8
WITHIN_PX = (0.25, 0.5, 1.0, 1.5, 3.0)
CONFIDENCE_STEPS = tuple(k / 10 for k in range(11))

_CELL_PX = 8
_NEAR_PX = 4.0
_LEAST_FOR_SLOPE = 50


@dataclass(frozen=True)
class Score:
    """Scores of a method on a pair.

    Attributes:
        reference: Tile and sensing time of the reference.
        target: Tile and sensing time of the target.
        matches: Matches above the confidence; 0 for a method that returns a matrix.
        right: Matches within ``RIGHT_PX`` of the truth.
        above_08: Matches with a confidence above ``SURE``.
        right_above_08: Number of them within ``RIGHT_PX`` of the truth.
        within: Matches within each of ``WITHIN_PX``.
        by_confidence: Histograms over ``CONFIDENCE_STEPS`` of all matches and of right ones.
        median_px: Median error of the right matches; None without any.
        slope: Slope of the matched against the true offsets from the nearest point of LoFTR's coarse grid: 1 is right,
            0 means that matches stay on the grid. None where the true offsets are about 0, or matches are few.
        corner_px: Error of the model at the worst corner of the common footprint; None without a model.
        trust: What the result says of its own errors, against the truth; None without a model fitted to matches.
    """

    reference: str
    target: str
    matches: int
    right: int
    above_08: int
    right_above_08: int
    within: list[int]
    by_confidence: list[list[int]]
    median_px: float | None
    slope: float | None
    corner_px: float | None
    trust: Trust | None = None

    @property
    def registered(self) -> bool:
        """Whether all corners of the model are within ``REGISTERED_PX`` of the truth."""
        return self.corner_px is not None and self.corner_px <= REGISTERED_PX


def moved(raster: Raster, offset: tuple[float, float]) -> Raster:
    """Crop the left and upper edges of an image by (x, y) pixels, with the georeference of the crop.

    A fraction of a pixel is resampled (quintic splines), and pixels next to nodata become invalid.
    """
    whole = np.floor(offset).astype(int)
    part = np.s_[whole[1] :, whole[0] :]
    image, valid = raster.image[part], raster.valid[part]
    x, y = np.array(offset) - whole
    if x or y:
        image = sampled(image, pixel_centres((image.shape[1], image.shape[0])) + (x, y))
        valid = cv2.erode(valid.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert raster.transform is not None
    size = (image.shape[1], image.shape[0])
    grid = Grid(size, raster.transform @ Affine.translation(*offset), raster.crs, size, raster.scene)
    return Raster(grid, np.ascontiguousarray(image), np.ascontiguousarray(valid))


def score(reference: Raster, target: Raster, result: Matches | NDArray[np.float64] | None) -> Score:
    """Score the result of a method on a pair by the georeference.

    Args:
        reference: The georeferenced reference.
        target: The georeferenced target.
        result: Matches, to which :func:`s2match.registration.fit.fit` fits a model; or a 3×3 matrix from reference to
            target pixels; or None.
    """
    trust = None
    if isinstance(result, Matches):
        registration = fit(result)
        if not isinstance(registration, FitFailure):
            trust = trust_of(reference, target, result, registration)
        map_points = None if isinstance(registration, FitFailure) else registration.apply
        error = np.linalg.norm(result.xy1 - predict(result.xy0, reference, target), axis=1)
        confidence, slope = result.confidence, _slope(result, reference, target)
    else:
        map_points = None if result is None else partial(apply_matrix, result)
        error, confidence, slope = np.empty(0), np.empty(0), None
    right, sure = error < RIGHT_PX, confidence > SURE
    return Score(
        reference.scene.path.stem.removesuffix("_TCI"),
        target.scene.path.stem.removesuffix("_TCI"),
        matches=len(error),
        right=int(right.sum()),
        above_08=int(sure.sum()),
        right_above_08=int((right & sure).sum()),
        within=[int((error < limit).sum()) for limit in WITHIN_PX],
        by_confidence=[
            np.histogram(confidence, CONFIDENCE_STEPS)[0].tolist(),
            np.histogram(confidence[right], CONFIDENCE_STEPS)[0].tolist(),
        ],
        median_px=float(np.median(error[right])) if right.any() else None,
        slope=slope,
        corner_px=None if map_points is None else _corner_error_px(map_points, reference, target),
        trust=trust,
    )


def _corner_error_px(
    map_points: Callable[[NDArray[np.float64]], NDArray[np.float64]], reference: Raster, target: Raster
) -> float:
    """Largest error of a model at the corners of the common footprint."""
    corners = common_corners(reference, target)
    error: NDArray[np.float64] = map_points(corners) - predict(corners, reference, target)
    return float(np.linalg.norm(error, axis=1).max())


def _slope(matches: Matches, reference: Raster, target: Raster) -> float | None:
    """The slope of :class:`Score`; the matches' reference points are the coarse grid."""
    if len(matches) < _LEAST_FOR_SLOPE:
        return None
    phase = matches.xy0[0] % _CELL_PX
    if np.ptp(matches.xy0 % _CELL_PX, axis=0).max() > 1e-3:
        return None
    true = predict(matches.xy0, reference, target)
    near = np.linalg.norm(matches.xy1 - true, axis=1) < _NEAR_PX
    grid = np.round((true - phase) / _CELL_PX) * _CELL_PX + phase
    matched_offset, true_offset = (matches.xy1 - grid)[near], (true - grid)[near]
    if near.sum() < _LEAST_FOR_SLOPE or np.abs(true_offset).mean() < 0.1:
        return None
    return float((matched_offset * true_offset).sum() / (true_offset**2).sum())
