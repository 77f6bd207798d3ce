"""Devices and the precision that each computes fastest in."""

import platform
from pathlib import Path

import torch

from s2match.errors import DeviceError


def best_precision(device: torch.device) -> torch.dtype:
    """The fastest that keeps the matches: half where the card or the CPU multiplies it faster, else float32."""
    if device.type == "cuda":
        return torch.float16 if _multiplies_float16_faster(device) else torch.float32
    if device.type == "cpu" and _multiplies_bfloat16_faster():
        return torch.bfloat16
    return torch.float32


def wide_half(device: torch.device) -> torch.dtype:
    """The half precision with the range of float32, bfloat16; float32 where a card only emulates it."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                return torch.float32
    return torch.bfloat16


def _multiplies_float16_faster(device: torch.device) -> bool:
    """Whether a card has units for float16: NVIDIA's do from compute capability 7.0; older ones take up to 64 times."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (7, 0)


def _multiplies_bfloat16_faster() -> bool:
    """Whether the processor has instructions that multiply bfloat16 faster than float32, and PyTorch may use them.

    Matrix units do, and AMD's vector units; Intel's, measured at 0.7 of their float32 rate, do not. The kind of the
    processor decides, not a stopwatch, so that the same machine always gives the same matches.
    """
    # ATEN_CPU_CAPABILITY switches instructions off, which the processor's own flags do not show
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if torch.cpu._is_amx_tile_supported():
        return True
    return torch.cpu._is_avx512_bf16_supported() and _is_amd()


def _is_amd() -> bool:
    described = Path("/proc/cpuinfo")
    text = described.read_text(errors="replace") if described.is_file() else platform.processor()
    return "AuthenticAMD" in text


# What PyTorch's allocators say, and its libraries.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def pick_device(name: str) -> torch.device:
    """The device of a name: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` for one of several cards, or ``mps``.

    Raises:
        DeviceError: The device is not there or its name is unknown.
    """
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    numbered = [f"cuda:{number}" for number in range(cards)]
    available = [*numbered, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
    if name in ("auto", "cuda"):
        found = next((device for device in available if name in ("auto", device.partition(":")[0])), None)
        if found is not None:
            return torch.device(found.partition(":")[0])
    elif name in available:
        return torch.device(name)
    raise DeviceError(f"There is no device {name!r} here: choose auto, {', '.join(available)}.")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is too little memory, and not that wrong memory was touched."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # allocators of processors have no class of their own, nor has that of Apple's
    said = str(error).lower()
    return any(words in said for words in _OUT_OF_MEMORY)
