"""Devices, and the number format that is fastest on each."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from s2match.errors import DeviceError

# Parts of out-of-memory messages of PyTorch's allocators and of the libraries that it calls, oneDNN the last.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",
    "could not create a primitive",
)


def pick_device(name: str) -> torch.device:
    """PyTorch device of a name.

    Args:
        name: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` for one of several GPUs, or ``mps``.

    Raises:
        DeviceError: The device is not available, or the name is unknown.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    numbered = [f"cuda:{number}" for number in range(gpus)]
    available = [*numbered, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
    if name in ("auto", "cuda"):
        device = next((device for device in available if name in ("auto", device.partition(":")[0])), None)
        if device is not None:
            return torch.device(device.partition(":")[0])
    elif name in available:
        return torch.device(name)
    raise DeviceError(f"There is no device {name!r} here: choose auto, {', '.join(available)}.")


def precision_named(name: str) -> torch.dtype | None:
    """Number format of a name, one of :data:`s2match.settings.PRECISIONS`; None for ``auto``."""
    formats = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16}
    return formats[name]


def best_precision(device: torch.device) -> torch.dtype:
    """Fastest number format of the backbone that keeps the matches.

    float16 on GPUs and bfloat16 on CPUs that multiply it faster than float32, else float32.
    """
    if device.type == "cuda":
        return torch.float16 if _has_fast_float16(device) else torch.float32
    if device.type == "cpu" and _has_fast_bfloat16():
        return torch.bfloat16
    return torch.float32


def wide_half(device: torch.device) -> torch.dtype:
    """Half-precision format with the range of float32: bfloat16, or float32 where a GPU only emulates bfloat16."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                return torch.float32
    return torch.bfloat16


def _has_fast_float16(device: torch.device) -> bool:
    """Whether a GPU has float16 units: NVIDIA's from compute capability 7.0; older ones are up to 64 times slower."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (7, 0)


def _has_fast_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 faster than float32, and PyTorch may use these instructions.

    True for matrix units (AMX) and for AMD's AVX512-BF16; Intel's AVX512-BF16 reaches 0.7 of the float32 rate. Decided
    by the kind of CPU, not by a benchmark, so that one machine always gives the same matches.
    """
    # ATEN_CPU_CAPABILITY switches instructions off without changing the CPU's own flags
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if torch.cpu._is_amx_tile_supported():
        return True
    return torch.cpu._is_avx512_bf16_supported() and _is_amd()


def _is_amd() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(errors="replace") if cpuinfo.is_file() else platform.processor()
    return "AuthenticAMD" in text


@contextmanager
def memory_errors(instead: Exception) -> Iterator[None]:
    """Raise another error in place of those of the block that report insufficient memory.

    Args:
        instead: The error that is raised.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise instead from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error reports insufficient memory, rather than an illegal memory access."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # the CPU and Metal allocators raise a plain RuntimeError
    message = str(error).lower()
    return any(words in message for words in _OUT_OF_MEMORY)
