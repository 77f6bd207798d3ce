"""Products of tokens with a matrix."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn import functional

from s2match.loftr.products import linear


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """PyTorch runs with this number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shape", [(300, 24), (7, 25, 24), (1, 24), (0, 24), (0, 25, 24)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("with_bias", [True, False])
def test_products_are_those_of_pytorch(shape: tuple[int, ...], dtype: torch.dtype, with_bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens, weight, bias = (torch.randn(size, generator=generator) for size in (shape, (40, 24), (40,)))
    found = linear(tokens.to(dtype), weight.to(dtype), bias.to(dtype) if with_bias else None)
    assert found.dtype == dtype
    assert found.is_contiguous()
    expected = functional.linear(tokens, weight, bias if with_bias else None)
    torch.testing.assert_close(found.float(), expected, atol=1e-4 if dtype == torch.float32 else 0.2, rtol=1e-2)


@pytest.mark.usefixtures("threads")
@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="PyTorch leaves products to MKL only where it has it")
def test_onednn_multiplies_unless_it_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    convolution = torch.mkldnn_convolution

    def counted(*arguments: Any) -> torch.Tensor:
        calls.append(arguments)
        return convolution(*arguments)

    monkeypatch.setattr(torch, "mkldnn_convolution", counted)
    tokens, weight = torch.ones(5, 3), torch.ones(4, 3)
    linear(tokens, weight)
    assert len(calls) == 1
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    linear(tokens, weight)
    assert len(calls) == 1


def test_a_view_of_the_rows_is_multiplied_as_its_copy() -> None:
    rows = torch.randn(24, 40, generator=torch.Generator().manual_seed(1)).T
    tokens = torch.randn(50, 24, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(linear(tokens, rows), tokens @ rows.T)
