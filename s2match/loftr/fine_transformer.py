"""Fine-level transformer of LoFTR on many small windows, as kornia's with fewer passes over memory.

Features that depend on one image only are computed once per window, even if the window is compared several times.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from s2match.loftr.heatmaps import similarity_logits
from s2match.loftr.linear_attention import LocalFeatureTransformer, WindowEncoderLayer
from s2match.loftr.products import linear

# Windows that pass through the network at once. On a CPU their activations stay in the cache; a GPU needs more.
_BLOCK_WINDOWS = 1024
_BLOCK_WINDOWS_GPU = 16384


def blocks_of_windows(points: Tensor) -> Iterator[slice]:
    """Slices of (N, 2) points whose windows pass through the network at once."""
    block = _BLOCK_WINDOWS if points.device.type == "cpu" else _BLOCK_WINDOWS_GPU
    return (slice(start, start + block) for start in range(0, len(points), block))


class FineTransformer:
    """kornia's ``FinePreprocess`` and fine ``LocalFeatureTransformer``, on windows that are already cut."""

    @torch.no_grad()
    def __init__(self, preprocess: nn.Module, transformer: nn.Module) -> None:
        """Store the weights; both modules must have the same device and number format.

        Args:
            preprocess: A ``FinePreprocess`` that concatenates the coarse features.
            transformer: A ``LocalFeatureTransformer``.
        """
        weights: Any = preprocess
        self._down_proj = weights.down_proj
        width = weights.merge_feat.in_features // 2
        merge = weights.merge_feat.weight
        self._merge_window, self._merge_coarse = merge[:, :width].contiguous(), merge[:, width:].contiguous()
        self._merge_bias = weights.merge_feat.bias
        layers = LocalFeatureTransformer.from_kornia(transformer, WindowEncoderLayer).layers
        first_cross = next((k for k, (_, name) in enumerate(layers) if name != "self"), len(layers))
        self._self_layers = [layer for layer, _ in layers[:first_cross]]
        self._pair_layers = LocalFeatureTransformer(layers[first_cross:])

    def prepare_all(self, cut: Callable[[Tensor], Tensor], points: Tensor, coarse: Tensor) -> Tensor:
        """Cut and :meth:`prepare` the windows around (N, 2) points in blocks; N is at least 1.

        Args:
            cut: Returns the (M, 25, C) windows around (M, 2) points.
            points: (N, 2) points (x, y) in pixels.
            coarse: (N, D) coarse tokens of their cells.
        """
        return torch.cat([self.prepare(cut(points[block]), coarse[block]) for block in blocks_of_windows(points)])

    def prepare(self, windows: Tensor, coarse: Tensor) -> Tensor:
        """Windows merged with their coarse tokens, after the self-attention layers before the first cross-attention.

        Args:
            windows: (N, 25, C) fine features.
            coarse: (N, D) coarse tokens of the cells they belong to.

        Returns:
            (N, 25, C) features for :meth:`heatmaps`.
        """
        projected = linear(coarse.to(self._merge_bias), self._down_proj.weight, self._down_proj.bias)
        coarse_term = linear(projected, self._merge_coarse, self._merge_bias)
        merged = linear(windows.to(self._merge_bias), self._merge_window).add_(coarse_term[:, None])
        for layer in self._self_layers:
            merged = layer(merged, merged)
        return merged

    def heatmaps(self, windows0: Tensor, windows1: Tensor) -> Tensor:
        """Matching probabilities of the centre of each window of image 0 over its window of image 1.

        Args:
            windows0: (N, 25, C) prepared windows of image 0.
            windows1: (N, 25, C) prepared windows of image 1.

        Returns:
            (N, 25) probabilities, row-major, each row summing to 1.
        """
        windows0, windows1 = self._pair_layers(windows0, windows1)
        return similarity_logits(windows0.float(), windows1.float()).softmax(1)
