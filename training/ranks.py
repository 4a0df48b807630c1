"""Ranks: processes that train one model together, started by torchrun on one or more nodes (DDP)."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn  # DDP would import it once there is a group, whose functions then keep that for ever
from torch import Tensor

from training.model.device import DeviceError, resolve_device

_CPU = torch.device("cpu")
Rows = TypeVar("Rows", bound=Any)  # a tensor or an array


class RankLost(RuntimeError):
    """Another rank has gone; its own error says why."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together; alone by default.

    What is drawn at random is drawn for the whole batch on every rank, and each takes its own rows of it: so a batch
    is the same however many ranks share it.

    Attributes:
        rank: 0 leads: it alone writes.
        count: how many there are.
        device: what this one computes on.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = _CPU

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def mine(self, whole: Rows) -> Rows:
        """This rank's rows of a whole batch's: `[count * N, ...]` to `[N, ...]`."""
        n = len(whole) // self.count
        return whole[self.rank * n : (self.rank + 1) * n]

    def rand(self, n: int, *shape: int) -> Tensor:
        """Uniform draws in [0, 1) for this rank's N samples, `[N, *shape]`, from torch's CPU generator: they are the
        same on every device, and never make a GPU wait."""
        return self.mine(torch.rand(self.count * n, *shape))

    def gather(self, x: Tensor) -> Tensor:
        """Every rank's rows, `[N, ...]` to `[count * N, ...]`, with gradients that find their way back."""
        if self.count == 1:
            return x
        gathered: Tensor = _Gather.apply(x, self.rank, self.count)
        return gathered

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the ranks of a tensor that each has."""
        if self.count > 1:
            x = x.clone()
            dist.all_reduce(x)
            x /= self.count
        return x

    def any(self, flag: bool) -> bool:
        """Whether one of the ranks says so; each must ask, at the same step."""
        if self.count == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)

    def agree(self, number: int) -> int:
        """The number that rank 0 has; the others wait for it."""
        if self.count == 1:
            return number
        told = torch.tensor(number, device=self.device)
        dist.broadcast(told, 0)
        return int(told)


ALONE = Ranks()


class _Gather(torch.autograd.Function):
    """All-gather. Its gradient is the sum of what every rank's loss asks of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rank: int, count: int) -> Tensor:
        ctx.rows = slice(rank * len(x), (rank + 1) * len(x))
        parts = [torch.empty_like(x) for _ in range(count)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        whole = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole[ctx.rows], None, None


def leads() -> bool:
    """Whether this process is rank 0 of what torchrun started, or alone."""
    return os.environ.get("RANK", "0") == "0"


def launcher() -> list[str]:
    """How torchrun starts a job like this one, for sentences that name a command; empty alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return []
    nodes = os.environ.get("GROUP_WORLD_SIZE", "1")
    spread = [] if nodes == "1" else ["--nnodes", nodes]
    return ["torchrun", *spread, "--nproc-per-node", os.environ["LOCAL_WORLD_SIZE"], "--no-python"]


@contextmanager
def join_ranks(device: str = "auto") -> Iterator[Ranks]:
    """Take part in what torchrun started, by NCCL on GPUs and gloo on CPUs; alone where nothing did.

    Args:
        device: auto, cpu, cuda or cuda:N. Under torchrun `auto` and `cuda` are the GPU of the rank's own number.

    Raises:
        DeviceError: the device does not exist here, or all ranks of a node would take the same GPU.
        RankLost: another rank has gone.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks(device=resolve_device(device))
        return
    where = resolve_device(device)
    if where.type == "cuda":
        if where.index is not None:
            raise DeviceError(f"torchrun gives each rank a GPU of its own; leave out --device {device}, or say cuda")
        where = resolve_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(where)
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    ranks = Ranks(dist.get_rank(), dist.get_world_size(), where)
    try:
        yield ranks
    except RuntimeError as error:  # gloo's errors have no class of their own
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise RankLost(f"rank {ranks.rank} stops, as another one has stopped") from error
        raise
    # Not after an error: what still holds on to the group would wait for it for ever. And wholly, which ends gloo's
    # threads: one that frees a tensor while the interpreter shuts down aborts the process, and torchrun the others.
    gc.collect()  # DDP, which holds on to the group as well, is in cycles
    dist.destroy_process_group()
