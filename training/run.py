"""A training run: packed data in, bundle out."""

from __future__ import annotations

import datetime
import json
import math
import platform
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
import torchvision

from training.allocator import keep_freed_memory
from training.batch import Feeder, find_pools
from training.checkpoint import Checkpoints
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.features import Features
from training.interrupt import Interrupted, Interruption
from training.log import MetricsLog
from training.model.bundle import MODALITIES, Bundle, BundleError, load_bundle
from training.model.config import PreprocessConfig
from training.model.device import place, resolve_device, resolve_precision
from training.model.embedder import Embedder
from training.model.head import ClassHead
from training.model.memory import Modality
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor, windows
from training.objective import Objective
from training.probe import fit_head

STATISTICS_SOUNDS = 2048


class RunError(ValueError):
    """A run that can't start or go on; `str()` is one sentence with the remedy."""


def train(
    data: PackedData,
    out: Path,
    config: TrainingConfig,
    device: str = "auto",
    resume: bool = False,
    source: str = "DATA",
    *,
    how_to_resume: str = "",
) -> Bundle:
    """Train a model; the run's folder holds config.json, metrics.jsonl, checkpoints/ and in the end the bundle model/.

    Args:
        data: packed at the configuration's image size and sample rate.
        out: the run's folder.
        config: of the run.
        device: auto, cpu, cuda or cuda:N.
        resume: go on from the folder's last checkpoint; a finished run is returned as it is.
        source: how the user named the data, for the sentence that says how to resume.
        how_to_resume: says it instead, as "go on with: {how_to_resume}".

    Raises:
        RunError: the folder holds another run, the loss is not a number, or the bundle can't be written.
        DataError: the data can't train this configuration.
        CheckpointError: a checkpoint can't be written or read.
        Interrupted: after Ctrl-C or SIGTERM, with what is on disk.
    """
    hint = how_to_resume or resume_command(["bma"], source, out, device)
    where = resolve_device(device)
    keep_freed_memory()
    with Interruption().taken() as stop:
        begun = _is_begun(out, config, data, resume)
        if begun and (out / "model").is_dir():
            return load_bundle(out / "model")
        try:
            feeder = Feeder(data, config, where)  # refuses data that can't train this, before anything is on disk
            if not begun:
                _claim(out, config, data)
            with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
                loop = _Loop(data, feeder, out, config, where)
                with stop.noted():
                    loop.run(stop)
                return loop.finish()
        except KeyboardInterrupt:
            raise Interrupted(_what_is_left(out, config, hint)) from None
        except BundleError as error:
            raise RunError(f"{error}, and go on with: {hint}") from None


def resume_command(program: list[str], source: str, out: Path, device: str = "auto") -> str:
    """The command line that goes on with a run."""
    chosen = [] if device == "auto" else ["--device", device]
    return shlex.join([*program, "train", "--data", source, "--out", str(out), *chosen, "--resume"])


class _Loop:
    def __init__(
        self, data: PackedData, feeder: Feeder, out: Path, config: TrainingConfig, device: torch.device
    ) -> None:
        self.data, self.feeder, self.out, self.config, self.device = data, feeder, out, config, device
        self.dtype = resolve_precision(config.precision, device)
        self.preprocessor = make_preprocessor(data, config.preprocess_config).to(device)
        torch.manual_seed(config.seed)
        self.model = place(BMAModel(config.model_config), device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate, fused=True)
        self.checkpoints = Checkpoints(out / "checkpoints")

    def run(self, stop: Interruption) -> None:
        """Steps until the end or until `stop` is true."""
        config = self.config
        done = self.checkpoints.load_last(self.model, self.optimizer)
        if done == 0:  # proves, before hours of work, that checkpoints can be written
            self.checkpoints.save(0, self.model, self.optimizer)
        objective = Objective(config, self.model, self.preprocessor, self.dtype)
        kinds = 1 + config.uses_unpaired_sounds + config.uses_unpaired_images
        log = MetricsLog(self.out / "metrics.jsonl", done, config.steps, kinds * config.batch_size)
        self.model.train()
        try:
            for step in range(done, config.steps):
                torch.manual_seed(_step_seed(config.seed, step))
                for group in self.optimizer.param_groups:
                    group["lr"] = learning_rate(config, step)
                losses = objective(self.feeder.batch(step), unpaired_weight(config, step))
                self.optimizer.zero_grad(set_to_none=True)
                losses["loss"].backward()
                self.optimizer.step()
                log.add(step, losses)
                due = (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps
                due = due or bool(stop)
                if due:
                    log.flush()
                self._refuse_divergence(log, step, with_weights=due)
                if due:
                    self.checkpoints.save(step + 1, self.model, self.optimizer)
                if stop:
                    raise KeyboardInterrupt
        finally:
            log.close()

    def _refuse_divergence(self, log: MetricsLog, step: int, with_weights: bool) -> None:
        """No checkpoint, and so no bundle, holds what is not a number: not even where one step broke the weights and
        the next would show it in the loss."""
        what = ""
        if log.diverged:
            what = f"the loss is {log.diverged[1]} at step {log.diverged[0]}"
        elif with_weights and not all(bool(tensor.isfinite().all()) for tensor in self.model.state_dict().values()):
            what = f"step {step} made weights that are not finite numbers"
        if what:
            raise RunError(
                f"{what}; checkpoints before it are in {self.checkpoints.folder}: "
                "lower learning_rate, or set precision=fp32, in a new run"
            )

    def finish(self) -> Bundle:
        """Fit the class heads and write the bundle."""
        bundle = Bundle(self.model.eval(), self.preprocessor, training=self._provenance())
        bundle.heads = fit_heads(Features(self.data, Embedder(bundle, str(self.device), self.config.precision, 128)))
        bundle.model, bundle.preprocessor = self.model.cpu(), self.preprocessor.cpu()
        bundle.save(self.out / "model")
        return bundle

    def _provenance(self) -> dict[str, object]:
        pools = find_pools(self.data)
        return {
            "preset": self.config.preset,
            "seed": self.config.seed,
            "steps": self.config.steps,
            "config": self.config.to_dict(),
            "data": {"fingerprint": self.data.fingerprint, **{kind: len(rows) for kind, rows in pools.items()}},
            "precision": "bf16" if self.dtype == torch.bfloat16 else "fp32",
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
                "torchaudio": torchaudio.__version__,
            },
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }


def read_config(out: Path) -> TrainingConfig:
    """The configuration that a run was started with. Raises `RunError`."""
    try:
        values = dict(json.loads((out / "config.json").read_text(encoding="utf-8")))
        values.pop("data_fingerprint", None)
        return TrainingConfig.from_dict(values, str(out / "config.json"))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{out} can't be resumed ({error}); start another run in another folder") from None


def fit_heads(features: Features) -> dict[Modality, ClassHead]:
    """A class head for each modality that has labelled training items of at least two classes."""
    heads: dict[Modality, ClassHead] = {}
    for modality in MODALITIES:
        items, _ = features.split("train", modality)
        names = sorted(set(items.labels))
        if len(names) >= 2:
            train_set = features.labelled("train", modality, names)
            heads[modality] = fit_head(train_set, names, features.labelled("val", modality, names))
    return heads


def make_preprocessor(data: PackedData, config: PreprocessConfig) -> Preprocessor:
    """A preprocessor with the mean and deviation of the training pairs' log-mels (of 2,048 sounds spread evenly,
    where there are more; all windows of each)."""
    pairs = find_pools(data)["pairs"]
    sounds = np.unique(data.index[pairs, 1])
    if len(sounds) > STATISTICS_SOUNDS:
        sounds = sounds[np.linspace(0, len(sounds) - 1, STATISTICS_SOUNDS).round().astype(int)]
    raw = Preprocessor(config)
    count, total, squares = 0, 0.0, 0.0
    for number in sounds:
        wave = torch.from_numpy(np.array(data.wave(int(number))))
        log_mel = raw.sound(windows(wave, config.window_samples)).double()
        count += log_mel.numel()
        total += float(log_mel.sum())
        squares += float(log_mel.square().sum())
    mean = total / max(count, 1)
    variance = squares / max(count, 1) - mean**2
    return Preprocessor(config, mean, math.sqrt(variance) if variance > 1e-12 else 1.0)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Learning rate of a step: a linear rise over the warm-up, then constant or a half cosine to zero."""
    progress = step / config.steps
    if progress < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup * config.steps + 1)
    if config.schedule == "cosine":
        rest = (progress - config.warmup) / max(1 - config.warmup, 1e-9)
        return config.learning_rate * (1 + math.cos(math.pi * rest)) / 2
    return config.learning_rate


def unpaired_weight(config: TrainingConfig, step: int) -> float:
    """Factor on L_unpair at a step: a linear rise over the ramp, then constant."""
    ramp = config.unpaired_ramp * config.steps
    return config.unpaired_weight * (min(1.0, step / ramp) if ramp else 1.0)


def _is_begun(out: Path, config: TrainingConfig, data: PackedData, resume: bool) -> bool:
    """Whether the folder holds this run with a checkpoint to go on from. A run that never got to one gives way."""
    file = out / "config.json"
    begun = (out / "model").exists() or any((out / "checkpoints").glob("step-*"))
    if file.is_file():
        if begun and not resume:
            raise RunError(f"{out} already holds a run; go on with --resume, or name another folder with --out")
        try:
            theirs = dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{file} can't be read ({error}); name another folder with --out") from None
        if "data_fingerprint" not in theirs:
            raise RunError(f"{file} is not a training run's; name another folder with --out")
        for key, value in _identity(config, data).items() if begun else ():
            if theirs.get(key) != value:
                raise RunError(
                    f"{out} was started with {key}={theirs.get(key)}, not {value}; resume it with its own values"
                )
    elif begun:
        raise RunError(f"{file} is missing, so the run in {out} can't be resumed; name another folder with --out")
    return begun


def _claim(out: Path, config: TrainingConfig, data: PackedData) -> None:
    file = out / "config.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}")
        draft.write_text(json.dumps(_identity(config, data), indent=2) + "\n", encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise RunError(f"{out} can't be written ({error.strerror}); name another folder with --out") from None


def _identity(config: TrainingConfig, data: PackedData) -> dict[str, Any]:
    return {**config.to_dict(), "data_fingerprint": data.fingerprint}


def _what_is_left(out: Path, config: TrainingConfig, hint: str) -> str:
    """What an interrupted run has on disk, and how to go on."""
    if not (out / "config.json").is_file():
        return f"stopped before the run began; nothing is in {out} yet, run the same command again"
    files = Checkpoints(out / "checkpoints").files()
    done = int(files[-1].stem.removeprefix("step-")) if files else 0
    if done == 0:
        return f"stopped before the first checkpoint; {out} holds the configuration; go on with: {hint}"
    return f"stopped after step {done} of {config.steps}; its checkpoint is in {files[-1].parent}; go on with: {hint}"


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))
