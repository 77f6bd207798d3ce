"""Software and hardware of a measurement."""

import platform
import subprocess
from pathlib import Path
from typing import Any

import cv2
import kornia
import numpy as np
import torch


def environment(device: torch.device) -> dict[str, Any]:
    """Commit, versions, device and threads of a measurement, as JSON types."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kornia": kornia.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "device": str(device),
        "threads": torch.get_num_threads(),
    }


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or None
