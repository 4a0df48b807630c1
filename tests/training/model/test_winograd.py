"""Convolutions by Winograd's algorithm are convolutions, which float64 computes one by one here."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from training.model.winograd import Winograd, tiles


@pytest.mark.parametrize("relu", [False, True])
@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 3),
    inputs=st.integers(1, 9),
    outputs=st.integers(1, 9),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    seed=st.integers(0, 99),
)
def test_any_shape(count: int, inputs: int, outputs: int, height: int, width: int, seed: int, relu: bool) -> None:
    torch.manual_seed(seed)
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1).requires_grad_(False)
    assert convolution.bias is not None
    x = torch.randn(count, inputs, height, width)
    exact = F.conv2d(x.double(), convolution.weight.double(), convolution.bias.double(), padding=1)
    found = Winograd(convolution)(x, relu)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact.relu() if relu else exact, rtol=0, atol=2e-5 * float(exact.norm()))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_its_error_is_small_beside_what_comes_out(order: torch.memory_format) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(256, 128, 3, padding=1).requires_grad_(False)
    assert convolution.bias is not None
    x = torch.randn(2, 256, 14, 14).contiguous(memory_format=order)
    kept = x.clone()
    exact = F.conv2d(x.double(), convolution.weight.double(), convolution.bias.double(), padding=1)
    found = Winograd(convolution)(x)
    assert float((found - exact).norm()) < 5e-6 * float(exact.norm())
    assert torch.equal(x, kept)
    assert found.stride(1) == 1, "channels are not last"


@pytest.mark.parametrize(("side", "count"), [(1, 1), (4, 1), (5, 2), (28, 7)])
def test_tiles_along_a_side(side: int, count: int) -> None:
    assert tiles(side) == count
