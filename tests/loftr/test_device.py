"""Choice of device and number format, and errors for images that exceed the device's memory."""

from contextlib import nullcontext

import pytest
import torch
from conftest import make_raster, texture

from s2match import Settings
from s2match.core.raster import Raster
from s2match.errors import DeviceError, ImageSizeError
from s2match.loftr.checkpoints import load_network
from s2match.loftr.device import best_precision, pick_device, wide_half
from s2match.loftr.engine import Engine
from s2match.loftr.matcher import LoftrMatcher
from s2match.matching.greyscale import prepare
from s2match.matching.single_pass import match_rasters

GB = 2**30


@pytest.fixture(scope="module")
def matcher() -> LoftrMatcher:
    return LoftrMatcher(load_network("sentinel2"), torch.device("cpu"))


def raster() -> Raster:
    return make_raster(texture(200, 160, seed=1))


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


@pytest.mark.parametrize(
    ("message", "is_size"),
    [
        ("CUDA error: an illegal memory access was encountered", False),
        ("CUDA error: invalid device pointer in shared memory", False),
        ("CUDA error: out of memory", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)", True),
        ("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate", True),
        ("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes.", True),
        ("MPS backend out of memory (MPS allocated: 18.13 GB)", True),
    ],
)
def test_out_of_memory_is_not_illegal_access(
    message: str, is_size: bool, matcher: LoftrMatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(Engine, "extract", fail)
    with pytest.raises(ImageSizeError if is_size else RuntimeError) as met:
        matcher.encode(prepare(raster()))
    assert ("out of memory: use a smaller size" in str(met.value)) == is_size


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("tried to allocate 20 MiB"), MemoryError()])
def test_errors_of_allocators(error: Exception, matcher: LoftrMatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise error

    monkeypatch.setattr(Engine, "match", fail)
    seen = matcher.encode(prepare(raster()))
    with pytest.raises(ImageSizeError, match="out of memory"):
        matcher.match_encoded(seen, seen, 0.5)


def test_the_limit_of_a_container_counts(matcher: LoftrMatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2match.loftr.matcher.free_memory", lambda: None)
    whole = matcher.free_bytes
    monkeypatch.setattr("s2match.loftr.matcher.free_memory", lambda: 1_000_000)
    assert matcher.free_bytes == 1_000_000 < whole
    with pytest.raises(ImageSizeError, match=r"200 160 is too large: .* needs about 0\.\d GB of memory, and 0\.0 GB"):
        match_rasters(matcher, raster(), raster(), Settings())
    monkeypatch.setattr("s2match.loftr.matcher.free_memory", lambda: 1 << 60)
    assert abs(matcher.free_bytes - whole) < GB
