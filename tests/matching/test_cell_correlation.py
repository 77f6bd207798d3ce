"""Shifts in windows of cells, with covariances that hold."""

import numpy as np
import pytest
import torch
from conftest import texture
from test_subpixel import grey, shifted, through

from s2match.core.matches import GreyImage
from s2match.matching.cell_correlation import CELL_PX, CellProducts, LocalShifts, correlate, distinct_shifts
from s2match.matching.displacement import SIGMAS
from s2match.matching.orientations import fine_pixels, orientations, warped

SIDE = 400
RADIUS = 4


def products_of(reference: GreyImage, target: GreyImage) -> CellProducts:
    return correlate(orientations(reference), warped(fine_pixels(target), lambda xy: xy, (SIDE, SIDE), RADIUS))


def inner_cells(margin: int = 6, step: int = 2) -> np.ndarray:
    along = np.arange(margin, SIDE // CELL_PX - margin, step)
    return np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)


def shifts_of(reference: GreyImage, target: GreyImage, least_prominence: float = 2.0) -> LocalShifts:
    return distinct_shifts(products_of(reference, target), inner_cells(), SIGMAS, least_prominence)


def test_products_are_those_of_every_pixel_of_a_cell() -> None:
    first, second = (grey(texture(SIDE, SIDE, seed=seed, detail_px=2)) for seed in (1, 2))
    features0 = orientations(first)
    features1 = warped(fine_pixels(second), lambda xy: xy, (SIDE, SIDE), RADIUS)
    products = correlate(features0, features1)
    assert products.shape == (SIDE // CELL_PX, SIDE // CELL_PX)
    row, column, down, right = 7, 11, 2, 6
    cell0 = features0.values[:, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
    cell1 = features1.values[:, row * 8 + down : row * 8 + 8 + down, column * 8 + right : column * 8 + 8 + right]
    expected = float((cell0 * cell1).sum() / 64)
    assert float(products.products[down, right, row, column]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (1, -2), (2, 2)])
def test_whole_shifts_are_exact_in_the_narrowest_window(x: int, y: int) -> None:
    image = texture(SIDE, SIDE, seed=3, detail_px=2)
    shifts = shifts_of(grey(image), grey(through(image, shifted(x, y))))
    assert len(shifts) == len(inner_cells()) and shifts.sigma_cells.max() == pytest.approx(SIGMAS[0])
    assert np.abs(shifts.shift_px - [x, y]).max() < 0.02
    assert shifts.correlation.min() > 0.9


@pytest.mark.parametrize("noise", [4.0, 8.0])
def test_covariances_are_those_of_the_errors(noise: float) -> None:
    """Noise in both images: squared errors, normalised by the covariance, have a mean of 2."""
    image, rng = texture(SIDE, SIDE, seed=4, detail_px=2).astype(np.float32), np.random.default_rng(0)
    squares = []
    for _ in range(4):
        pair = [grey(image + rng.normal(0, noise, image.shape).astype(np.float32)) for _ in range(2)]
        shifts = shifts_of(*pair)
        inverse = np.linalg.inv(shifts.covariance_px2)
        right = np.linalg.norm(shifts.shift_px, axis=1) < 1.5
        assert right.mean() > 0.99
        squares.append(np.einsum("ni,nij,nj->n", shifts.shift_px, inverse, shifts.shift_px)[right].mean())
    assert 1.4 < np.mean(squares) < 2.8


def test_noisier_places_are_measured_in_wider_windows() -> None:
    image, rng = texture(SIDE, SIDE, seed=5, detail_px=2).astype(np.float32), np.random.default_rng(0)
    noisy = image.copy()
    noisy[:, 200:] += rng.normal(0, 45, (SIDE, 200)).astype(np.float32)
    shifts = shifts_of(grey(image), grey(noisy), 3.0)
    right = shifts.cells[:, 1] > 30
    assert shifts.sigma_cells[~right & (shifts.cells[:, 1] < 20)].max() == pytest.approx(SIGMAS[0])
    assert np.median(shifts.sigma_cells[right]) > 1.01 * SIGMAS[0]
    assert np.percentile(np.linalg.norm(shifts.shift_px[right], axis=1), 95) < 1


def test_different_images_have_hardly_any_distinct_peak() -> None:
    pair = (grey(texture(SIDE, SIDE, seed=seed, detail_px=2)) for seed in (6, 7))
    assert len(shifts_of(*pair, least_prominence=3.0)) < 0.05 * len(inner_cells())


def test_smooth_images_have_broad_peaks_that_count() -> None:
    """Structures are wider than the radius, so that no other correlation is low."""
    image = texture(SIDE, SIDE, seed=8, detail_px=6)
    shifts = shifts_of(grey(image), grey(through(image, shifted(0.5, -0.25))))
    assert len(shifts) > 0.95 * len(inner_cells())
    assert np.abs(np.median(shifts.shift_px, axis=0) - [0.5, -0.25]).max() < 0.1


def test_the_middle_of_a_cloud_is_not_measured_by_the_ground_around_it() -> None:
    image = texture(SIDE, SIDE, seed=9, detail_px=2)
    cloudy = image.copy()
    cloudy[120:280, 120:280] = 250
    shifts = shifts_of(grey(image), grey(cloudy), 3.0)
    assert len(shifts) > 0
    assert np.abs((shifts.cells + 0.5) * CELL_PX - 200).max(axis=1).min() > 60


def test_masked_cells_do_not_count() -> None:
    image = texture(SIDE, SIDE, seed=10, detail_px=2)
    valid = np.ones((SIDE, SIDE), bool)
    valid[:, 200:] = False
    shifts = shifts_of(grey(image * valid, valid), grey(image))
    assert shifts.cells[:, 1].max() * CELL_PX < 240
    assert torch.all(products_of(grey(image * valid, valid), grey(image)).valid[:, 26:] == 0)
