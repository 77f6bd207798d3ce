"""What the neighbours of a match agree on: where the ground around it went.

A single match is noisy, and drawn to the middle of the window it was sought in; the ground around it moves nearly
alike. So a small affine model is fitted to the displacements of the matches in the cells around each one, those that
disagree counting little. It is what tie-point software does when it correlates windows instead of points, and, to tell
wrong matches by their neighbours, what grid-based motion statistics do (Bian et al., "GMS", CVPR 2017).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from s2match.core.matches import REACH_CELLS
from s2match.loftr.token_table import TokenTable

# Neighbours further than this from the median of them all take no part, a cell away and, by cell, further on.
_NEAR_PX, _NEAR_PX_PER_CELL = 3.0, 1.6

# How the weight of a neighbour falls with its distance from the model, and how often it is taken anew.
_SCALE_PX, _ROUNDS = 1.0, 3

# What is known beforehand, no scale or turn, weighs as much as this.
_PRIOR = 0.5

# Less than this is nothing, where a division or a logarithm asks for more.
_LEAST_KNOWN, _LEAST_EVIDENCE = 1e-6, 0.05

# Added to the variance of a heatmap: the sharpest are not as exact as they look.
_LEAST_VARIANCE_PX2 = 0.3


@dataclass(frozen=True)
class LocalFit:
    """What was agreed on around each of N matches.

    Attributes:
        displacement: (N, 2) pixels (x, y) from the reference's point to the target's.
        scatter: (N,) pixels from there to the match itself.
        support: (N,) how exactly the neighbours that agree fix the point, the match itself left out: their weight where
            they lie all around it, less where they lie to one side.
        share: (N,) the weight of those that agree over that of all that are there.
    """

    displacement: Tensor
    scatter: Tensor
    support: Tensor
    share: Tensor


def weights_of(confidence: Tensor, variance_px2: Tensor) -> Tensor:
    """(N,) what matches weigh: how sure they are, over how widely the fine stage spreads them."""
    return confidence / (variance_px2 + _LEAST_VARIANCE_PX2)


def fit_locally(cells: Tensor, displacement: Tensor, weights: Tensor, grid: tuple[int, int]) -> LocalFit:
    """Fit the displacements around every match.

    Args:
        cells: (N,) cells of the reference, row by row over the grid, each at most once.
        displacement: (N, 2) pixels (x, y) from the reference's point to the target's.
        weights: (N,) what each match counts, see :func:`weights_of`.
        grid: Rows and columns.
    """
    around = TokenTable(cells, grid, REACH_CELLS).around(cells)
    steps = _steps(cells.device)
    there = around >= 0
    around = around.clamp(min=0)
    # x and y apart: everything below runs along the neighbours
    moved, weight = displacement.T.contiguous()[:, around], weights[around] * there
    middle = _median(moved, there)
    allowed = _NEAR_PX + _NEAR_PX_PER_CELL * steps.abs().amax(1)
    near = weight * ((moved - middle[..., None]).abs().amax(0) <= allowed)
    design = torch.cat([torch.ones_like(steps[:, :1]), steps], 1)
    counted, model = near, moved.new_zeros(len(cells), 3, 2)
    for _ in range(_ROUNDS):
        model = torch.linalg.solve(_known(design, counted), ((moved * counted) @ design).permute(1, 2, 0))
        off_px2 = (moved - model.permute(2, 0, 1) @ design.T).square().sum(0)
        counted = near / (1 + off_px2 / _SCALE_PX**2) ** 2
    others = (steps != 0).any(1)
    counted, weight = counted * others, weight * others
    support = torch.linalg.inv(_known(design, counted))[:, 0, 0].reciprocal()
    share = counted.sum(1) / weight.sum(1).clamp(min=_LEAST_KNOWN)
    local_fit = model[:, 0]
    return LocalFit(local_fit, (displacement - local_fit).norm(dim=1), support, share)


def _median(values: Tensor, there: Tensor) -> Tensor:
    """(2, N) lower medians of values (2, N, K), of those that are there (N, K), one at least."""
    if values.device.type != "cpu":
        return torch.where(there, values, torch.nan).nanmedian(2).values
    # NumPy sorts short rows twenty times as fast as PyTorch finds their medians
    ordered = np.sort(torch.where(there, values, torch.inf).numpy())
    middle = (there.sum(1).numpy() - 1) // 2
    return torch.from_numpy(ordered[:, np.arange(len(middle)), middle])


def _known(design: Tensor, counted: Tensor) -> Tensor:
    """(N, 3, 3) normal matrices of weights (N, K), with what is known beforehand."""
    # a neighbourhood of a few matches in a line tells no slope across it
    prior = torch.diag(torch.tensor([_LEAST_KNOWN, _PRIOR, _PRIOR], device=design.device))
    products = (design[:, :, None] * design[:, None, :]).flatten(1)
    return (counted @ products).view(-1, *prior.shape) + prior


def calibrated(local_fit: LocalFit, calibration: tuple[float, float, float]) -> Tensor:
    """How likely matches are right by what their neighbours do; beside that the network's own confidence tells nothing.

    Args:
        agreed: What was agreed on around the matches.
        calibration: Of a logistic regression: constant, and factors of the logarithms of the support and of the share;
            ``training.calibrate`` finds them.

    Returns:
        (N,) in [0, 1].
    """
    known = evidence(local_fit.support, local_fit.share)
    return torch.sigmoid(calibration[0] + known @ known.new_tensor(calibration[1:]))


def evidence(support: Tensor, share: Tensor) -> Tensor:
    """(N, 2) what :func:`calibrated` weighs."""
    return torch.stack([support, share], 1).clamp(min=_LEAST_EVIDENCE).log()


def _steps(device: torch.device) -> Tensor:
    """(K, 2) steps (x, y) in cells to the neighbours that are asked, row-major."""
    reach = torch.arange(2.0 * REACH_CELLS + 1, device=device) - REACH_CELLS
    return torch.stack(torch.meshgrid(reach, reach, indexing="xy"), -1).flatten(0, 1)
