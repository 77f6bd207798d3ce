"""Choice of device and number format."""

from contextlib import nullcontext

import pytest
import torch

from s2match.errors import DeviceError
from s2match.util.devices import best_precision, pick_device, wide_half


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_one_of_several_gpus(two_gpus: None) -> None:
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    assert pick_device("cuda:0") == torch.device("cuda", 0)
    assert pick_device("cuda") == pick_device("auto") == torch.device("cuda")
    for name in ("cuda:2", "cuda:-1", "cuda:x", "cuda:01", "cpu:3"):
        with pytest.raises(DeviceError, match=rf"no device '{name}' here: choose auto, cuda:0, cuda:1, cpu\."):
            pick_device(name)


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(DeviceError, match=rf"no device '{name}' here: choose auto, cpu\."):
            pick_device(name)
    assert pick_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("capability", "wide", "backbone", "transformer"),
    [
        ((6, 1), False, torch.float32, torch.float32),
        ((7, 5), False, torch.float16, torch.float32),
        ((8, 6), True, torch.float16, torch.bfloat16),
    ],
)
def test_no_half_precision_where_a_gpu_emulates_it(
    capability: tuple[int, int],
    wide: bool,
    backbone: torch.dtype,
    transformer: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A GTX 10 multiplies float16 at 1/64 of the float32 rate; an RTX 20 has float16 and emulates bfloat16."""

    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return including_emulation or wide

    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    gpu = torch.device("cuda", 1)
    assert best_precision(gpu) == backbone
    assert (wide_half(gpu) if backbone != torch.float32 else torch.float32) == transformer


def test_names_of_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(DeviceError, match="tpu"):
        pick_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="cuda"):
            pick_device("cuda")
