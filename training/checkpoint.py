"""Checkpoints of a run: safetensors written atomically, the last few kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from training.model.draft import clear_drafts, make_draft
from training.model.tensors import write_tensors

FIRST = "step-00000000.safetensors"  # proves that a run can write; the seed gives what is in it


class CheckpointError(ValueError):
    """A checkpoint that can't be written or read; `str()` is one sentence."""


@dataclass(frozen=True)
class Checkpoints:
    """The `checkpoints/` folder of a run.

    Attributes:
        folder: where they are.
        kept: how many, the newest.
    """

    folder: Path
    kept: int = 3

    def check_room(self, model: nn.Module) -> None:
        """Refuse a disk that can't hold what a run writes: the checkpoints that are kept, and one more.

        Raises:
            CheckpointError: it is too full.
        """
        numbers = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        needed = 3 * numbers * (self.kept + 1)  # the weights, and Adam's two moments of each
        where = next(parent for parent in (self.folder, *self.folder.resolve().parents) if parent.is_dir())
        free = shutil.disk_usage(where).free
        if free < needed:
            raise CheckpointError(
                f"{self.folder} needs {needed / 1e9:.2f} GB for its checkpoints, and {free / 1e9:.2f} GB is free; "
                "make room, keep fewer with --set keep_checkpoints=1, or name another folder with --out"
            )

    def save(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> Path:
        """Write the state after `step` steps; the file appears whole or not at all, and older ones go only then.

        Raises:
            CheckpointError: the disk is full or the folder can't be written; earlier checkpoints are untouched.
        """
        tensors = {f"model.{key}": tensor.contiguous() for key, tensor in model.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{index}.{key}": value.contiguous() for key, value in state.items()})
        file = self.folder / f"step-{step:08d}.safetensors"
        try:
            with make_draft(self._any) as draft:
                write_tensors(tensors, draft / file.name, {"step": json.dumps(step)})
                (draft / file.name).replace(file)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder} ({reason}); "
                "earlier checkpoints are untouched: make room and go on with --resume"
            ) from None
        files = self.files()
        for old in (*files[: files.index(file) + 1][: -self.kept], *files[files.index(file) + 1 :]):
            old.unlink(missing_ok=True)  # those of later steps too: they could not be read, or this would not be here
        return file

    def files(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    @property
    def _any(self) -> Path:
        return self.folder / "step"

    def load_last(self, model: nn.Module, optimizer: torch.optim.Optimizer, clear: bool = True) -> int:
        """Put the newest readable checkpoint into model and optimizer; returns its step, 0 where there is none.

        With `clear`, what a killed run left half written is removed.

        Raises:
            CheckpointError: there are checkpoints, but not one can be read.
        """
        if clear:
            clear_drafts(self._any)
        files = self.files()
        for file in reversed(files):
            try:
                step, tensors = _read(file)
                _restore(tensors, model, optimizer)
            except torch.OutOfMemoryError:
                raise  # says nothing of the file
            except (SafetensorError, OSError, ValueError, LookupError, RuntimeError):
                continue  # an older one is behind it, and restoring that one overwrites everything
            return step
        if files:
            raise CheckpointError(f"no checkpoint in {self.folder} can be read; start another run in another folder")
        return 0


def _read(file: Path) -> tuple[int, dict[str, Tensor]]:
    with safe_open(file, framework="pt") as stream:
        metadata = stream.metadata() or {}
        return int(metadata["step"]), {key: stream.get_tensor(key) for key in stream.keys()}


def _restore(tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model.load_state_dict({key.removeprefix("model."): t for key, t in tensors.items() if key.startswith("model.")})
    parameters = list(model.parameters())
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            index, key = int(name.split(".")[1]), name.split(".", 2)[2]
            if tensor.shape == parameters[index].shape:
                # moments must lie in memory as their parameter does: fused optimizers walk both in storage order
                tensor = torch.empty_like(parameters[index], requires_grad=False).copy_(tensor)
            state.setdefault(index, {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
