"""The local affine fit is exact for smooth displacements, robust to outliers, and imprecise without neighbours."""

import numpy as np
import pytest
import torch

from s2match.core.matches import RADIUS_CELLS
from s2match.loftr.local_affine import LocalFit, _median, calibrated_confidence, fit_local_affine, match_weights

GRID = (24, 30)
CELLS = torch.arange(GRID[0] * GRID[1])
XY = torch.stack([CELLS % GRID[1], CELLS // GRID[1]], 1).float() * 8
SURE = torch.ones(len(CELLS))


def turned(degrees: float, scale: float) -> torch.Tensor:
    """Displacements of a turn and scale."""
    angle = np.deg2rad(degrees)
    matrix = scale * torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).float()
    return XY @ matrix.T - XY + torch.tensor([3.0, -7.0])


@pytest.mark.parametrize(("degrees", "scale", "within_px"), [(0, 1, 1e-3), (3, 1.02, 0.06), (10, 1.1, 0.25)])
def test_smooth_displacements_are_fitted(degrees: float, scale: float, within_px: float) -> None:
    """A rotation is smooth, too; the small errors lie at the edges, where neighbours are few and on one side."""
    displacement = turned(degrees, scale)
    fit = fit_local_affine(CELLS, displacement, SURE, GRID)
    off = (fit.displacement - displacement).norm(dim=1)
    assert off.max() < within_px
    assert fit.precision.median() > 60 and torch.allclose(fit.raw_residual_px, off, atol=1e-4)


def test_fits_are_evaluated_around_their_match() -> None:
    displacement = turned(3, 1.02)
    inside = (CELLS % GRID[1] > 6) & (CELLS % GRID[1] < GRID[1] - 6) & (CELLS // GRID[1] == GRID[0] // 2)
    indices = CELLS[inside]
    fit = fit_local_affine(CELLS, displacement, SURE, GRID)
    moved = fit.around(indices, torch.tensor([[1.0, -1.0]]).expand(len(indices), 2))
    assert torch.allclose(moved.displacement, displacement[indices + 1 - GRID[1]], atol=0.05)
    assert torch.equal(moved.precision, fit.precision[indices])


def test_noise_is_averaged() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.6 * torch.randn(len(CELLS), 2, generator=generator)
    fit = fit_local_affine(CELLS, turned(2, 1) + noise, SURE, GRID)
    off = (fit.displacement - turned(2, 1)).norm(dim=1)
    assert off.median() < 0.25 * noise.norm(dim=1).median()


def test_outliers_neither_bias_the_fit_nor_pass_it() -> None:
    """A third lies anywhere: the fit at the others is as exact, and outliers have large residuals."""
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(CELLS), generator=generator) < 0.33
    displacement = torch.where(wrong[:, None], 300 * torch.randn(len(CELLS), 2, generator=generator), turned(0, 1))
    fit = fit_local_affine(CELLS, displacement, SURE, GRID)
    assert (fit.displacement - turned(0, 1))[~wrong].norm(dim=1).max() < 0.05
    assert (fit.raw_residual_px[wrong] > 6).float().mean() > 0.95 and fit.raw_residual_px[~wrong].max() < 0.05


def test_random_matches_have_no_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randperm(len(CELLS), generator=generator)[:200].sort()[0]
    fit = fit_local_affine(cells, 200 * torch.randn(200, 2, generator=generator), torch.full((200,), 0.5), GRID)
    assert ((fit.precision > 2) & (fit.raw_residual_px < 3)).sum() == 0


def test_a_single_match_is_its_own_fit() -> None:
    fit = fit_local_affine(torch.tensor([77]), torch.tensor([[4.0, -2.0]]), torch.ones(1), GRID)
    assert torch.allclose(fit.displacement, torch.tensor([[4.0, -2.0]]), atol=1e-3)
    assert fit.precision < 1e-5 and fit.inlier_fraction == 0


def test_neighbours_are_those_within_the_radius() -> None:
    """Two groups further apart than the radius have no influence on each other."""
    left = CELLS[(CELLS % GRID[1] < 10)]
    right = CELLS[(CELLS % GRID[1] >= 10 + RADIUS_CELLS)]
    cells = torch.cat([left, right]).sort()[0]
    displacement = torch.where((cells % GRID[1] < 10)[:, None], 5.0, -5.0).expand(-1, 2)
    fit = fit_local_affine(cells, displacement, torch.ones(len(cells)), GRID)
    assert torch.allclose(fit.displacement, displacement, atol=1e-3)


def test_precision_is_lower_with_neighbours_on_one_side() -> None:
    """At a corner a quarter of the neighbours is present, and the fit is extrapolated."""
    fit = fit_local_affine(CELLS, turned(0, 1), SURE, GRID)
    middle = int(fit.precision.argmax())
    assert fit.precision[0] < 0.15 * fit.precision[middle]
    assert fit.precision[middle] == pytest.approx((2 * RADIUS_CELLS + 1) ** 2 - 1, rel=0.01)
    assert torch.allclose(fit.inlier_fraction, torch.ones(len(CELLS)), atol=1e-3)


def test_inlier_fraction_is_that_of_the_neighbours() -> None:
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(CELLS), generator=generator) < 0.4
    displacement = torch.where(wrong[:, None], 300 * torch.randn(len(CELLS), 2, generator=generator), turned(0, 1))
    assert fit_local_affine(CELLS, displacement, SURE, GRID).inlier_fraction.median() == pytest.approx(0.6, abs=0.05)


def test_sharp_heatmaps_and_sure_matches_weigh_more() -> None:
    sure, unsure, wide = match_weights(torch.tensor([0.9, 0.3, 0.9]), torch.tensor([0.5, 0.5, 4.0])).tolist()
    assert sure == pytest.approx(3 * unsure) and wide < unsure


def test_confidence_rises_with_precision_and_inlier_fraction() -> None:
    nothing = torch.zeros(3)
    fit = LocalFit(
        torch.zeros(3, 2), torch.zeros(3, 2, 2), nothing, torch.tensor([3.0, 40.0, 40.0]), torch.tensor([0.8, 0.8, 0.1])
    )
    few, many, disputed = calibrated_confidence(fit, (-2.0, 1.5, 0.9)).tolist()
    assert few < many and disputed < many
    assert many == pytest.approx(1 / (1 + np.exp(2 - 1.5 * np.log(40) - 0.9 * np.log(0.8))), abs=1e-6)


def test_medians_are_those_of_pytorch() -> None:
    """PyTorch computes them on other devices: the lower of the two middle values of the present ones."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 50, 121, generator=generator)
    present = torch.rand(50, 121, generator=generator) < torch.linspace(0.02, 1, 50)[:, None]
    present[:, 60] = True
    wanted = torch.where(present, values, torch.nan).nanmedian(2).values
    assert torch.equal(_median(values, present), wanted)
