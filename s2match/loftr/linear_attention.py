"""kornia's encoder layers with linear attention (Katharopoulos et al., ICML 2020), with less work for the same result.

A token x takes from those of a source s, for every head, φ(xQ) (φ(sK)ᵀ sV) / (φ(xQ) Σ φ(sK)), and the heads are merged
by a matrix M. What is done differently, and changes nothing but rounding:

- All heads are one product over all channels, of which the blocks on the diagonal count: products of few numbers take
  longer than one of many.
- Of a long sequence, V and M are multiplied with the small matrix between them, φ(sK)ᵀ s, and not with every token.
- A long sequence goes through a layer some tokens at a time: their activations stay in the cache.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Tokens of a long sequence that go through a layer at once, on a processor with caches.
_BLOCK_TOKENS = 2048


class Layer(ABC):
    """One ``LoFTREncoderLayer``; subclasses suit it to sequences of some length."""

    @torch.no_grad()
    def __init__(self, layer: Any) -> None:
        """Take the weights of a layer, which is on its device and in its precision."""
        self._layer = layer
        channels = len(layer.k_proj.weight)
        self._heads = channels // layer.dim
        head = torch.arange(channels, device=layer.k_proj.weight.device) // layer.dim
        self._same_head = (head[:, None] == head).to(layer.k_proj.weight)

    @abstractmethod
    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Add to tokens (..., L, C) what they find in others (..., S, C)."""

    def _added(self, x: Tensor, message: Tensor) -> Tensor:
        """Add to tokens (..., C) what becomes of merged messages (..., C) to them."""
        found: Tensor = self._layer.norm2(self._layer.mlp(torch.cat([x, self._layer.norm1(message)], dim=-1)))
        return found.add_(x)


class WindowLayer(Layer):
    """For many short sequences, (N, L, C)."""

    @torch.no_grad()
    def __init__(self, layer: Any) -> None:
        """Take the weights of a layer."""
        super().__init__(layer)
        self._key_value = torch.cat([layer.k_proj.weight, layer.v_proj.weight])

    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Add to windows (N, L, C) what they find in others (N, S, C), each in its own."""
        layer = self._layer
        query = _positive(layer.q_proj(x))
        key, value = functional.linear(source, self._key_value).chunk(2, dim=-1)
        key = _positive(key)
        known = (key.mT @ value).mul_(self._same_head)
        weight = functional.linear(query * key.sum(1, keepdim=True), self._same_head)
        return self._added(x, layer.merge((query @ known).div_(weight.add_(layer.attention.eps))))


class SequenceLayer(Layer):
    """For one long sequence, (L, C)."""

    @torch.no_grad()
    def __init__(self, layer: Any) -> None:
        """Take the weights of a layer."""
        super().__init__(layer)
        self._value, self._merge = layer.v_proj.weight.float().T, layer.merge.weight.float().T
        self._of_head = self._same_head[:, :: layer.dim].float()

    def __call__(self, x: Tensor, source: Tensor) -> Tensor:
        """Add to tokens (L, C) what they find in others (S, C)."""
        known, total = self._known(source)
        return torch.cat([self._asked(some, known, total) for some in _blocks(x)])

    def _known(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """(C, C) what a query takes from tokens (S, C), merged, and (C, H) how much of each head's there is."""
        known, total = torch.zeros_like(self._value), self._value.new_zeros(len(self._value))
        for some in _blocks(source):
            key = _positive(self._layer.k_proj(some))
            known += key.T @ some
            total += key.sum(0)
        known = (known @ self._value).mul_(self._same_head) @ self._merge
        return known.to(source.dtype), (total[:, None] * self._of_head).to(source.dtype)

    def _asked(self, x: Tensor, known: Tensor, total: Tensor) -> Tensor:
        query = _positive(self._layer.q_proj(x))
        weight = (query @ total).add_(self._layer.attention.eps)
        query.view(len(x), self._heads, -1).div_(weight[..., None])
        return self._added(x, query @ known)


class Transformer:
    """kornia's ``LocalFeatureTransformer``: layers in which two images look at themselves and at each other in turn."""

    def __init__(self, steps: Sequence[tuple[Layer, str]]) -> None:
        """Take layers, and whether each lets an image look at itself, "self", or at the other, "cross"."""
        self.steps = tuple(steps)

    @classmethod
    def of(cls, transformer: nn.Module, kind: type[Layer]) -> "Transformer":
        """Take the weights of kornia's, with layers for sequences of a kind."""
        theirs: Any = transformer
        return cls([(kind(layer), name) for layer, name in zip(theirs.layers, theirs.layer_names, strict=True)])

    def __call__(self, tokens0: Tensor, tokens1: Tensor) -> tuple[Tensor, Tensor]:
        """What becomes of the tokens of two images."""
        for layer, name in self.steps:
            if name == "self":
                tokens0, tokens1 = layer(tokens0, tokens0), layer(tokens1, tokens1)
            else:
                tokens0 = layer(tokens0, tokens1)
                tokens1 = layer(tokens1, tokens0)
        return tokens0, tokens1


def _blocks(tokens: Tensor) -> Iterator[Tensor]:
    block = _BLOCK_TOKENS if tokens.device.type == "cpu" else len(tokens)
    return (tokens[start : start + block] for start in range(0, len(tokens), block))


def _positive(x: Tensor) -> Tensor:
    """``elu(x) + 1``, which is e^x below zero and x + 1 above; PyTorch's ``elu`` is many times slower in bfloat16."""
    return x.clamp(max=0).exp_().add_(x.clamp(min=0))
