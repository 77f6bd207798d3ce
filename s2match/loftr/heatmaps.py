"""What the fine stage reads from its windows: how alike a point is to each place of another, and where it lies."""

import torch
from torch import Tensor

WINDOW = 5
STRIDE_PX = 2


def compare(window: Tensor, other: Tensor) -> Tensor:
    """Logits of the middle of a window being each place of another, as in kornia's ``FineMatching``.

    Args:
        window: (N, 25, C) features.
        other: (N, 25, C) features of the image that is searched.

    Returns:
        (N, 25).
    """
    middle = window[:, window.shape[1] // 2]
    logits: Tensor = torch.einsum("nc,nwc->nw", middle, other) / window.shape[-1] ** 0.5
    return logits


def expectation_px(heatmap: Tensor) -> Tensor:
    """(N, 2) offsets (x, y) in pixels from the middle of the window that (N, 25) heatmaps expect."""
    samples = _samples_px(heatmap.device)
    return torch.stack([shares @ samples for shares in _along_axes(heatmap)], 1)


def variance_px2(heatmap: Tensor, expected_px: Tensor) -> Tensor:
    """(N,) how far (N, 25) heatmaps spread about what they expect, (N, 2), both axes together."""
    square = _samples_px(heatmap.device) ** 2
    along_x, along_y = _along_axes(heatmap)
    return (along_x @ square + along_y @ square - (expected_px**2).sum(1)).clamp(min=0)


def _samples_px(device: torch.device) -> Tensor:
    return (torch.arange(WINDOW, device=device) - WINDOW // 2) * float(STRIDE_PX)


def _along_axes(heatmap: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 5) shares by x and by y."""
    grid = heatmap.view(-1, WINDOW, WINDOW)
    return grid.sum(1), grid.sum(2)
