"""Gaussian sums over stacks of small maps."""

import math

import torch
from torch import Tensor

# Standard deviations at which a Gaussian is cut off.
_CUTOFF = 3.0


def gaussian(maps: Tensor, sigma: float) -> Tensor:
    """Maps (N, H, W) convolved with a Gaussian whose weights sum to 1; beyond their edges they count as 0."""
    return _convolve(maps, _weights(sigma))


def gaussian_squared(maps: Tensor, sigma: float) -> Tensor:
    """Maps (N, H, W) convolved with the squared weights of :func:`gaussian`."""
    return _convolve(maps, _weights(sigma).square())


def gaussian_moments(maps: Tensor, sigma: float) -> Tensor:
    """(2, N, H, W) mean offset (x, y) of maps (N, H, W) under the weights of :func:`gaussian`, times their mean."""
    weights = _weights(sigma)
    radius = len(weights) // 2
    offsets = weights * torch.arange(-radius, radius + 1)
    rows, columns = maps.shape[1:]
    x = _band(rows, weights) @ maps @ _band(columns, offsets).T
    y = _band(rows, offsets) @ maps @ _band(columns, weights)
    return torch.stack([x, y])


def _weights(sigma: float) -> Tensor:
    """(K,) weights along an axis."""
    radius = math.ceil(_CUTOFF * sigma)
    weights = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
    return weights / weights.sum()


def _convolve(maps: Tensor, weights: Tensor) -> Tensor:
    # for maps of cells, products with a matrix are many times faster than torch's convolution
    return _band(maps.shape[1], weights) @ maps @ _band(maps.shape[2], weights)


def _band(size: int, weights: Tensor) -> Tensor:
    """(S, S) matrix that correlates along an axis of a size with weights."""
    offset = torch.arange(size) - torch.arange(size)[:, None]
    radius = len(weights) // 2
    return torch.where(offset.abs() <= radius, weights[(radius + offset).clamp(0, 2 * radius)], 0.0)
