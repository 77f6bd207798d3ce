"""The network of LoFTR's fine stage, for many small windows: kornia's layers with fewer passes over memory.

What is done differently, and changes nothing but rounding:

- All heads of the attention are one product over all channels, of which the blocks on the diagonal count: thousands of
  products of 4×25 by 25×4 numbers take longer than one of 32×25 by 25×32.
- What a window is before it is compared is computed once, however often it is compared.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from s2match.heatmaps import compare

# Windows that go through the network at once: their activations stay in the cache.
BLOCK_WINDOWS = 1024


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
        layers: Any = transformer
        self._down = parts.down_proj
        width = parts.merge_feat.in_features // 2
        merge = parts.merge_feat.weight
        self._window_part, self._context_part = merge[:, :width].contiguous(), merge[:, width:].contiguous()
        self._bias = parts.merge_feat.bias
        named = [(name, _Layer(layer)) for name, layer in zip(layers.layer_names, layers.layers, strict=True)]
        alone = next((k for k, (name, _) in enumerate(named) if name != "self"), len(named))
        self._alone, self._together = [layer for _, layer in named[:alone]], named[alone:]

    def prepare_all(self, cut: Callable[[Tensor], Tensor], points: Tensor, context: Tensor) -> Tensor:
        """Cut and :meth:`prepare` the windows about (N, 2) points, some at a time; N is 1 or more."""
        blocks = (slice(start, start + BLOCK_WINDOWS) for start in range(0, len(points), BLOCK_WINDOWS))
        return torch.cat([self.prepare(cut(points[block]), context[block]) for block in blocks])

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
        for name, layer in self._together:
            if name == "self":
                window0, window1 = layer(window0, window0), layer(window1, window1)
            else:
                window0 = layer(window0, window1)
                window1 = layer(window1, window0)
        return compare(window0.float(), window1.float()).softmax(1)


class _Layer:
    """kornia's ``LoFTREncoderLayer`` with linear attention (Katharopoulos et al., ICML 2020)."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._key_value = torch.cat([layer.k_proj.weight, layer.v_proj.weight])
        channels = len(layer.k_proj.weight)
        head = torch.arange(channels, device=self._key_value.device) // layer.dim
        self._same_head = (head[:, None] == head).to(self._key_value)

    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Add to windows (N, L, C) what they find in others (N, S, C)."""
        layer = self._layer
        query = _positive(layer.q_proj(x))
        key, value = functional.linear(source, self._key_value).chunk(2, dim=-1)
        key = _positive(key)
        known = (key.mT @ value).mul_(self._same_head)
        weight = functional.linear(query * key.sum(1, keepdim=True), self._same_head)
        message = layer.norm1(layer.merge((query @ known).div_(weight.add_(layer.attention.eps))))
        found: Tensor = layer.norm2(layer.mlp(torch.cat([x, message], dim=-1)))
        return x + found


def _positive(x: Tensor) -> Tensor:
    """``elu(x) + 1``, which is e^x below zero and x + 1 above; PyTorch's ``elu`` is many times slower in bfloat16."""
    return x.clamp(max=0).exp_().add_(x.clamp(min=0))
