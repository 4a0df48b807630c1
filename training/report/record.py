"""What a run's folder says of the run, without its model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.config import PRESETS, TrainingConfig
from training.report.metrics import Metrics, read_metrics

UNPAIRED = {
    "sounds": ("unpaired sounds",),
    "images": ("unpaired images",),
    "both": ("unpaired sounds", "unpaired images"),
}


class ReportError(ValueError):
    """A run that can't be reported on; `str()` is one sentence with the remedy."""


@dataclass(frozen=True)
class Record:
    """A run.

    Attributes:
        folder: the run's.
        config: what config.json holds.
        metrics: its steps so far.
    """

    folder: Path
    config: dict[str, Any]
    metrics: Metrics

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def preset(self) -> str:
        """Where the configuration started."""
        return str(self.config.get("preset", "paper"))

    @property
    def differing(self) -> dict[str, Any]:
        """The keys that differ from the preset as it is today."""
        base = {**TrainingConfig().to_dict(), **PRESETS.get(self.preset, {})}
        return {
            key: value for key, value in self.config.items() if key != "preset" and key in base and base[key] != value
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of items that it learns from."""
        return ("pairs", *UNPAIRED.get(str(self.config.get("unpaired")), ()))

    @property
    def seconds(self) -> float:
        """How long the steps took together, by their throughput; NaN where it is not known."""
        series = self.metrics.series
        rate = series.get("samples_per_second", np.empty(0))
        terms = [np.isfinite(values) for name, values in series.items() if name.startswith("loss_unpaired_")]
        kinds = 1 + sum(terms, np.zeros(len(rate)))  # of each step
        known = rate > 0
        return float((kinds[known] * self.config["batch_size"] / rate[known]).sum()) if known.any() else float("nan")

    @property
    def last_loss(self) -> tuple[int, float] | None:
        """The last step with a finite loss, and that loss."""
        values = self.metrics.series.get("loss", np.empty(0))
        known = np.flatnonzero(np.isfinite(values))
        return (int(self.metrics.steps[known[-1]]), float(values[known[-1]])) if len(known) else None


def read_record(run: Path) -> Record:
    """Read a run's folder. Raises `ReportError`."""
    file = run / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ReportError(f"{file} is missing; name the folder that 'bma train --out' wrote") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ReportError(f"{file} can't be read ({error}); restore it, or name another run") from None
    counts = [config.get(key) for key in ("steps", "batch_size")] if isinstance(config, dict) else [None]
    if not all(isinstance(count, int) for count in counts) or "data_fingerprint" not in config:
        raise ReportError(f"{file} is not a training run's; name the folder that 'bma train --out' wrote")
    try:
        metrics = read_metrics(run / "metrics.jsonl")
    except OSError as error:
        raise ReportError(
            f"{run / 'metrics.jsonl'} can't be read ({error.strerror}); make it readable and run the command again"
        ) from None
    return Record(run, config, metrics)
