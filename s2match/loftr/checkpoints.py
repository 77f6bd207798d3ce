"""Load and save LoFTR weights with their configuration and pixel frame.

Weights are chosen by name or path. ``sentinel2`` is bundled. ``outdoor``, ``indoor`` and ``indoor_new`` are downloaded
to PyTorch's cache. A path names a ``.safetensors`` file written by :func:`save_weights`, or a LoFTR checkpoint
(``.ckpt``, ``.pt``, ``.pth`` or ``.safetensors``) of kornia or of the original authors.

A file is not trusted: no code in it runs, and its configuration and tensors are checked before they are used.
"""

import copy
import json
import logging
import os
import zipfile
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from kornia.feature import LoFTR
from kornia.feature.loftr.loftr import default_cfg
from safetensors import safe_open
from safetensors.torch import save_file

from s2match.errors import CorruptWeightsError, UnknownWeightsError
from s2match.io.quiet import without_warnings
from s2match.loftr.config import KORNIA, MatchingConfig
from s2match.loftr.named_weights import cached_weights
from s2match.loftr.weights_schema import architecture_problem, flattened, matching_problem, pixel_centre_problem, shown
from s2match.loftr.weights_tensors import feature_problem, size_problem, sizes, structure_problem, value_problem
from s2match.settings import BUNDLED, DOWNLOADED
from s2match.util.atomic_write import atomic_write

_LOG = logging.getLogger(__name__)

# kornia documents that its pretrained weights put the centre of the first pixel at (0.5, 0.5).
_KORNIA_PIXEL_CENTRE = 0.5

# Largest file of weights, packed or unpacked, and largest JSON in its metadata; those of LoFTR have 46 MB and 1 kB.
_MOST_BYTES, _MOST_JSON = 1 << 30, 1 << 20


@dataclass(frozen=True)
class Network:
    """A trained LoFTR with its pixel frame and matching parameters.

    Attributes:
        net: The network in evaluation mode, on the CPU, float32.
        pixel_centre: Coordinate of the first pixel's centre in the pixel frame of the weights: 0.5 in the GDAL frame,
            0.0 where pixel centres have integer coordinates.
        title: Name in summaries and figures.
        config: Parameters of matching; kornia's where the checkpoint has none.
    """

    net: LoFTR
    pixel_centre: float
    title: str
    config: MatchingConfig = KORNIA


def load_network(name: str) -> Network:
    """Load a network; other weights are never substituted.

    Args:
        name: Name of weights, or path of a checkpoint.

    Raises:
        UnknownWeightsError: ``name`` is neither a known name nor a file.
        WeightsDownloadError: The weights are not in the cache and cannot be downloaded.
        CorruptWeightsError: The file cannot be loaded, or is not a LoFTR.
    """
    if name == BUNDLED:
        with as_file(files("s2match.data") / f"{BUNDLED}.safetensors") as path:
            return _load_file(path, BUNDLED)
    if name in DOWNLOADED:
        return _load_named(name)
    path = Path(name)
    # a name that is too long or contains NUL is no file
    if os.path.isfile(name):  # noqa: PTH113
        return _load_file(path, path.name)
    raise UnknownWeightsError(
        f"Unknown weights {name!r}: choose {BUNDLED}, {', '.join(DOWNLOADED)}, or the path of a LoFTR checkpoint."
    )


def save_weights(net: LoFTR, pixel_centre: float, path: str | Path, config: MatchingConfig = KORNIA) -> None:
    """Write a network as float16 ``.safetensors``; its configuration and pixel frame go into the metadata.

    Args:
        net: The network.
        pixel_centre: See :class:`Network`.
        path: File to write.
        config: See :class:`Network`.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in net.state_dict().items()}
    metadata = {
        "config": json.dumps(net.config),
        "pixel_centre": str(pixel_centre),
        "matching_config": json.dumps(asdict(config)),
    }
    with atomic_write(path) as partial:
        save_file({key: value.contiguous() for key, value in tensors.items()}, partial, metadata)


def _load_named(name: str) -> Network:
    """Load weights from PyTorch's cache; they are downloaded to it first if they are not there."""
    path = cached_weights(name)
    try:
        return _load_file(path, name)
    except CorruptWeightsError as error:
        raise CorruptWeightsError(f"{error} It was downloaded: delete the file and retry.") from error


def _load_file(path: Path, title: str) -> Network:
    """Load a checkpoint file."""
    _LOG.debug("loading the weights %s", path)
    try:
        state, metadata = _read_checkpoint(path)
        _require(structure_problem(state))
        return _network(state, metadata, path.name, title)
    except OSError as error:
        raise CorruptWeightsError(f"Cannot read the weights {path}: {error.strerror or error}.") from error
    except _UnfitError as error:
        raise CorruptWeightsError(f"{path} is not a LoFTR checkpoint that can be used: {error}.") from error


class _UnfitError(Exception):
    """Why a checkpoint cannot be used, without a full stop."""


def _require(problem: str | None) -> None:
    if problem is not None:
        raise _UnfitError(problem)


def _network(state: dict[str, torch.Tensor], metadata: dict[str, str], file_name: str, title: str) -> Network:
    """Network of a checkpoint that has the structure of one.

    Raises:
        _UnfitError: It cannot be used.
    """
    centre, matching = _pixel_centre(metadata), _matching_config(metadata)
    config = _json(metadata["config"]) if "config" in metadata else _infer_config(state, file_name)
    _require(architecture_problem(config))
    _require(size_problem(state, flattened(config)))
    _require(value_problem(state))
    net = LoFTR(None, {**config, "resolution": tuple(config["resolution"])})
    try:
        net.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        raise _UnfitError("its tensors are not those of its configuration") from error
    _require(feature_problem(net.eval()))
    return Network(net, centre, title, matching)


def _pixel_centre(metadata: dict[str, str]) -> float:
    text = metadata.get("pixel_centre", str(_KORNIA_PIXEL_CENTRE))
    try:
        centre = float(text)
    except ValueError as error:
        raise _UnfitError(f"its pixel_centre {shown(text)} is no number") from error
    _require(pixel_centre_problem(centre))
    return centre


def _matching_config(metadata: dict[str, str]) -> MatchingConfig:
    """Matching parameters from the metadata of a checkpoint; weights of version 0.1 have them under other names."""
    fields = _json(metadata.get("matching_config", metadata.get("reading", "{}")))
    if isinstance(fields, dict) and "looks" in fields:
        fields["fine_iterations"] = fields.pop("looks")
    _require(matching_problem(fields))
    if fields.get("calibration") is not None:
        constant, precision, inlier_fraction = map(float, fields["calibration"])
        fields["calibration"] = (constant, precision, inlier_fraction)
    return MatchingConfig(**fields)


def _json(text: str) -> Any:
    """JSON of the metadata of a checkpoint."""
    _require("its metadata are too long" if len(text) > _MOST_JSON else None)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _UnfitError("its metadata are not JSON") from error


def _read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """State dict and metadata of a checkpoint; code in the file is not executed.

    Raises:
        OSError: The file cannot be read.
        _UnfitError: It is no checkpoint.
    """
    _require("it is larger than 1 GB" if path.stat().st_size > _MOST_BYTES else None)
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        _require("it unpacks to more than 1 GB" if _unpacked_bytes(path) > _MOST_BYTES else None)
        # PyTorch warns of old formats
        with without_warnings(Warning):
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, _UnfitError):
        raise
    except Exception as error:
        # the libraries raise many unrelated classes for damaged files
        raise _UnfitError("it is damaged, or contains more than tensors") from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    _require(None if isinstance(state, dict) else "its state_dict is no table of tensors")
    return {str(key).removeprefix("matcher."): value for key, value in state.items()}, {}


def _unpacked_bytes(path: Path) -> int:
    """Bytes of the members of a zip, the format of PyTorch since 1.6; 0 for other files."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def _infer_config(state: dict[str, torch.Tensor], file_name: str) -> dict[str, Any]:
    """Configuration of a checkpoint without one: kornia's default with the sizes of the tensors."""
    config: dict[str, Any] = copy.deepcopy(default_cfg)
    found = sizes(state)
    config["resolution"] = list(config["resolution"])
    config["resnetfpn"] = {name: found[f"resnetfpn.{name}"] for name in ("initial_dim", "block_dims")}
    for stage in ("coarse", "fine"):
        width, layers = found[f"{stage}.d_model"], found[f"{stage}.layers"]
        config[stage].update(d_model=width, d_ffn=width, layer_names=["self", "cross"] * (layers // 2))
    # the positional encoding of this one released checkpoint differs, which its tensors do not show
    config["coarse"]["temp_bug_fix"] = Path(file_name).stem.endswith("indoor_ds_new")
    return config
