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
    samples = (torch.arange(WINDOW, device=heatmap.device) - WINDOW // 2) * float(STRIDE_PX)
    grid = heatmap.view(-1, WINDOW, WINDOW)
    return torch.stack([grid.sum(1) @ samples, grid.sum(2) @ samples], 1)
