"""What neighbours agree on: exact for what is smooth, deaf to what is wrong, silent where nothing agrees."""

import numpy as np
import pytest
import torch

from s2match.core.matches import REACH_CELLS
from s2match.loftr.local_affine import LocalFit, _median, calibrated, fit_locally, weights_of

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
def test_smooth_displacements_are_agreed_on(degrees: float, scale: float, within_px: float) -> None:
    """A turn is smooth, too; the little that is off lies at the edges, where neighbours are few and on one side."""
    displacement = turned(degrees, scale)
    agreed = fit_locally(CELLS, displacement, SURE, GRID)
    off = (agreed.displacement - displacement).norm(dim=1)
    assert off.max() < within_px
    assert agreed.support.median() > 60 and torch.allclose(agreed.scatter, off, atol=1e-4)


def test_noise_is_averaged() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.6 * torch.randn(len(CELLS), 2, generator=generator)
    agreed = fit_locally(CELLS, turned(2, 1) + noise, SURE, GRID)
    off = (agreed.displacement - turned(2, 1)).norm(dim=1)
    assert off.median() < 0.25 * noise.norm(dim=1).median()


def test_wrong_matches_neither_lead_nor_are_supported() -> None:
    """A third lies anywhere: the others are found as exactly, and what is wrong lies far from what is agreed on."""
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(CELLS), generator=generator) < 0.33
    displacement = torch.where(wrong[:, None], 300 * torch.randn(len(CELLS), 2, generator=generator), turned(0, 1))
    agreed = fit_locally(CELLS, displacement, SURE, GRID)
    assert (agreed.displacement - turned(0, 1))[~wrong].norm(dim=1).max() < 0.05
    assert (agreed.scatter[wrong] > 6).float().mean() > 0.95 and agreed.scatter[~wrong].max() < 0.05


def test_chance_has_no_support() -> None:
    generator = torch.Generator().manual_seed(0)
    some = torch.randperm(len(CELLS), generator=generator)[:200].sort()[0]
    agreed = fit_locally(some, 200 * torch.randn(200, 2, generator=generator), torch.full((200,), 0.5), GRID)
    assert ((agreed.support > 2) & (agreed.scatter < 3)).sum() == 0


def test_a_match_alone_is_its_own_consensus() -> None:
    agreed = fit_locally(torch.tensor([77]), torch.tensor([[4.0, -2.0]]), torch.ones(1), GRID)
    assert torch.allclose(agreed.displacement, torch.tensor([[4.0, -2.0]]), atol=1e-3)
    assert agreed.support < 1e-5 and agreed.share == 0


def test_neighbours_are_those_within_reach() -> None:
    """Two groups further apart than the reach do not hear of each other."""
    left = CELLS[(CELLS % GRID[1] < 10)]
    right = CELLS[(CELLS % GRID[1] >= 10 + REACH_CELLS)]
    cells = torch.cat([left, right]).sort()[0]
    displacement = torch.where((cells % GRID[1] < 10)[:, None], 5.0, -5.0).expand(-1, 2)
    agreed = fit_locally(cells, displacement, torch.ones(len(cells)), GRID)
    assert torch.allclose(agreed.displacement, displacement, atol=1e-3)


def test_support_from_one_side_is_worth_less() -> None:
    """At a corner a quarter of the neighbours is there, and what they say is extrapolated."""
    agreed = fit_locally(CELLS, turned(0, 1), SURE, GRID)
    middle = int(agreed.support.argmax())
    assert agreed.support[0] < 0.15 * agreed.support[middle]
    assert agreed.support[middle] == pytest.approx((2 * REACH_CELLS + 1) ** 2 - 1, rel=0.01)
    assert torch.allclose(agreed.share, torch.ones(len(CELLS)), atol=1e-3)


def test_the_share_that_agrees_tells_what_is_disputed() -> None:
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(CELLS), generator=generator) < 0.4
    displacement = torch.where(wrong[:, None], 300 * torch.randn(len(CELLS), 2, generator=generator), turned(0, 1))
    assert fit_locally(CELLS, displacement, SURE, GRID).share.median() == pytest.approx(0.6, abs=0.05)


def test_sharp_heatmaps_and_sure_matches_weigh_more() -> None:
    sure, unsure, wide = weights_of(torch.tensor([0.9, 0.3, 0.9]), torch.tensor([0.5, 0.5, 4.0])).tolist()
    assert sure == pytest.approx(3 * unsure) and wide < unsure


def test_confidence_rises_with_support_and_share() -> None:
    nothing = torch.zeros(3)
    agreed = LocalFit(torch.zeros(3, 2), nothing, torch.tensor([3.0, 40.0, 40.0]), torch.tensor([0.8, 0.8, 0.1]))
    few, many, disputed = calibrated(agreed, (-2.0, 1.5, 0.9)).tolist()
    assert few < many and disputed < many
    assert many == pytest.approx(1 / (1 + np.exp(2 - 1.5 * np.log(40) - 0.9 * np.log(0.8))), abs=1e-6)


def test_medians_are_those_of_pytorch() -> None:
    """Which takes them on other devices: the lower of the two in the middle, of those that are there."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 50, 121, generator=generator)
    there = torch.rand(50, 121, generator=generator) < torch.linspace(0.02, 1, 50)[:, None]
    there[:, 60] = True
    wanted = torch.where(there, values, torch.nan).nanmedian(2).values
    assert torch.equal(_median(values, there), wanted)
