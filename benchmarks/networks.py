"""The networks of the speed benchmark."""

from pathlib import Path

import torch
from kornia.feature import LoFTR

from s2match.loftr.checkpoints import Network, load_network
from s2match.loftr.config import KORNIA

ROOT = Path(__file__).resolve().parent.parent
PRETRAINED = "pretrained configuration"


def network(name: str) -> Network:
    """The bundled network, or kornia's pretrained configuration with random weights."""
    if name == PRETRAINED:
        torch.manual_seed(0)
        return Network(LoFTR(None).eval(), 0.5, name, KORNIA)
    return load_network(name)
