"""A training run: packed data in, bundle out."""

from __future__ import annotations

import datetime
import math
import platform
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torchaudio

from training.batch import Feeder
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.features import Features
from training.interrupt import Interrupted, Interruption
from training.learner import Learner
from training.log import FLUSH_STEPS, MetricsLog, check_board
from training.model.allocator import keep_freed_memory
from training.model.bundle import Bundle, BundleError, load_bundle
from training.model.config import PreprocessConfig
from training.model.draft import clear_drafts
from training.model.embedder import Embedder
from training.model.head import ClassHead
from training.model.memory import MODALITIES, Modality
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor, windows
from training.probe import fit_head
from training.ranks import Ranks, join_ranks
from training.run_folder import RunError, RunFolder, resume_command

STATISTICS_SOUNDS = 2048


def train(
    data: PackedData,
    out: Path,
    config: TrainingConfig,
    device: str = "auto",
    resume: bool = False,
    source: str = "DATA",
    *,
    how_to_resume: str = "",
    board: bool = False,
) -> Bundle:
    """Train a model; the run's folder holds config.json, metrics.jsonl, checkpoints/ and in the end the bundle model/.

    Under torchrun every rank calls this with the same arguments, and on file systems where all see the same folders.
    Rank 0 alone writes; the others return a bundle without class heads that is not on disk.

    Args:
        data: packed at the configuration's image size and sample rate.
        out: the run's folder.
        config: of the run; `batch_size` is of all ranks together.
        device: auto, cpu, cuda or cuda:N.
        resume: go on from the folder's last checkpoint; a finished run is returned as it is.
        source: how the user named the data, for the sentence that says how to resume.
        how_to_resume: says it instead, as "go on with: {how_to_resume}".
        board: also write TensorBoard's event files, to tensorboard/ in the run's folder.

    Raises:
        RunError: the folder holds another run, the loss is not a number, or the bundle can't be written.
        RunInUse: another process trains in the folder.
        DataError: the data can't train this configuration.
        CheckpointError: a checkpoint can't be written or read.
        LogError: metrics.jsonl can't be written, or TensorBoard is asked for and not installed.
        WeightsError: the weights to start from can't be used.
        Interrupted: after Ctrl-C or SIGTERM, with what is on disk.
    """
    hint = how_to_resume or resume_command(["bma"], source, out, device)
    folder = RunFolder(out)
    keep_freed_memory()
    with Interruption().taken() as stop, join_ranks(device) as ranks:
        if config.batch_size % ranks.count or config.batch_size // ranks.count < 2:
            raise RunError(
                f"batch_size={config.batch_size} is of all ranks together and can't be shared evenly by {ranks.count}, "
                "with two items each; set another with --set batch_size=…"
            )
        if board:
            check_board()
        begun = bool(ranks.agree(ranks.leads and folder.is_begun(config, data, resume)))
        if begun and folder.model.is_dir():
            if ranks.leads:
                clear_drafts(folder.model)  # of a process that was killed once its bundle was in place
            return load_bundle(folder.model)
        try:
            # refuses data that can't train this, before anything is on disk
            feeder = Feeder(data, config, ranks.device, ranks)
            devices = [ranks.device] if ranks.device.type == "cuda" else []
            with folder.alone() if ranks.leads else nullcontext(), torch.random.fork_rng(devices=devices):
                if ranks.leads and not begun and not folder.is_begun(config, data, resume):  # nor by another meanwhile
                    folder.claim(config, data)
                # by no name: once the ranks part, nothing may be left that holds on to their group
                return _Loop(data, feeder, folder, config, ranks).run(stop, folder.board if board else None)
        except KeyboardInterrupt:
            raise Interrupted(folder.what_is_left(config, hint)) from None
        except BundleError as error:
            raise RunError(f"{error}, and go on with: {hint}") from None


class _Loop:
    def __init__(
        self, data: PackedData, feeder: Feeder, folder: RunFolder, config: TrainingConfig, ranks: Ranks
    ) -> None:
        self.data, self.feeder, self.folder, self.config, self.ranks = data, feeder, folder, config, ranks
        self.preprocessor = make_preprocessor(data, config.preprocess_config, feeder.pools["pairs"]).to(ranks.device)
        self.checkpoints = folder.checkpoints(config.keep_checkpoints)
        self.learner = Learner(config, self.preprocessor, ranks, fresh=not self.checkpoints.files())

    def run(self, stop: Interruption, board: Path | None) -> Bundle:
        """Steps until the end, and the bundle; a KeyboardInterrupt where `stop` is true before it."""
        with stop.noted():
            self._learn(stop, board)
        return self._finish()

    def _learn(self, stop: Interruption, board: Path | None) -> None:
        config, learner = self.config, self.learner
        done = self._begin()
        items = len(self.feeder.kinds) * config.batch_size
        with MetricsLog(self.folder.metrics, done, config.steps, items, self.ranks, board) as log:
            for step, batch in enumerate(self.feeder.batches(done, config.steps), start=done):
                items = len(self.feeder.kinds_of(step)) * config.batch_size
                log.add(step, learner.learn(step, batch), learner.rates(step), self.feeder.waited, items)
                stopped = self._stopped(stop, step)
                due = (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps or stopped
                if due:
                    log.flush()
                self._refuse_divergence(log, step, with_weights=due)
                if due and self.ranks.leads:
                    self.checkpoints.save(step + 1, learner.model, learner.optimizer)
                if stopped:
                    self.ranks.agree(step)  # none goes before rank 0 has saved: its end would be the end of all
                    raise KeyboardInterrupt

    def _begin(self) -> int:
        """Take up the last checkpoint, or prove before hours of work that one can be written; the steps done."""
        model, optimizer = self.learner.model, self.learner.optimizer
        done = self.checkpoints.load_last(model, optimizer, clear=self.ranks.leads)
        if self.ranks.agree(done) != done:
            raise RunError(
                f"rank {self.ranks.rank} finds a checkpoint of step {done} in {self.checkpoints.folder}, and rank 0 "
                "another; all ranks must see the same folder"
            )
        if done == 0 and self.ranks.leads:
            self.checkpoints.check_room(model)
            self.checkpoints.save(0, model, optimizer)
        return done

    def _stopped(self, stop: Interruption, step: int) -> bool:
        """Whether to stop here: all ranks at the same step. GPUs, which asking makes wait, are asked where they log."""
        if self.ranks.count > 1 and self.ranks.device.type == "cuda" and (step + 1) % FLUSH_STEPS:
            return False
        return self.ranks.any(bool(stop))

    def _refuse_divergence(self, log: MetricsLog, step: int, with_weights: bool) -> None:
        """No checkpoint, and so no bundle, holds what is not a number: not even where one step broke the weights and
        the next would show it in the loss."""
        what = ""
        if log.diverged:
            step, what = log.diverged[0], f"the loss is {log.diverged[1]} at step {log.diverged[0]}"
        elif with_weights and not all(
            bool(tensor.isfinite().all()) for tensor in self.learner.model.state_dict().values()
        ):
            what = f"step {step} made weights that are not finite numbers"
        if what:
            if self.ranks.leads:
                with suppress(OSError):  # a full disk must not hide what is wrong
                    self.folder.note_divergence(step, what, self.data, self.feeder.rows(step))
            raise RunError(
                f"{what} ({self.folder.diverged} lists its rows); the last good checkpoint is "
                f"{self.checkpoints.files()[-1]}: lower learning_rate, or set precision=fp32, in a new run"
            )

    def _finish(self) -> Bundle:
        """Fit the class heads and write the bundle; on rank 0 alone."""
        model = BMAModel(self.config.model_config)  # neither compiled nor synchronised
        model.load_state_dict(self.learner.model.state_dict())
        bundle = Bundle(model.eval(), self.preprocessor.cpu(), training=self._provenance())
        if self.ranks.leads:
            embedder = Embedder(bundle, str(self.ranks.device), self.config.precision, 128)
            bundle.heads = fit_heads(Features(self.data, embedder))
            bundle.save(self.folder.model)
        return bundle

    def _provenance(self) -> dict[str, object]:
        pools = self.feeder.pools
        return {
            "preset": self.config.preset,
            "seed": self.config.seed,
            "steps": self.config.steps,
            "config": self.config.to_dict(),
            "data": {"fingerprint": self.data.fingerprint, **{kind: len(rows) for kind, rows in pools.items()}},
            "precision": "bf16" if self.learner.dtype == torch.bfloat16 else "fp32",
            "ranks": self.ranks.count,
            "device": torch.cuda.get_device_name(self.ranks.device) if self.ranks.device.type == "cuda" else "cpu",
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "torchaudio": torchaudio.__version__,
            },
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }


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


def make_preprocessor(data: PackedData, config: PreprocessConfig, pairs: npt.NDArray[np.int64]) -> Preprocessor:
    """A preprocessor with the mean and deviation of the log-mels of pairs, given by their row numbers (of 2,048 sounds
    spread evenly, where there are more; all windows of each)."""
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
