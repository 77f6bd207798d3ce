"""Robust local affine fit of match displacements, one per match, from the matches in the cells around it.

A single fine match is noisy and biased towards the centre of its window, while neighbouring matches share nearly one
affine displacement. The fit smooths the points. Its residual and weight identify wrong matches, as in grid-based motion
statistics (Bian et al., "GMS", CVPR 2017). Fitted by iteratively reweighted least squares with the Geman-McClure
weights 1 / (1 + r²)².
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from s2match.core.matches import RADIUS_CELLS
from s2match.loftr.tokens import TokenTable

# Neighbours further from the median displacement than this take no part; the limit grows with distance in cells.
_MAX_DEVIATION_PX, _MAX_DEVIATION_PX_PER_CELL = 3.0, 1.6

# Scale of the robust weights, and number of reweighted fits.
_SCALE_PX, _FITS = 1.0, 3

# Precision of the prior "no scale, shear or rotation" on the linear coefficients, in (cells per px)².
_PRIOR_PRECISION = 0.5

# Lower limits that keep divisions and logarithms finite.
_EPSILON, _MIN_FEATURE = 1e-6, 0.05

# Added to the variance of a heatmap: sharp heatmaps are less exact than their variance says.
_EXTRA_VARIANCE_PX2 = 0.3


@dataclass(frozen=True)
class LocalFit:
    """Local affine fits around N matches.

    Attributes:
        displacement: (N, 2) fitted displacement (x, y) in pixels at the match, from the reference's to the target's
            point.
        slopes: (N, 2, 2) change of the displacement (x, y), pixels, by steps of a cell: to the right, and down.
        raw_residual_px: (N,) distance between the match's own displacement and the fitted one.
        precision: (N,) leave-one-out precision (inverse variance, px⁻²) of the fit at the match; lower where neighbours
            lie on one side.
        inlier_fraction: (N,) sum of the robust weights of the neighbours, divided by that of their weights before the
            fit; without the match itself.
    """

    displacement: Tensor
    slopes: Tensor
    raw_residual_px: Tensor
    precision: Tensor
    inlier_fraction: Tensor

    def around(self, indices: Tensor, steps: Tensor) -> "LocalFit":
        """The fits at (M,) indices, moved by (M, 2) steps (x, y) in cells; their quality is that of the fit."""
        moved = self.displacement[indices] + (steps[:, None] @ self.slopes[indices])[:, 0]
        return LocalFit(
            moved,
            self.slopes[indices],
            self.raw_residual_px[indices],
            self.precision[indices],
            self.inlier_fraction[indices],
        )


def match_weights(confidence: Tensor, variance_px2: Tensor) -> Tensor:
    """(N,) weights in px⁻² of matches in the local fits: confidence over the variance of the fine match."""
    return confidence / (variance_px2 + _EXTRA_VARIANCE_PX2)


def fit_local_affine(cells: Tensor, displacement: Tensor, weights: Tensor, grid: tuple[int, int]) -> LocalFit:
    """Local affine fit of the displacements around every match.

    Args:
        cells: (N,) row-major cells of the reference, each at most once.
        displacement: (N, 2) displacements (x, y) in pixels, from the reference's to the target's point.
        weights: (N,) weights of the matches, see :func:`match_weights`.
        grid: Rows and columns of the reference's cells.
    """
    neighbours = TokenTable(cells, grid, RADIUS_CELLS).around(cells)
    offsets = _neighbour_offsets(cells.device)
    present = neighbours >= 0
    neighbours = neighbours.clamp(min=0)
    # x and y apart, so that the operations below run along the neighbours
    moved, initial = displacement.T.contiguous()[:, neighbours], weights[neighbours] * present
    median = _median(moved, present)
    max_deviation = _MAX_DEVIATION_PX + _MAX_DEVIATION_PX_PER_CELL * offsets.abs().amax(1)
    near = initial * ((moved - median[..., None]).abs().amax(0) <= max_deviation)
    design = torch.cat([torch.ones_like(offsets[:, :1]), offsets], 1)
    robust, model = near, moved.new_zeros(len(cells), 3, 2)
    for _ in range(_FITS):
        model = torch.linalg.solve(_normal_matrices(design, robust), ((moved * robust) @ design).permute(1, 2, 0))
        residual_px2 = (moved - model.permute(2, 0, 1) @ design.T).square().sum(0)
        robust = near / (1 + residual_px2 / _SCALE_PX**2) ** 2
    others = (offsets != 0).any(1)
    robust, initial = robust * others, initial * others
    precision = torch.linalg.inv(_normal_matrices(design, robust))[:, 0, 0].reciprocal()
    inlier_fraction = robust.sum(1) / initial.sum(1).clamp(min=_EPSILON)
    fitted = model[:, 0]
    return LocalFit(fitted, model[:, 1:], (displacement - fitted).norm(dim=1), precision, inlier_fraction)


def calibrated_confidence(local_fit: LocalFit, calibration: tuple[float, float, float]) -> Tensor:
    """(N,) probability that each match is correct, by logistic regression on its local fit.

    The network's own confidence is not used: it adds nothing to the local fit.

    Args:
        local_fit: Local fits of the matches.
        calibration: Constant, and coefficients of the logarithms of precision and inlier fraction, as fitted by
            ``training.calibrate``.
    """
    features = calibration_features(local_fit.precision, local_fit.inlier_fraction)
    return torch.sigmoid(calibration[0] + features @ features.new_tensor(calibration[1:]))


def calibration_features(precision: Tensor, inlier_fraction: Tensor) -> Tensor:
    """(N, 2) features of the logistic regression: logarithms of precision and inlier fraction."""
    return torch.stack([precision, inlier_fraction], 1).clamp(min=_MIN_FEATURE).log()


def _neighbour_offsets(device: torch.device) -> Tensor:
    """(K, 2) offsets (x, y) in cells of the neighbourhood, row-major."""
    axis = torch.arange(2.0 * RADIUS_CELLS + 1, device=device) - RADIUS_CELLS
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).flatten(0, 1)


def _median(values: Tensor, present: Tensor) -> Tensor:
    """(2, N) lower medians over the neighbours of values (2, N, K), where present (N, K); at least one is present."""
    if values.device.type != "cpu":
        return torch.where(present, values, torch.nan).nanmedian(2).values
    # NumPy sorts short rows twenty times as fast as PyTorch finds their medians
    ordered = np.sort(torch.where(present, values, torch.inf).numpy())
    middle = (present.sum(1).numpy() - 1) // 2
    return torch.from_numpy(ordered[:, np.arange(len(middle)), middle])


def _normal_matrices(design: Tensor, weights: Tensor) -> Tensor:
    """(N, 3, 3) normal matrices of weights (N, K), plus the prior; a few matches on a line give no slope across it."""
    prior = torch.diag(torch.tensor([_EPSILON, _PRIOR_PRECISION, _PRIOR_PRECISION], device=design.device))
    products = (design[:, :, None] * design[:, None, :]).flatten(1)
    return (weights @ products).view(-1, *prior.shape) + prior
