"""Check the tensors of a weights file before and after a network is built from them."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from kornia.feature import LoFTR
from torch import Tensor

from s2match.loftr.weights_schema import shown
from s2match.util.threads import limit_threads

# Most values of a checkpoint; LoFTR has 12 million.
_MOST_VALUES = 250_000_000
_MOST_TENSORS = 5000

_NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.int64)

# Convolutions that show the sizes of the backbone.
_FIRST = "backbone.conv1.weight"
_STAGES = tuple(f"backbone.layer{level}.0.conv1.weight" for level in (1, 2, 3))

# Side of the image that a network is tried with.
_SIDE_PX = 40


def structure_problem(state: Mapping[str, object]) -> str | None:
    """Why a state dict cannot be that of a LoFTR, without a full stop; None if it may be. No value is read."""
    if len(state) > _MOST_TENSORS:
        return f"it contains {len(state)} tensors"
    for name, value in state.items():
        if not name.isprintable() or not _is_plain(value):
            return f"{shown(name)} is no tensor of floats or whole numbers"
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if sum(value.numel() for value in tensors.values()) > _MOST_VALUES:
        return f"its tensors have more than {_MOST_VALUES // 1_000_000} million values"
    absent = next((name for name in (_FIRST, *_STAGES) if name not in tensors or tensors[name].ndim != 4), None)
    return None if absent is None else f"it has no convolution {absent}"


def sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Entries of kornia's configuration that the tensors of a checkpoint show.

    Args:
        state: A state dict without a :func:`structure_problem`.

    Returns:
        The sizes by name, as in :func:`s2match.loftr.weights_schema.flattened`; layers by their number, as
        ``"coarse.layers"`` and ``"fine.layers"``.
    """
    dims = [state[name].shape[0] for name in _STAGES]
    return {
        "resnetfpn.initial_dim": state[_FIRST].shape[0],
        "resnetfpn.block_dims": dims,
        "coarse.d_model": dims[2],
        "fine.d_model": dims[0],
        "coarse.layers": _layer_count(state, "coarse"),
        "fine.layers": _layer_count(state, "fine"),
    }


def size_problem(state: Mapping[str, Tensor], entries: Mapping[str, Any]) -> str | None:
    """Where a configuration has other sizes than the tensors, without a full stop; None if they agree.

    Args:
        state: A state dict without a :func:`structure_problem`.
        entries: Flattened entries of a configuration without an ``architecture_problem``.
    """
    stated = {**entries, **{f"{stage}.layers": len(entries[f"{stage}.layer_names"]) for stage in ("coarse", "fine")}}
    for name, size in sizes(state).items():
        if stated[name] != size:
            return f"{name} is {shown(stated[name])} in its configuration and {shown(size)} in its tensors"
    return None


def value_problem(state: Mapping[str, Tensor]) -> str | None:
    """Why no network computes with the values of a state dict, without a full stop; None if it may.

    Args:
        state: Tensors by name. Biases and running means may be all zero, as they are before any training.
    """
    for name, value in state.items():
        if value.numel() == 0:
            return f"the tensor {name} is empty"
        if not value.is_floating_point():
            continue
        low, high = (float(extreme) for extreme in torch.aminmax(value.float()))
        # the extremes of values with NaN are NaN
        if not (-torch.inf < low and high < torch.inf):
            return f"the tensor {name} contains NaN or infinite values"
        if name.endswith(".weight") and low == high == 0:
            return f"the tensor {name} is all zero"
        if name.endswith(".running_var") and low < 0:
            return f"the tensor {name} contains negative variances"
    return None


@limit_threads()
@torch.inference_mode()
def feature_problem(net: LoFTR) -> str | None:
    """Why the features of a network cannot be matched, without a full stop; None if they can.

    Args:
        net: A network in evaluation mode, float32; it is tried with a small image of noise.
    """
    image = torch.rand(1, 1, _SIDE_PX, _SIDE_PX, generator=torch.Generator().manual_seed(0))
    parts: Any = net
    coarse, fine = parts.backbone(image)
    tokens = parts.pos_encoding(coarse).flatten(2).mT
    tokens, _ = parts.loftr_coarse(tokens, tokens)
    window = fine.flatten(2).mT[:, : tokens.shape[1]]
    merged = parts.fine_preprocess.merge_feat(torch.cat([window, parts.fine_preprocess.down_proj(tokens)], -1))
    merged, _ = parts.loftr_fine(merged, merged)
    if not (tokens.isfinite().all() and merged.isfinite().all()):
        return "its values are so large that the features are infinite"
    return None


def _is_plain(value: object) -> bool:
    """Whether a value is a dense tensor of numbers that are in memory."""
    return isinstance(value, Tensor) and value.layout == torch.strided and value.dtype in _NUMBERS and not value.is_meta


def _layer_count(state: Mapping[str, Tensor], stage: str) -> int:
    pattern = re.compile(rf"loftr_{stage}\.layers\.(\d+)\.")
    return len({match[1] for name in state if (match := pattern.match(name))})
