"""Errors for images that exceed the memory of the device."""

import pytest
import torch
from conftest import make_raster, texture

from s2match import Settings
from s2match.core.raster import Raster
from s2match.errors import DeviceError, ImageSizeError
from s2match.loftr.checkpoints import load_network
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


def test_a_device_without_memory_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 20 MiB")

    monkeypatch.setattr(Engine, "__init__", fail)
    with pytest.raises(DeviceError, match="The cpu device has no memory for the network: choose another"):
        LoftrMatcher(load_network("sentinel2"), torch.device("cpu"))


def test_the_limit_of_a_container_counts(matcher: LoftrMatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2match.util.containers.free_memory", lambda: None)
    whole = matcher.free_bytes
    monkeypatch.setattr("s2match.util.containers.free_memory", lambda: 1_000_000)
    assert matcher.free_bytes == 1_000_000 < whole
    with pytest.raises(ImageSizeError, match=r"200 160 is too large: .* needs about 0\.\d GB of memory, and 0\.0 GB"):
        match_rasters(matcher, raster(), raster(), Settings())
    monkeypatch.setattr("s2match.util.containers.free_memory", lambda: 1 << 60)
    assert abs(matcher.free_bytes - whole) < GB
