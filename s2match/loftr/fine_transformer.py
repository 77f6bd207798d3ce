"""The network of LoFTR's fine stage, for many small windows: kornia's layers with fewer passes over memory.

What a window is before it is compared is computed once, however often it is compared; the layers are those of
:mod:`s2match.loftr.linear_attention`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from s2match.loftr.heatmaps import compare
from s2match.loftr.linear_attention import Transformer, WindowLayer

# Windows that go through the network at once: their activations stay in a processor's cache; a GPU likes more.
_BLOCK_WINDOWS = 1024
_BLOCK_WINDOWS_GPU = 16384


def blocks_of_windows(points: Tensor) -> Iterator[slice]:
    """Slices of (N, 2) points whose windows go through the network at once."""
    block = _BLOCK_WINDOWS if points.device.type == "cpu" else _BLOCK_WINDOWS_GPU
    return (slice(start, start + block) for start in range(0, len(points), block))


class FineNetwork:
    """kornia's ``FinePreprocess`` and the fine ``LocalFeatureTransformer``, on windows that are cut already."""

    @torch.no_grad()
    def __init__(self, preprocess: nn.Module, transformer: nn.Module) -> None:
        """Take the weights; both parts are on one device, in one precision.

        Args:
            preprocess: A ``FinePreprocess`` that merges the coarse tokens in.
            transformer: A ``LocalFeatureTransformer``.
        """
        parts: Any = preprocess
        self._down = parts.down_proj
        width = parts.merge_feat.in_features // 2
        merge = parts.merge_feat.weight
        self._window_part, self._context_part = merge[:, :width].contiguous(), merge[:, width:].contiguous()
        self._bias = parts.merge_feat.bias
        steps = Transformer.of(transformer, WindowLayer).steps
        alone = next((k for k, (_, name) in enumerate(steps) if name != "self"), len(steps))
        self._alone = [layer for layer, _ in steps[:alone]]
        self._together = Transformer(steps[alone:])

    def prepare_all(self, cut: Callable[[Tensor], Tensor], points: Tensor, context: Tensor) -> Tensor:
        """Cut and :meth:`prepare` the windows about (N, 2) points, some at a time; N is 1 or more."""
        return torch.cat([self.prepare(cut(points[block]), context[block]) for block in blocks_of_windows(points)])

    def prepare(self, windows: Tensor, context: Tensor) -> Tensor:
        """Do to windows what does not depend on the other image: merge their cells in, and attend to themselves.

        Args:
            windows: (N, 25, C) fine features.
            context: (N, D) coarse tokens of the cells they belong to.

        Returns:
            (N, 25, C) features for :meth:`heatmaps`.
        """
        known = functional.linear(self._down(context.to(self._bias)), self._context_part, self._bias)
        merged = functional.linear(windows.to(self._bias), self._window_part).add_(known[:, None])
        for layer in self._alone:
            merged = layer(merged, merged)
        return merged

    def heatmaps(self, window0: Tensor, window1: Tensor) -> Tensor:
        """Compare windows of the two images.

        Args:
            window0: (N, 25, C) prepared windows of image 0.
            window1: (N, 25, C) those of image 1.

        Returns:
            (N, 25) how likely each place of a window of image 1 shows the middle of the one of image 0; they sum to 1.
        """
        window0, window1 = self._together(window0, window1)
        return compare(window0.float(), window1.float()).softmax(1)
