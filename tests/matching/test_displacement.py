"""Two images are aligned by a smooth map."""

import cv2
import numpy as np
import pytest
from conftest import texture
from numpy.typing import NDArray
from test_subpixel import grey, shifted, turned

from s2match.matching.displacement import align
from s2match.registration.model import apply_matrix

SIDE = 512
AT = np.stack(np.meshgrid(np.arange(64, 449, 32.0), np.arange(64, 449, 32.0)), -1).reshape(-1, 2)


def bent(xy: NDArray[np.float64], length_px: float) -> NDArray[np.float64]:
    """Points of the reference for points of a target that is bent by waves as long as the image."""
    phase = 2 * np.pi * xy / SIDE
    return xy + length_px * np.stack([np.sin(phase[:, 1]), np.cos(phase[:, 0])], axis=1)


def bend(image: NDArray[np.uint8], length_px: float) -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    source = bent(np.stack([x, y], -1).reshape(-1, 2), length_px).reshape(SIDE, SIDE, 2).astype(np.float32) - 0.5
    return np.asarray(cv2.remap(image, source, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT), np.uint8)


@pytest.mark.parametrize("length_px", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_smooth_displacement_is_found(length_px: float, inverted: bool) -> None:
    image = texture(SIDE, SIDE, seed=1, detail_px=2)
    target = bend(image, length_px)
    aligned = align((grey(image), grey(255 - target if inverted else target)), np.eye(3))
    error = np.linalg.norm(bent(aligned.map_points(AT), length_px) - AT, axis=1)
    assert np.sqrt(np.mean(error**2)) < 0.05 and error.max() < 0.2


@pytest.mark.parametrize("off_px", [(4.0, -4.0), (-3.0, 4.5)])
def test_the_start_may_be_some_pixels_off(off_px: tuple[float, float]) -> None:
    image = texture(SIDE, SIDE, seed=2, detail_px=2)
    aligned = align((grey(image), grey(image)), shifted(*off_px))
    assert np.abs(aligned.map_points(AT) - AT).max() < 0.05


@pytest.mark.parametrize("side", [64, 96, 200])
def test_small_images_are_aligned(side: int) -> None:
    image = texture(side + 8, side + 8, seed=3, detail_px=2)
    pair = grey(image[:side, :side]), grey(image[3 : side + 3, 5 : side + 5])
    middle = np.full((1, 2), side / 2)
    assert np.abs(align(pair, np.eye(3)).map_points(middle) - middle - [-5, -3]).max() < 0.1


def test_turned_and_scaled_images_are_aligned() -> None:
    image = texture(400, 400, seed=4, detail_px=2)
    matrix = turned(12, 1.1)
    centred = matrix.copy()
    centred[:2, 2] += matrix[:2, :2] @ [0.5, 0.5] - 0.5
    target = cv2.warpAffine(image, centred[:2], (400, 400), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    start = matrix.copy()
    start[:2, 2] += [1.5, -2.0]
    at = np.stack(np.meshgrid(np.arange(100, 301, 20.0), np.arange(100, 301, 20.0)), -1).reshape(-1, 2)
    error = align((grey(image), grey(target)), start).map_points(at) - apply_matrix(matrix, at)
    assert np.abs(error).max() < 0.1


def test_without_distinct_peaks_the_start_is_kept() -> None:
    pair = grey(np.full((300, 300), 120, np.uint8)), grey(texture(300, 300, seed=5, detail_px=2))
    start = shifted(1.25, -0.5)
    at = np.full((1, 2), 150.0)
    assert np.allclose(align(pair, start).map_points(at), apply_matrix(start, at))
