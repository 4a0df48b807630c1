"""Which device computes, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)

PRECISIONS = ("auto", "fp32", "bf16")


class DeviceError(ValueError):
    """A device or precision that can't be used; `str()` is one sentence with the remedy."""


def resolve_device(device: str = "auto") -> torch.device:
    """`auto` is the first GPU, else the CPU.

    Raises:
        DeviceError: the device does not exist here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = torch.device("meta")
    if resolved.type not in ("cpu", "cuda"):
        raise DeviceError(f"there is no device '{device}'; use auto, cpu, cuda or cuda:N")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if resolved.type == "cuda" and (resolved.index or 0) >= gpus:
        usable = f"only {gpus} of them can be used" if gpus else "no GPU is usable"
        raise DeviceError(f"device '{device}' was asked for, but {usable} here; use cpu or auto")
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the hardware multiplies in it, else float32.

    The processor's features decide, not a stopwatch, so that a machine always gives the same answer.

    Raises:
        DeviceError: the precision is not known.
    """
    if precision not in PRECISIONS:
        raise DeviceError(f"there is no precision '{precision}'; use {', '.join(PRECISIONS)}")
    if precision == "auto":
        precision = "bf16" if _multiplies_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def place(module: M, device: torch.device) -> M:
    """A module on a device, its convolutions' weights in channels-last order."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Run the convolutions of a block in `dtype`."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def set_threads(threads: int) -> None:
    """How many cores an operation on the CPU may take in this thread, and in those that have not used torch yet."""
    torch.get_num_threads()  # a thread's first use of torch takes over the process's number, which would come later
    torch.set_num_threads(threads)


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature, False) for feature in ("avx512_bf16", "amx_bf16", "bf16"))
