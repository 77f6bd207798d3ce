"""Gaussian windows around cells of stacks of small maps."""

import math

import torch
from torch import Tensor
from torch.nn import functional

# Standard deviations at which a Gaussian is cut off.
_CUTOFF = 3.0

# Values that are gathered at once, to bound memory.
_GATHERED = 4_000_000


def gaussian_at(maps: Tensor, sigma: float, cells: Tensor) -> Tensor:
    """Means of maps in Gaussian windows whose weights sum to 1; beyond the edges of the maps they count as 0.

    Args:
        maps: (N, H, W).
        sigma: Standard deviation of the windows.
        cells: (M, 2) row and column of the middle of each window.

    Returns:
        (N, M).
    """
    return _convolved_at(maps, _weights(sigma), cells)


def gaussian_squared_at(maps: Tensor, sigma: float, cells: Tensor) -> Tensor:
    """(N, M) sums with the squared weights of :func:`gaussian_at`."""
    return _convolved_at(maps, _weights(sigma).square(), cells)


def gaussian_moments_at(maps: Tensor, sigma: float, indices: Tensor, cells: Tensor) -> Tensor:
    """Mean offsets of maps from the middle of a Gaussian window, weighted by the map, and not divided by its mean.

    Args:
        maps: (N, H, W); beyond their edges they count as 0.
        sigma: Standard deviation of the windows.
        indices: (M,) map of each window.
        cells: (M, 2) row and column of its middle.

    Returns:
        (M, 2) offsets (x, y).
    """
    weights = _weights(sigma)
    radius = len(weights) // 2
    along = torch.arange(-radius, radius + 1)
    both = torch.stack([weights, weights * along], 1)
    padded = functional.pad(maps, (radius,) * 4)
    columns = padded.shape[2]
    corner = (indices * padded.shape[1] + cells[:, 0]) * columns + cells[:, 1]
    step = ((along + radius)[:, None] * columns + along + radius).flatten()
    parts = [torch.empty(0, 2)]
    for block in corner.split(max(1, _GATHERED // len(step))):  # type: ignore[no-untyped-call]
        values = padded.flatten()[block[:, None] + step].view(-1, len(along), len(along))
        moments = both.T @ values @ both
        parts.append(torch.stack([moments[:, 0, 1], moments[:, 1, 0]], 1))
    return torch.cat(parts)


def _weights(sigma: float) -> Tensor:
    """(K,) weights along an axis."""
    radius = math.ceil(_CUTOFF * sigma)
    weights = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
    return weights / weights.sum()


def _convolved_at(maps: Tensor, weights: Tensor, cells: Tensor) -> Tensor:
    """(N, M) maps (N, H, W) convolved with weights along both axes, at (M, 2) cells."""
    # for maps of cells, products with a matrix are many times faster than torch's convolution
    rows, row = torch.unique(cells[:, 0], return_inverse=True)
    columns, column = torch.unique(cells[:, 1], return_inverse=True)
    convolved = _band(maps.shape[1], weights)[rows] @ maps @ _band(maps.shape[2], weights)[:, columns]
    return convolved[:, row, column]


def _band(size: int, weights: Tensor) -> Tensor:
    """(S, S) matrix that correlates along an axis of a size with weights."""
    offset = torch.arange(size) - torch.arange(size)[:, None]
    radius = len(weights) // 2
    return torch.where(offset.abs() <= radius, weights[(radius + offset).clamp(0, 2 * radius)], 0.0)
