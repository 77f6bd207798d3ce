"""Check the configuration that a weights file contains, before a network is built from it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Characters of a value that a message shows.
_SHOWN = 40

# Largest numbers of channels and of layers; LoFTR has at most 256 and 8.
_MOST_CHANNELS, _MOST_LAYERS = 512, 32


@dataclass(frozen=True)
class _Rule:
    """What an entry may be.

    Attributes:
        allows: Whether a value may be used.
        wanted: What it must be, for messages.
    """

    allows: Callable[[Any], bool]
    wanted: str


def _whole(low: int, high: int) -> _Rule:
    return _Rule(lambda value: _is_whole(value) and low <= value <= high, f"a whole number from {low} to {high}")


def _number(low: float, high: float) -> _Rule:
    # NaN is in no range
    return _Rule(lambda value: _is_number(value) and low <= value <= high, f"a number from {low:g} to {high:g}")


def _only(value: object) -> _Rule:
    return _Rule(lambda given: type(given) is type(value) and given == value, json.dumps(value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_channels(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_CHANNELS.allows, value))


def _are_layers(value: object) -> bool:
    return (
        isinstance(value, list) and 1 <= len(value) <= _MOST_LAYERS and all(name in ("self", "cross") for name in value)
    )


def _are_coefficients(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 3 and all(map(_number(-1e3, 1e3).allows, value)))


_FLAG = _Rule(lambda value: isinstance(value, bool), "true or false")
_CHANNELS = _whole(1, _MOST_CHANNELS)
_TRANSFORMER = {
    "d_model": _CHANNELS,
    "d_ffn": _CHANNELS,
    "nhead": _whole(1, 64),
    "layer_names": _Rule(_are_layers, f'a list of 1 to {_MOST_LAYERS} times "self" or "cross"'),
    "attention": _only("linear"),
}

# Entries of kornia's configuration. Those of training and of Sinkhorn matching have no effect here.
_ARCHITECTURE: Mapping[str, _Rule] = {
    "backbone_type": _only("ResNetFPN"),
    "resolution": _only([8, 2]),
    "fine_window_size": _only(5),
    "fine_concat_coarse_feat": _only(True),
    "resnetfpn.initial_dim": _CHANNELS,
    "resnetfpn.block_dims": _Rule(_are_channels, f"three whole numbers from 1 to {_MOST_CHANNELS}"),
    **{f"coarse.{name}": rule for name, rule in _TRANSFORMER.items()},
    "coarse.temp_bug_fix": _FLAG,
    "match_coarse.thr": _number(0, 1),
    "match_coarse.border_rm": _whole(0, 16),
    "match_coarse.match_type": _only("dual_softmax"),
    "match_coarse.dsmax_temperature": _number(1e-3, 10),
    "match_coarse.skh_iters": _whole(0, 1000),
    "match_coarse.skh_init_bin_score": _number(-1e3, 1e3),
    "match_coarse.skh_prefilter": _FLAG,
    "match_coarse.train_coarse_percent": _number(0, 1),
    "match_coarse.train_pad_num_gt_min": _whole(0, 1_000_000),
    **{f"fine.{name}": rule for name, rule in _TRANSFORMER.items()},
}

# Attributes of MatchingConfig; all may be missing.
_MATCHING: Mapping[str, _Rule] = {
    "neighbourhood": _FLAG,
    "fine_iterations": _whole(1, 16),
    "calibration": _Rule(_are_coefficients, "null or three numbers from -1000 to 1000"),
}

_PIXEL_CENTRE = _number(0, 1)


def architecture_problem(config: object) -> str | None:
    """Why a network cannot be built from a configuration of kornia's LoFTR, without a full stop; None if it can."""
    if not isinstance(config, dict):
        return "its configuration is no object"
    entries = flattened(config)
    missing = next((name for name in _ARCHITECTURE if name not in entries), None)
    if missing is not None:
        return f"its configuration has no {missing}"
    return _entry_problem(entries, _ARCHITECTURE) or _relation_problem(entries)


def matching_problem(fields: object) -> str | None:
    """Why matching parameters cannot be used, without a full stop; None if they can."""
    if not isinstance(fields, dict):
        return "its matching parameters are no object"
    return _entry_problem(fields, _MATCHING)


def pixel_centre_problem(value: float) -> str | None:
    """Why a coordinate of the first pixel's centre cannot be used, without a full stop; None if it can."""
    return _entry_problem({"pixel_centre": value}, {"pixel_centre": _PIXEL_CENTRE})


def flattened(config: Mapping[str, object]) -> dict[str, object]:
    """The entries of a configuration, those of its parts as ``"part.entry"``."""
    entries: dict[str, object] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            entries |= {f"{name}.{inner}": entry for inner, entry in value.items()}
        else:
            entries[name] = value
    return entries


def shown(value: object) -> str:
    """A value for a message, cut to one short line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _entry_problem(entries: Mapping[str, Any], rules: Mapping[str, _Rule]) -> str | None:
    for name, value in entries.items():
        if name not in rules:
            return f"it has an unknown parameter {shown(name)}"
        if not rules[name].allows(value):
            return f"{name} is {shown(value)} and must be {rules[name].wanted}"
    return None


def _relation_problem(entries: Mapping[str, Any]) -> str | None:
    """What does not fit together in entries that are valid one by one."""
    dims = entries["resnetfpn.block_dims"]
    for stage, channels in (("coarse", dims[2]), ("fine", dims[0])):
        width, heads = entries[f"{stage}.d_model"], entries[f"{stage}.nhead"]
        if width != channels:
            return f"{stage}.d_model is {width}, and the backbone has {channels} channels"
        if width % heads:
            return f"{stage}.d_model is {width}, which {heads} heads cannot share"
    # the positional encoding has four values for each frequency
    return "coarse.d_model must be a multiple of 4" if entries["coarse.d_model"] % 4 else None
