"""kornia's encoder layers with linear attention (Katharopoulos et al., ICML 2020), with less work for the same result.

For every head, with the feature map φ(x) = elu(x) + 1, a query token takes φ(Q) (φ(K)ᵀV) / (φ(Q) Σφ(K)) from the source
tokens; a matrix M merges the heads. Differences to kornia's layers, which change the result by rounding only:

- All heads are computed in one product over all channels, masked to the diagonal blocks: one large product is faster
  than many small ones.
- For a long sequence, V and M are multiplied with the small matrix φ(K)ᵀ·source instead of with every token.
- A long sequence passes through a layer in blocks of tokens, so that their activations stay in the cache.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from s2match.loftr.products import linear

# Tokens of a long sequence that pass through a layer at once on a CPU.
_BLOCK_TOKENS = 2048


class EncoderLayer(ABC):
    """One ``LoFTREncoderLayer``; the subclasses are for short and for long sequences."""

    @torch.no_grad()
    def __init__(self, layer: Any) -> None:
        """Store the weights of kornia's layer, which must already have its device and number format."""
        self._layer = layer
        channels = len(layer.k_proj.weight)
        self._heads = channels // layer.dim
        head = torch.arange(channels, device=layer.k_proj.weight.device) // layer.dim
        self._same_head = (head[:, None] == head).to(layer.k_proj.weight)

    @abstractmethod
    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Tokens (..., L, C) after attention to source tokens (..., S, C), with the residual connection."""

    def _feed_forward(self, x: Tensor, message: Tensor) -> Tensor:
        """Tokens (..., C) plus the feed-forward network of tokens and merged messages (..., C)."""
        first, activation, second = self._layer.mlp
        hidden = activation(linear(torch.cat([x, self._layer.norm1(message)], dim=-1), first.weight))
        out: Tensor = self._layer.norm2(linear(hidden, second.weight))
        return out.add_(x)


class WindowEncoderLayer(EncoderLayer):
    """Encoder layer for many short sequences, (N, L, C)."""

    @torch.no_grad()
    def __init__(self, layer: Any) -> None:
        """Take the weights of kornia's layer."""
        super().__init__(layer)
        self._key_value = torch.cat([layer.k_proj.weight, layer.v_proj.weight])

    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Windows (N, L, C) after attention, each to its own source window (N, S, C)."""
        layer = self._layer
        q = _elu_feature_map(linear(x, layer.q_proj.weight))
        k, v = linear(source, self._key_value).chunk(2, dim=-1)
        k = _elu_feature_map(k)
        kv = (k.mT @ v).mul_(self._same_head)
        normaliser = linear(q * k.sum(1, keepdim=True), self._same_head)
        message = (q @ kv).div_(normaliser.add_(layer.attention.eps))
        return self._feed_forward(x, linear(message, layer.merge.weight))


class SequenceEncoderLayer(EncoderLayer):
    """Encoder layer for one long sequence, (L, C)."""

    @torch.no_grad()
    def __init__(self, layer: Any) -> None:
        """Take the weights of kornia's layer."""
        super().__init__(layer)
        self._value, self._merge = layer.v_proj.weight.float().T, layer.merge.weight.float().T
        self._of_head = self._same_head[:, :: layer.dim].float()

    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Tokens (L, C) after attention to source tokens (S, C)."""
        kv_merged, k_sum = self._summarise(source)
        return torch.cat([self._attend(block, kv_merged, k_sum) for block in _blocks(x)])

    def _summarise(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """(C, C) transpose of φ(K)ᵀV M and (C, H) Σφ(K) of each head, of source tokens (S, C)."""
        kv, k_sum = torch.zeros_like(self._value), self._value.new_zeros(len(self._value))
        for block in _blocks(source):
            k = _elu_feature_map(linear(block, self._layer.k_proj.weight))
            kv += k.T @ block
            k_sum += k.sum(0)
        kv_merged = (kv @ self._value).mul_(self._same_head) @ self._merge
        return kv_merged.T.to(source.dtype).contiguous(), (k_sum[:, None] * self._of_head).to(source.dtype)

    def _attend(self, x: Tensor, kv_merged: Tensor, k_sum: Tensor) -> Tensor:
        q = _elu_feature_map(linear(x, self._layer.q_proj.weight))
        normaliser = (q @ k_sum).add_(self._layer.attention.eps)
        q.view(len(x), self._heads, -1).div_(normaliser[..., None])
        return self._feed_forward(x, linear(q, kv_merged))


class LocalFeatureTransformer:
    """kornia's ``LocalFeatureTransformer``: alternating layers of self- and cross-attention of two images."""

    def __init__(self, layers: Sequence[tuple[EncoderLayer, str]]) -> None:
        """Store layers, each with its kind of attention: "self" or "cross"."""
        self.layers = tuple(layers)

    @classmethod
    def from_kornia(cls, transformer: nn.Module, layer_class: type[EncoderLayer]) -> "LocalFeatureTransformer":
        """Create the transformer from that of kornia.

        Args:
            transformer: A ``kornia.feature.loftr`` ``LocalFeatureTransformer``.
            layer_class: Encoder layer for the length of its sequences.
        """
        weights: Any = transformer
        return cls(
            [(layer_class(layer), name) for layer, name in zip(weights.layers, weights.layer_names, strict=True)]
        )

    def __call__(self, tokens0: Tensor, tokens1: Tensor) -> tuple[Tensor, Tensor]:
        """Transformed tokens of both images."""
        for layer, name in self.layers:
            if name == "self":
                tokens0, tokens1 = layer(tokens0, tokens0), layer(tokens1, tokens1)
            else:
                tokens0 = layer(tokens0, tokens1)
                tokens1 = layer(tokens1, tokens0)
        return tokens0, tokens1


def _blocks(tokens: Tensor) -> Iterator[Tensor]:
    block = _BLOCK_TOKENS if tokens.device.type == "cpu" else len(tokens)
    return (tokens[start : start + block] for start in range(0, len(tokens), block))


def _elu_feature_map(x: Tensor) -> Tensor:
    """``elu(x) + 1``, as e^x below zero and x + 1 above; PyTorch's ``elu`` is many times slower in bfloat16."""
    return x.clamp(max=0).exp_().add_(x.clamp(min=0))
