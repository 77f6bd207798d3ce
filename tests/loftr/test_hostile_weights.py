"""Weights that are damaged, absurd or hostile are refused in one sentence, before they are used."""

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from s2match.errors import CorruptWeightsError
from s2match.loftr.checkpoints import load_network

State = dict[str, Tensor]
FIRST = "backbone.conv1.weight"


@pytest.fixture(scope="module")
def good() -> tuple[State, dict[str, Any]]:
    """State dict and configuration of the bundled weights."""
    net = load_network("sentinel2").net
    return net.state_dict(), net.config


def entry(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Changes one entry of a configuration, or removes it where the value is ``...``."""

    def change(config: dict[str, Any]) -> None:
        part = config
        *parts, last = name.split(".")
        for inner in parts:
            part = part[inner]
        if value is ...:
            del part[last]
        else:
            part[last] = value

    return change


CONFIGURATIONS = {
    "sinkhorn": (entry("match_coarse.match_type", "sinkhorn"), 'match_type is .* must be "dual_softmax"'),
    "full attention": (entry("coarse.attention", "full"), 'coarse.attention is .* must be "linear"'),
    "full fine attention": (entry("fine.attention", "full"), "fine.attention is"),
    "temperature 0": (entry("match_coarse.dsmax_temperature", 0), "dsmax_temperature is 0"),
    "temperature below 0": (entry("match_coarse.dsmax_temperature", -0.1), "dsmax_temperature is -0.1"),
    "temperature NaN": (entry("match_coarse.dsmax_temperature", float("nan")), "dsmax_temperature is nan"),
    "temperature of text": (entry("match_coarse.dsmax_temperature", "0.1"), "dsmax_temperature is '0.1'"),
    "50 000 layers": (entry("coarse.layer_names", ["self", "cross"] * 25_000), "coarse.layer_names is"),
    "50 000 fine layers": (entry("fine.layer_names", ["self"] * 50_000), "fine.layer_names is"),
    "no layers": (entry("coarse.layer_names", []), "coarse.layer_names is"),
    "unknown layers": (entry("coarse.layer_names", ["self", "other"] * 3), "coarse.layer_names is"),
    "layers as a number": (entry("coarse.layer_names", 6), "coarse.layer_names is 6"),
    "more layers than tensors": (entry("coarse.layer_names", ["self"] * 8), "coarse.layers is 8 .* and 6 in its"),
    "huge width": (entry("coarse.d_model", 10**9), "coarse.d_model is 1000000000"),
    "another width": (entry("coarse.d_model", 256), "coarse.d_model is 256, and the backbone has 128"),
    "width of text": (entry("coarse.d_model", "128"), "coarse.d_model is '128'"),
    "a width that is true": (entry("resnetfpn.initial_dim", True), "initial_dim is True"),
    "another backbone width": (entry("resnetfpn.initial_dim", 64), "initial_dim is 64 .* and 32 in its tensors"),
    "huge backbone": (entry("resnetfpn.block_dims", [10**6] * 3), "block_dims is"),
    "two blocks": (entry("resnetfpn.block_dims", [32, 64]), "block_dims is"),
    "no heads": (entry("coarse.nhead", 0), "coarse.nhead is 0"),
    "heads that do not fit": (entry("coarse.nhead", 7), "which 7 heads cannot share"),
    "another resolution": (entry("resolution", [16, 4]), r"resolution is .* must be \[8, 2\]"),
    "resolution as a number": (entry("resolution", 8), "resolution is 8"),
    "another backbone": (entry("backbone_type", "VGG"), "backbone_type is 'VGG'"),
    "huge windows": (entry("fine_window_size", 10**6), "fine_window_size is 1000000"),
    "no coarse features": (entry("fine_concat_coarse_feat", False), "fine_concat_coarse_feat is False"),
    "huge border": (entry("match_coarse.border_rm", 10**9), "border_rm is 1000000000"),
    "negative border": (entry("match_coarse.border_rm", -1), "border_rm is -1"),
    "a part that is missing": (entry("coarse", ...), "has no coarse.d_model"),
    "a part that is a list": (entry("fine", [1]), "has no fine.d_model"),
    "an entry that is missing": (entry("match_coarse.thr", ...), "has no match_coarse.thr"),
    "an unknown entry": (entry("match_coarse.extra", 1), "unknown parameter 'match_coarse.extra'"),
}

METADATA = {
    "looks": ({"reading": '{"looks": 1000000}'}, "fine_iterations is 1000000"),
    "iterations": ({"matching_config": '{"fine_iterations": 1000000}'}, "fine_iterations is 1000000"),
    "no iterations": ({"matching_config": '{"fine_iterations": 0}'}, "fine_iterations is 0"),
    "iterations of text": ({"matching_config": '{"fine_iterations": "3"}'}, "fine_iterations is '3'"),
    "calibration NaN": ({"matching_config": '{"calibration": [NaN, 1, 1]}'}, "calibration is"),
    "calibration of two": ({"matching_config": '{"calibration": [1, 1]}'}, "calibration is"),
    "calibration of text": ({"matching_config": '{"calibration": ["a", "b", "c"]}'}, "calibration is"),
    "neighbourhood of text": ({"matching_config": '{"neighbourhood": "yes"}'}, "neighbourhood is 'yes'"),
    "unknown parameter": ({"matching_config": '{"temperature": 1}'}, "unknown parameter 'temperature'"),
    "parameters as a list": ({"matching_config": "[1, 2]"}, "matching parameters are no object"),
    "no JSON": ({"matching_config": "{"}, "metadata are not JSON"),
    "deep JSON": ({"config": "[" * 200_000}, "metadata are not JSON"),
    "long JSON": ({"config": " " * (2 << 20)}, "metadata are too long"),
    "configuration as a number": ({"config": "3"}, "configuration is no object"),
    "pixel centre of text": ({"pixel_centre": "middle"}, "pixel_centre 'middle' is no number"),
    "pixel centre NaN": ({"pixel_centre": "nan"}, "pixel_centre is nan"),
    "pixel centre far away": ({"pixel_centre": "1e9"}, "pixel_centre is 1000000000.0 and must be a number from 0 to 1"),
}


def filled(name: str, value: float) -> Callable[[State], None]:
    """Sets one value of a tensor."""

    def change(state: State) -> None:
        state[name] = state[name].clone()
        state[name].view(-1)[0] = value

    return change


def replaced(name: str, make: Callable[[Tensor], Tensor]) -> Callable[[State], None]:
    def change(state: State) -> None:
        state[name] = make(state[name])

    return change


def all_zero(state: State) -> None:
    for name, value in state.items():
        state[name] = torch.zeros_like(value)


def scaled(state: State) -> None:
    for name, value in state.items():
        if name.endswith("conv1.weight"):
            state[name] = value * 1e30


def without(part: str) -> Callable[[State], None]:
    """Removes the tensors that have a text in their name."""

    def change(state: State) -> None:
        for name in [name for name in state if part in name]:
            del state[name]

    return change


TENSORS = {
    "NaN": (filled("loftr_coarse.layers.3.mlp.0.weight", float("nan")), "layers.3.mlp.0.weight contains NaN or inf"),
    "infinite": (filled("backbone.bn1.bias", float("inf")), "backbone.bn1.bias contains NaN or infinite"),
    "infinite running mean": (filled("backbone.bn1.running_mean", float("-inf")), "running_mean contains NaN or inf"),
    "negative variance": (filled("backbone.bn1.running_var", -1.0), "running_var contains negative"),
    "one tensor zero": (replaced("loftr_fine.layers.0.merge.weight", torch.zeros_like), "merge.weight is all zero"),
    "all tensors zero": (all_zero, "weight is all zero"),
    "huge values": (scaled, "so large that the features are infinite"),
    "another shape": (
        replaced("fine_preprocess.down_proj.weight", lambda value: value[:, :64]),
        "not those of its conf",
    ),
    "empty": (replaced("fine_preprocess.down_proj.bias", lambda value: value[:0]), "down_proj.bias is empty"),
    "complex": (replaced(FIRST, lambda value: value.to(torch.complex64)), "conv1.weight' is no tensor of floats"),
    "one number": (replaced(FIRST, lambda value: value.sum()), "no convolution backbone.conv1.weight"),
    "one is missing": (without("loftr_fine.layers.1.norm2.bias"), "not those of its configuration"),
    "the first is missing": (without(FIRST), "no convolution backbone.conv1.weight"),
    "a layer is missing": (
        without(".layers.5."),
        "coarse.layers is 6 in its configuration and 5 in its tensors",
    ),
}

CHECKPOINTS = {
    "a tensor behind one value": (lambda state: state | {FIRST: torch.zeros(1).expand(10**6, 10**6)}, "250 million"),
    "a number for a tensor": (lambda state: state | {FIRST: 3.0}, "is no tensor of floats"),
    "a sparse tensor": (lambda state: state | {FIRST: torch.eye(3).to_sparse()}, "is no tensor of floats"),
    "a quantised tensor": (
        lambda state: state | {FIRST: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)},
        "is no tensor of floats",
    ),
    "names that are numbers": (lambda state: dict(enumerate(state.values())), "no convolution"),
    "5001 tensors": (lambda state: {str(k): torch.zeros(1) for k in range(5001)}, "contains 5001 tensors"),
    "a list": (lambda state: {"state_dict": [1, 2]}, "no table of tensors"),
    "a tensor alone": (lambda state: torch.zeros(3), "no convolution"),
    "nothing": (lambda state: {}, "no convolution"),
}


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(CorruptWeightsError, match=sentence) as caught:
        load_network(str(path))
    message = str(caught.value)
    assert caught.value.exit_code == 20 and str(path) in message
    assert len(message) < 300 + len(str(path)) and message.endswith(".") and "\n" not in message


def save(path: Path, state: State, config: object, metadata: dict[str, str] | None = None) -> Path:
    tensors = {name: value.contiguous() for name, value in state.items()}
    save_file(tensors, path, {"config": json.dumps(config), **(metadata or {})})
    return path


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_configurations(tmp_path: Path, good: tuple[State, dict[str, Any]], case: str) -> None:
    change, sentence = CONFIGURATIONS[case]
    config = copy.deepcopy(good[1])
    change(config)
    refused(save(tmp_path / "w.safetensors", good[0], config), sentence)


@pytest.mark.parametrize("case", METADATA)
def test_metadata(tmp_path: Path, good: tuple[State, dict[str, Any]], case: str) -> None:
    metadata, sentence = METADATA[case]
    refused(save(tmp_path / "w.safetensors", *good, metadata), sentence)


@pytest.mark.parametrize("case", TENSORS)
def test_tensors(tmp_path: Path, good: tuple[State, dict[str, Any]], case: str) -> None:
    change, sentence = TENSORS[case]
    state = dict(good[0])
    change(state)
    refused(save(tmp_path / "w.safetensors", state, good[1]), sentence)


@pytest.mark.parametrize("case", CHECKPOINTS)
def test_pickled_checkpoints(tmp_path: Path, good: tuple[State, dict[str, Any]], case: str) -> None:
    change, sentence = CHECKPOINTS[case]
    torch.save(change(dict(good[0])), tmp_path / "w.ckpt")
    refused(tmp_path / "w.ckpt", sentence)


def test_a_bomb_is_refused_unread(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
        # what the directory of the zip says
        archive.filelist[0].file_size = 1 << 31
    refused(tmp_path / "w.ckpt", "unpacks to more than 1 GB")


def test_a_file_larger_than_any_weights(tmp_path: Path) -> None:
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.truncate((1 << 30) + 1)
    refused(tmp_path / "w.safetensors", "larger than 1 GB")


def test_tensors_that_are_zero_before_training_are_allowed(tmp_path: Path, good: tuple[State, dict[str, Any]]) -> None:
    state = dict(good[0])
    for name in ("backbone.bn1.bias", "backbone.bn1.running_mean", "loftr_fine.layers.0.norm1.bias"):
        state[name] = torch.zeros_like(state[name])
    assert load_network(str(save(tmp_path / "w.safetensors", state, good[1]))).title == "w.safetensors"
