"""Choosing a device and a precision by the hardware, and saying so when what was asked for is not there."""

import pytest
import torch
from torch import nn

from training.model.device import autocast, place, resolve_device, resolve_precision

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == CPU


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    for device in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match=f"device '{device}' was asked for, but no GPU is usable here"):
            resolve_device(device)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "cpu cpu"])
def test_a_device_that_does_not_exist_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match=f"there is no device '{device}'; use auto, cpu, cuda or cuda:N"):
        resolve_device(device)


def test_the_precision_asked_for_is_taken() -> None:
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16
    with pytest.raises(ValueError, match="there is no precision 'fp16'"):
        resolve_precision("fp16", CPU)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_on_a_cpu_its_instructions_decide(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert resolve_precision("auto", CPU) == expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_on_a_gpu_its_generation_decides(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda")) == expected


def test_autocast_covers_convolutions_in_bfloat16_only() -> None:
    layer, x = nn.Conv2d(1, 1, 3), torch.rand(1, 1, 8, 8)
    with autocast(CPU, torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    with autocast(CPU, torch.float32):
        assert layer(x).dtype == torch.float32


def test_a_placed_module_has_channels_last_convolutions() -> None:
    layer = place(nn.Conv2d(4, 4, 3), CPU)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
