"""Sub-pixel refinement is accurate, leaves the grid of 8 px, and does not depend on contrast."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import texture
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2match.core.matches import GreyImage, Matches, Provenance
from s2match.matching.displacement import align
from s2match.matching.postprocess import Region, postprocess
from s2match.matching.subpixel import refine
from s2match.registration.model import apply_matrix
from s2match.settings import Settings

SIDE = 400
STILL = np.eye(2)


Image = NDArray[np.uint8] | NDArray[np.float32]


def grey(image: Image, valid: NDArray[np.bool_] | None = None) -> GreyImage:
    return GreyImage(image.astype(np.float32) / 255, np.ones(image.shape, bool) if valid is None else valid)


def refined(matches: Matches, reference: GreyImage, target: GreyImage, linear: NDArray[np.float64]) -> Matches:
    """Matches refined from the median of their shifts."""
    start = np.eye(3)
    start[:2, :2] = linear
    if len(matches):
        start[:2, 2] = np.median(matches.xy1 - matches.xy0 @ linear.T, axis=0)
    return refine(matches, (reference, target), align((reference, target), start))


def through(image: Image, matrix: NDArray[np.float64]) -> Image:
    """The image resampled by a 3×3 matrix of the GDAL frame."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    centred = (np.linalg.inv(half) @ matrix @ half)[:2]
    carried = cv2.warpAffine(image, centred, (SIDE, SIDE), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(carried, image.dtype)


def shifted(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def turned(degrees: float, scale: float) -> NDArray[np.float64]:
    return np.vstack([cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, scale), [0, 0, 1]])


def rough_matches(matrix: NDArray[np.float64], off_px: float = 0.7, seed: int = 0) -> Matches:
    """Points on the network's grid, mapped by the matrix with errors of up to ``off_px`` in x and y."""
    at = np.arange(64, SIDE - 64, 16) + 0.5
    xy0 = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)
    off = np.random.default_rng(seed).uniform(-off_px, off_px, xy0.shape)
    count = len(xy0)
    return Matches(
        xy0, apply_matrix(matrix, xy0) + off, np.ones(count), Provenance("test", "cpu", 0.5), np.zeros(count)
    )


def errors(found: Matches, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(found.xy1 - apply_matrix(matrix, found.xy0), axis=1))


@settings(max_examples=8, deadline=None)
@given(st.integers(-96, 96), st.integers(-96, 96), st.booleans())
@example(0, 1, False)
def test_subpixel_shifts_are_measured_with_normal_and_inverted_contrast(x: int, y: int, odd: bool) -> None:
    # OpenCV moves images by whole 32nds of a pixel
    image, matrix = texture(SIDE, SIDE, seed=1, detail_px=2), shifted(x / 32, y / 32)
    # rounded to whole grey levels, 95 % of the pixels would not show that the image has moved by a 32nd
    target = through(image.astype(np.float32), matrix)
    matches = rough_matches(matrix)
    found = refined(matches, grey(image), grey(255 - target if odd else target), STILL)
    assert len(found) > 0.95 * len(matches)
    assert np.median(errors(found, matrix)) < 0.03 and errors(found, matrix).max() < 0.2
    assert np.abs((found.xy1 - apply_matrix(matrix, found.xy0)).mean(axis=0)).max() < 0.01
    assert found.similarity is not None and 0.8 < found.similarity.min() <= found.similarity.max() <= 1.001


@pytest.mark.parametrize(("degrees", "scale"), [(10, 1.0), (-4, 1.1), (0, 0.9)])
def test_rotated_and_scaled_images(degrees: float, scale: float) -> None:
    image, matrix = texture(SIDE, SIDE, seed=2, detail_px=2), turned(degrees, scale)
    matches = rough_matches(matrix)
    found = refined(matches, grey(image), grey(through(image, matrix)), matrix[:2, :2])
    assert len(found) > 0.9 * len(matches) and np.median(errors(found, matrix)) < 0.05


def test_scale_and_rotation_are_measured_by_the_matches() -> None:
    """The grids wrongly predict the same orientation."""
    image, matrix = texture(SIDE, SIDE, seed=2, detail_px=2), turned(8, 1.05)
    matches = rough_matches(matrix)
    found = postprocess(matches, (grey(image), grey(through(image, matrix))), Region(STILL), Settings(max_points=1000))
    assert len(found) > 0.9 * len(matches) and np.median(errors(found, matrix)) < 0.05


def test_points_of_the_reference_leave_the_grid_and_stay_distinct() -> None:
    image, matrix = texture(SIDE, SIDE, seed=3, detail_px=2), shifted(0.3, -0.4)
    at = np.arange(64, SIDE - 64, 8) + 0.5
    matches = rough_matches(matrix)
    xy0 = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)
    dense = Matches(xy0, xy0 + [0.3, -0.4], np.ones(len(xy0)), matches.origin)
    found = refined(dense, grey(image), grey(through(image, matrix)), STILL)
    assert len(np.unique(found.xy0, axis=0)) == len(found) > 0.9 * len(dense)
    assert (found.xy0 % 1 == 0.5).all() and len(np.unique(found.xy0[:, 0] % 8)) == 7
    assert np.abs(found.xy1 % 1 - 0.5).max() > 0.3


def test_matches_of_another_place_are_dropped() -> None:
    matches = rough_matches(np.eye(3))
    found = refined(matches, grey(texture(SIDE, SIDE, seed=4)), grey(texture(SIDE, SIDE, seed=5)), STILL)
    assert len(found) < 0.15 * len(matches)


def test_matches_that_are_far_off_are_dropped() -> None:
    image = texture(SIDE, SIDE, seed=6, detail_px=2)
    matches = rough_matches(np.eye(3), off_px=0.5)
    wrong = np.zeros(len(matches), bool)
    wrong[::4] = True
    off = replace(matches, xy1=matches.xy1 + np.where(wrong[:, None], [9.0, -7.0], 0.0))
    found = errors(refined(off, grey(image), grey(image), STILL), np.eye(3))
    assert (found < 0.1).sum() > 0.95 * (~wrong).sum()
    assert (found >= 0.1).sum() < 0.15 * wrong.sum()


def test_the_border_of_nodata_is_no_edge() -> None:
    """A straight border of nodata is shifted by 3 px against the ground."""
    image, matrix = texture(SIDE, SIDE, seed=7, detail_px=2), shifted(0.4, 0.2)
    valid0, valid1 = np.ones((2, SIDE, SIDE), bool)
    valid0[:, 200:], valid1[:, 203:] = False, False
    target = through(image, matrix)
    pair = grey(image * valid0, valid0), grey(target * valid1, valid1)
    found = postprocess(rough_matches(matrix), pair, Region(STILL), Settings(max_points=1000))
    assert errors(found, matrix).max() < 0.15 and found.xy0[:, 0].max() < 203
    assert (found.xy0[:, 0] > 170).any()


def test_no_matches_to_refine() -> None:
    some = rough_matches(np.eye(3))
    none = some.subset(np.zeros(len(some), bool))
    found = refined(none, grey(texture(SIDE, SIDE)), grey(texture(SIDE, SIDE)), STILL)
    assert len(found) == 0 and found.similarity is not None
