"""A run's folder: config.json, metrics.jsonl, checkpoints/ and in the end the bundle model/."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.checkpoint import FIRST, Checkpoints
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.model.draft import replaced_file

_WERE = {"paired_crop_scale": "crop_scale", "paired_colour_jitter": "colour_jitter"}  # one key before, for both
_BESIDE = ("data_fingerprint", "data")  # keys of config.json that are not the configuration's


class RunError(ValueError):
    """A run that can't start or go on; `str()` is one sentence with the remedy."""


class RunInUse(RunError):
    """Another process trains in the run's folder."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run lives."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration, and which data set it was started with."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """One object a step."""
        return self.path / "metrics.jsonl"

    @property
    def model(self) -> Path:
        """The bundle; there once the run is finished."""
        return self.path / "model"

    @property
    def board(self) -> Path:
        """TensorBoard's event files, where they were asked for."""
        return self.path / "tensorboard"

    @property
    def diverged(self) -> Path:
        """What the step that broke the run was made of."""
        return self.path / "diverged.json"

    def checkpoints(self, kept: int) -> Checkpoints:
        """The checkpoints, of which so many are kept."""
        return Checkpoints(self.path / "checkpoints", kept)

    @property
    def has_begun(self) -> bool:
        """Whether there is something to go on from: a checkpoint past the first, or the bundle."""
        return self.model.exists() or any(file.name != FIRST for file in self.checkpoints(1).files())

    def is_begun(self, config: TrainingConfig, data: PackedData, resume: bool) -> bool:
        """Whether the folder holds this run with a checkpoint to go on from. A run that never got to one gives way.

        Raises:
            RunError: it holds a run and `resume` is false, or another run, or something else.
        """
        begun = self.has_begun
        if self.config.is_file():
            if begun and not resume:
                raise RunError(
                    f"{self.path} already holds a run; go on with --resume, or name another folder with --out"
                )
            try:
                theirs = dict(json.loads(self.config.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                raise RunError(f"{self.config} can't be read ({error}); name another folder with --out") from None
            if "data_fingerprint" not in theirs:
                raise RunError(f"{self.config} is not a training run's; name another folder with --out")
            theirs = _filled(theirs)
            for key, value in {**config.to_dict(), "data_fingerprint": data.fingerprint}.items() if begun else ():
                if theirs[key] != value:
                    raise RunError(
                        f"{self.path} was started with {key}={theirs[key]}, not {value}; resume it with its own values"
                    )
        elif begun:
            raise RunError(
                f"{self.config} is missing, so the run in {self.path} can't be resumed; name another folder with --out"
            )
        return begun

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else trains in the folder meanwhile, as far as its file system has locks.

        Raises:
            RunInUse: another process does.
            RunError: it can't be written.
        """
        folder = self.checkpoints(1).folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            with suppress(OSError):  # a file system without locks
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise RunInUse(
                        f"another process trains in {self.path}; "
                        "wait for it or end it, or name another folder with --out"
                    ) from None
            yield
        finally:
            os.close(lock)

    def claim(self, config: TrainingConfig, data: PackedData) -> None:
        """Make the folder and write config.json; a checkpoint of step 0 that is there is another start's, and goes.

        Raises:
            RunError: it can't be written.
        """
        content = {
            **config.to_dict(),
            "data_fingerprint": data.fingerprint,
            "data": str(data.folder.resolve()),
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "checkpoints" / FIRST).unlink(missing_ok=True)
            with replaced_file(self.config) as draft:
                draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from None

    def read_config(self) -> TrainingConfig:
        """The configuration that the run was started with; keys that its version did not know have their defaults.

        Raises:
            RunError: there is none, or it can't be read.
        """
        try:
            values = dict(json.loads(self.config.read_text(encoding="utf-8")))
            if "data_fingerprint" not in values:
                raise ValueError("it is not a training run's")
            own = {key: value for key, value in values.items() if key not in _BESIDE}
            return TrainingConfig.from_dict(_filled(own), str(self.config))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{self.path} can't be resumed ({error}); start another run in another folder") from None

    def what_is_left(self, config: TrainingConfig, hint: str) -> str:
        """What an interrupted run has on disk, and how to go on."""
        if not self.config.is_file():
            return f"stopped before the run began; nothing is in {self.path} yet, run the same command again"
        files = self.checkpoints(1).files()
        done = int(files[-1].stem.removeprefix("step-")) if files else 0
        if done == 0:
            return f"stopped before the first checkpoint; {self.path} holds the configuration; go on with: {hint}"
        return (
            f"stopped after step {done} of {config.steps}; its checkpoint is in {files[-1].parent}; go on with: {hint}"
        )

    def note_divergence(self, step: int, what: str, data: PackedData, rows: dict[str, list[int]]) -> None:
        """Write down what the step that broke the run was made of: by kind of item, the rows (the first is 1)."""
        items = {
            kind: [{"row": n + 1, "image": data.rows[n].image, "sound": data.rows[n].sound} for n in numbers]
            for kind, numbers in rows.items()
        }
        content = {"step": step, "what": what, "rows": items}
        self.diverged.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(f"{self.path} can't be written ({error.strerror}); name another folder with --out")


def resume_command(program: list[str], source: str, out: Path, device: str = "auto") -> str:
    """The command line that goes on with a run."""
    chosen = [] if device == "auto" else ["--device", device]
    return shlex.join([*program, "train", "--data", source, "--out", str(out), *chosen, "--resume"])


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """A run's keys, and for those that its version did not know what it did."""
    split = {key: values[older] for key, older in _WERE.items() if older in values}
    return {**TrainingConfig().to_dict(), **split, **values}
