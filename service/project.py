"""A project: one folder that goes from a data set to a model, its scores, a catalogue and a service."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from index.database import DATABASE
from service.fingerprint import is_of
from service.indexing import build_catalogue
from service.reembedding import re_embed
from training.config import TrainingConfig
from training.data.pack import open_data
from training.data.packed import PackedData
from training.evaluate import FORMAT, EvaluationError, evaluate, raw_probe
from training.features import Features
from training.model.draft import replaced_file
from training.model.embedder import Embedder
from training.model.memory import MODALITIES
from training.run import train
from training.run_folder import RunError, RunFolder, RunInUse
from training.scoreboard import describe_scores


class ProjectError(RuntimeError):
    """The work can't go on; `str()` is one sentence."""


class Project(ABC):
    """A folder with `data/`, the run with its bundle `model/`, the catalogue `index/` and `scores.json`.

    Each step leaves out what is already there, so a second time answers at once and an interrupted one goes on.

    Args:
        out: the folder.
        config: how to train; of a run that has begun its own configuration counts.
        device: auto, cpu, cuda or cuda:N.
    """

    splits: Sequence[str] | None = None  # of the data set that go into the catalogue, all when None

    def __init__(self, out: Path, config: TrainingConfig, device: str = "auto") -> None:
        self.out, self.config, self.device = out, config, device
        self.rows_file = out / "data" / "rows.csv"
        self.model, self.index, self.scores = out / "model", out / "index", out / "scores.json"

    @abstractmethod
    def make_data(self) -> None:
        """Make `data/rows.csv`."""

    def make(self) -> None:
        """Data, model, scores, catalogue: whatever is missing."""
        self.make_data()
        if not self.model.is_dir():
            self._train()
        embedder = Embedder(self.model, self.device)
        self._evaluate(embedder)
        self._index(embedder)

    def _train(self) -> None:
        run = RunFolder(self.out)
        begun = run.has_begun
        config = run.read_config() if begun else self.config
        data = self._open(config.image_size, config.sample_rate)
        self.say(f"2. training a model ({config.steps} steps of {config.batch_size} pairs)")
        begin = time.perf_counter()
        try:
            train(data, self.out, config, self.device, resume=begun, how_to_resume="the same command")
        except RunError as error:
            if not begun or isinstance(error, RunInUse):
                raise
            if _read(run.config).get("data_fingerprint") == data.fingerprint:
                raise ProjectError(f"{error}; or delete {self.out} to begin anew") from None
            raise ProjectError(
                f"{self.rows_file} has changed since the training in {self.out} was stopped: bring the files back as "
                f"they were to go on, or delete {self.out / 'checkpoints'} to train anew with those of now"
            ) from None
        taken = f"{'the rest took' if begun else 'trained in'} {time.perf_counter() - begin:.0f} s"
        print(f"{taken}; a page about it: bma report {self.out}", flush=True)

    def _evaluate(self, embedder: Embedder) -> None:
        config = embedder.preprocessor.config
        data = self._open(config.image_size, config.sample_rate)
        known = {"model": embedder.bundle.fingerprint, "data": data.fingerprint, "format": FORMAT}
        before = _read(self.scores)
        if any(before.get(key) != value for key, value in known.items()):
            self.say("3. evaluating, beside the same probe on raw inputs")
            _write(self.scores, {**known, "scores": _scores(Features(data, embedder))})
        scores = _read(self.scores)["scores"]
        if scores:
            self.say(f"scores on the test split, {embedder.bundle.name}:")
            print(describe_scores(scores), flush=True)
        else:
            print("nothing to score: that takes labels, and test clips", flush=True)
        trained_on = embedder.bundle.training.get("data", {}).get("fingerprint")
        if trained_on != data.fingerprint:
            print(f"the model learned from an earlier state of the data; to train anew, delete {self.out}", flush=True)

    def _index(self, embedder: Embedder) -> None:
        marker = self.index / "complete.json"
        rows = hashlib.sha256(self.rows_file.read_bytes()).hexdigest()
        known = {"model": embedder.bundle.fingerprint, "rows": rows}
        if _read(marker) == known:
            return
        self.say(f"4. indexing {'all of it' if self.splits is None else 'the split ' + ', '.join(self.splits)}")
        if (self.index / DATABASE).is_file() and not is_of(self.index, embedder):  # items added by hand stay
            re_embed(embedder, self.index, remove_unreadable=True)
        summary = build_catalogue(embedder, self.rows_file, self.index, self.splits, sync=True)
        _write(marker, known)
        print(f"{summary.images} images and {summary.sounds} sounds", flush=True)

    def _open(self, image_size: int, sample_rate: int) -> PackedData:
        return open_data(self.rows_file, image_size, sample_rate)

    @staticmethod
    def say(text: str) -> None:
        """Tell what comes next."""
        print(f"\n{text}", flush=True)


def _scores(features: Features) -> dict[str, Any]:
    """Scores beside those of raw inputs; empty where there is nothing to score."""
    try:
        scores = evaluate(features)
    except EvaluationError:
        return {}
    for modality in MODALITIES:
        if modality in scores:
            scores[modality]["raw_probe"] = raw_probe(features, modality)
    return scores


def _read(file: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none or a crash has cut it off."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _write(file: Path, document: dict[str, Any]) -> None:
    with replaced_file(file) as draft:
        draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
