"""A GPU whose tensors lie in the memory of the CPU: same numbers, and the errors of a real one.

Code that forgets ``.to(device)`` or ``.cpu()`` fails as on a GPU. Tensors say that they are on the GPU, while PyTorch
itself takes them for tensors of its ``meta`` device, which every build has. Their values are computed on the CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CPU, META = torch.device("cpu"), torch.device("meta")

# Operations between two devices; all others need their tensors on one. Single numbers may lie on the CPU.
_TRANSFERS = {"aten::to", "aten::_to_copy", "aten::copy_"}

# Free memory that the stand-in tells.
FREE_BYTES = 8 << 30


class GpuTensor(torch.Tensor):
    """A tensor on the stand-in."""

    on_cpu: torch.Tensor
    place: torch.device

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, on_cpu: torch.Tensor, place: torch.device) -> "GpuTensor":
        # PyTorch cannot track views of a tensor that was made in inference mode, as those of a network's buffers
        with torch.inference_mode(False):
            layout = {"strides": on_cpu.stride(), "storage_offset": on_cpu.storage_offset(), "dtype": on_cpu.dtype}
            made: Any = torch.Tensor._make_wrapper_subclass(cls, on_cpu.shape, **layout, device=META)
        made.on_cpu, made.place = on_cpu, place
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on a tensor of the stand-in, which has ended")

    @property
    def device(self) -> torch.device:
        return self.place

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *given: Any, **named: Any) -> Any:
        raise TypeError(f"can't convert {self.place} device type tensor to numpy")


class _Devices(TorchFunctionMode):
    """Calls with the device of the stand-in, as PyTorch can take them."""

    def __init__(self, place: torch.device) -> None:
        super().__init__()
        self._place = place

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map(self._known, (args, kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor):
            # on the meta device, PyTorch would not look at the values
            if func is torch.Tensor.new_tensor:
                like, values = args
                return torch.tensor(values, dtype=like.dtype).to(self._known(like.device))
            device = kwargs.pop("device", CPU)
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)

    def _known(self, value: Any) -> Any:
        return META if isinstance(value, torch.device) and value.type == self._place.type else value


class _Operations(TorchDispatchMode):
    """Operations on tensors of the stand-in, computed on the CPU."""

    def __init__(self, place: torch.device, most_bytes: int) -> None:
        super().__init__()
        self._place, self._most_bytes = place, most_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tree_leaves((args, kwargs or {}))
        here = [value for value in given if isinstance(value, GpuTensor)]
        elsewhere = [value for value in given if isinstance(value, torch.Tensor) and not isinstance(value, GpuTensor)]
        name = func._schema.name
        if here and elsewhere and name == "aten::_has_compatible_shallow_copy_type":
            return False
        if here and name not in _TRANSFERS and any(value.dim() > 0 for value in elsewhere):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, {self._place} and cpu")
        computed = func(*tree_map(_on_cpu, args), **tree_map(_on_cpu, kwargs or {}))
        if func._schema.is_mutable:
            # in place
            return args[0]
        asked = [value for value in given if isinstance(value, torch.device)]
        is_here = asked[0] == META if asked else bool(here)
        most_bytes = FREE_BYTES if name in _TRANSFERS else self._most_bytes
        return tree_map(partial(self._kept, most_bytes), computed) if is_here else computed

    def _kept(self, most_bytes: int, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if value.nbytes > most_bytes:
            raise torch.OutOfMemoryError(f"{self._place} out of memory: tried to allocate {value.nbytes} bytes")
        if self._place.type == "mps" and value.dtype == torch.float64:
            raise TypeError("the MPS framework doesn't support float64")
        return GpuTensor(value, self._place)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.device):
        return CPU
    return value.on_cpu if isinstance(value, GpuTensor) else value


@contextmanager
def gpu_stand_in(kind: str, most_bytes: int = FREE_BYTES) -> Iterator[torch.device]:
    """A device for the block: a GPU of NVIDIA's Ampere or later (``cuda``), or one of Apple's (``mps``).

    Args:
        kind: Type of the device.
        most_bytes: Largest result of an operation that its memory can hold, beside the weights.

    Yields:
        The device; ``--device`` finds it by its type.
    """
    place = torch.device(kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: kind == "cuda")
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "device", lambda device: nullcontext())
        patch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
        patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
        patch.setattr(torch.cuda, "mem_get_info", lambda device: (FREE_BYTES, FREE_BYTES))
        patch.setattr(torch.backends.mps, "is_available", lambda: kind == "mps")
        with _Devices(place), _Operations(place, most_bytes):
            yield place
