"""Load and save LoFTR weights with their configuration and pixel frame.

Weights are chosen by name or path. ``sentinel2`` is bundled. ``outdoor``, ``indoor`` and ``indoor_new`` are downloaded
to PyTorch's cache by kornia. A path names a ``.safetensors`` file written by :func:`save_weights`, or a LoFTR
checkpoint (``.ckpt``, ``.pt``, ``.pth`` or ``.safetensors``) of kornia or of the original authors.
"""

import copy
import json
import logging
import pickle
import re
import struct
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from kornia.feature import LoFTR
from kornia.feature.loftr.loftr import default_cfg
from kornia.feature.loftr.loftr import urls as kornia_urls
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from s2match.errors import CorruptWeightsError, UnknownWeightsError, WeightsDownloadError
from s2match.io.quiet import without_warnings
from s2match.loftr.config import KORNIA, MatchingConfig
from s2match.settings import BUNDLED
from s2match.util.atomic_write import atomic_write

_LOG = logging.getLogger(__name__)

# Names that kornia downloads.
DOWNLOADED = ("outdoor", "indoor", "indoor_new")

# kornia documents that its pretrained weights put the centre of the first pixel at (0.5, 0.5).
_KORNIA_PIXEL_CENTRE = 0.5


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
    if path.is_file():
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
    """Load weights that kornia downloads."""
    cached = Path(torch.hub.get_dir()) / "checkpoints" / f"{Path(_urls(name)[0]).name}"
    was_cached = cached.is_file()
    _LOG.debug("loading the weights %s %s", name, f"from {cached}" if was_cached else f"to {cached}")
    try:
        # kornia warns at every failed attempt; the error below reports them once
        with without_warnings(UserWarning):
            return Network(LoFTR(pretrained=name), _KORNIA_PIXEL_CENTRE, name)
    except (RuntimeError, OSError, KeyError, pickle.UnpicklingError) as error:
        if was_cached:
            raise CorruptWeightsError(
                f"The cached weights {cached} cannot be loaded: delete the file and retry."
            ) from error
        raise WeightsDownloadError(
            f"Cannot download the weights {name!r}: tried {' and '.join(_urls(name))}. "
            f"Put the file at {cached}, or use --model_pretrained {BUNDLED}, which needs no download."
        ) from error


def _urls(name: str) -> list[str]:
    """The addresses that kornia tries for some weights."""
    urls = kornia_urls[name]
    return [urls] if isinstance(urls, str) else urls


def _load_file(path: Path, title: str) -> Network:
    """Load a checkpoint file."""
    _LOG.debug("loading the weights %s", path)
    try:
        state, metadata = _read_checkpoint(path)
        config = json.loads(metadata["config"]) if "config" in metadata else _infer_config(state, path.name)
        config["resolution"] = tuple(config["resolution"])
        net = LoFTR(None, config)
        net.load_state_dict({key: value.float() for key, value in state.items()})
        centre = float(metadata.get("pixel_centre", _KORNIA_PIXEL_CENTRE))
        matching_config = _matching_config(metadata)
    except OSError as error:
        raise CorruptWeightsError(f"Cannot read the weights {path}: {error.strerror or error}.") from error
    except (
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        struct.error,
        pickle.UnpicklingError,
        SafetensorError,
    ) as error:
        raise CorruptWeightsError(f"{path} is not a LoFTR checkpoint that can be loaded.") from error
    return Network(net.eval(), centre, title, matching_config)


def _matching_config(metadata: dict[str, str]) -> MatchingConfig:
    """Matching parameters from the metadata of a checkpoint; weights of version 0.1 have them under other names."""
    fields: dict[str, Any] = json.loads(metadata.get("matching_config", metadata.get("reading", "{}")))
    if "looks" in fields:
        fields["fine_iterations"] = fields.pop("looks")
    calibration = fields.get("calibration")
    if calibration is not None:
        constant, precision, inlier_fraction = map(float, calibration)
        fields["calibration"] = (constant, precision, inlier_fraction)
    return MatchingConfig(**fields)


def _read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """State dict and metadata of a checkpoint; code in the file is not executed."""
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    state = loaded.get("state_dict", loaded)
    return {key.removeprefix("matcher."): value for key, value in state.items()}, {}


def _infer_config(state: dict[str, torch.Tensor], file_name: str) -> dict[str, Any]:
    """Configuration of a checkpoint without one: kornia's default with the sizes of the tensors."""
    config: dict[str, Any] = copy.deepcopy(default_cfg)
    dims = [state[f"backbone.layer{level}.0.conv1.weight"].shape[0] for level in (1, 2, 3)]
    layers = {int(match[1]) for key in state if (match := re.match(r"loftr_coarse\.layers\.(\d+)\.", key))}
    config["resnetfpn"] = {"initial_dim": state["backbone.conv1.weight"].shape[0], "block_dims": dims}
    config["coarse"].update(d_model=dims[2], d_ffn=dims[2], layer_names=["self", "cross"] * (len(layers) // 2))
    config["fine"].update(d_model=dims[0], d_ffn=dims[0])
    # the positional encoding of this one released checkpoint differs, which its tensors do not show
    config["coarse"]["temp_bug_fix"] = Path(file_name).stem.endswith("indoor_ds_new")
    return config
