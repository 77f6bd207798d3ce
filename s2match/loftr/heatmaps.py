"""Heatmaps of fine matching: similarity logits, expected offset and variance (section 3.4 of the LoFTR paper)."""

import torch
from torch import Tensor

# Side of a fine window in samples, and pixels between samples of the fine feature map.
WINDOW = 5
STRIDE_PX = 2


def similarity_logits(window0: Tensor, window1: Tensor) -> Tensor:
    """Scaled dot products of window 0's centre feature with the 25 features of window 1, as kornia's ``FineMatching``.

    Args:
        window0: (N, 25, C) features of image 0.
        window1: (N, 25, C) features of image 1.

    Returns:
        (N, 25) logits, row-major over window 1.
    """
    centre = window0[:, window0.shape[1] // 2]
    logits: Tensor = torch.einsum("nc,nwc->nw", centre, window1) / window0.shape[-1] ** 0.5
    return logits


def expectation_px(heatmap: Tensor) -> Tensor:
    """(N, 2) expected offsets (x, y) in pixels from the window's centre, of (N, 25) heatmaps that sum to 1."""
    samples = _samples_px(heatmap.device)
    return torch.stack([marginal @ samples for marginal in _marginals(heatmap)], 1)


def variance_px2(heatmap: Tensor, expected_px: Tensor) -> Tensor:
    """(N,) variance in px², x and y summed, of (N, 25) heatmaps about their (N, 2) expected offsets."""
    squares = _samples_px(heatmap.device) ** 2
    along_x, along_y = _marginals(heatmap)
    return (along_x @ squares + along_y @ squares - (expected_px**2).sum(1)).clamp(min=0)


def _samples_px(device: torch.device) -> Tensor:
    """(5,) offsets of a window's samples from its centre along one axis."""
    return (torch.arange(WINDOW, device=device) - WINDOW // 2) * float(STRIDE_PX)


def _marginals(heatmap: Tensor) -> tuple[Tensor, Tensor]:
    """Two (N, 5) marginal distributions of (N, 25) heatmaps, along x and along y."""
    grid = heatmap.view(-1, WINDOW, WINDOW)
    return grid.sum(1), grid.sum(2)
