"""The run's log: one JSON object a step in `metrics.jsonl`, and a progress bar."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from training.progress import bar

FLUSH_STEPS = 10
FLUSH_SECONDS = 1.0


class MetricsLog:
    """Keeps the scalars of each step on the device and writes them every 10 steps or every second.

    Opened anew at `first_step`, it drops what an earlier run wrote from there on, so that each step stands in it once.

    Attributes:
        last: the scalars of the last step that is written.
        diverged: the first step that is written with a loss that is not a number or infinite, and that loss.
    """

    def __init__(self, file: Path, first_step: int, steps: int, batch_items: int) -> None:
        draft = file.with_name(f".{file.name}")
        draft.write_text("".join(_lines_before(file, first_step)), encoding="utf-8")
        draft.replace(file)  # so that nothing is lost where the disk is full
        self.stream = file.open("a", encoding="utf-8")
        self.batch_items = batch_items
        self.waiting: list[tuple[int, dict[str, Tensor]]] = []
        self.last: dict[str, float] = {}
        self.diverged: tuple[int, float] | None = None
        self.bar = bar("training", steps, "step")
        self.bar.update(first_step)
        self.flushed = time.perf_counter()

    def add(self, step: int, scalars: dict[str, Tensor]) -> None:
        """Note a step's scalars."""
        self.waiting.append((step, {key: value.detach() for key, value in scalars.items()}))
        if len(self.waiting) >= FLUSH_STEPS or time.perf_counter() - self.flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> dict[str, float]:
        """Write what waits; returns the scalars of the last step, whenever it was written."""
        if self.waiting:
            steps = [step for step, _ in self.waiting]
            table = torch.stack([torch.stack([value.float() for value in row.values()]) for _, row in self.waiting])
            rows = table.tolist()  # the one place where the device is waited for
            now = time.perf_counter()
            rate = len(steps) * self.batch_items / max(now - self.flushed, 1e-9)
            self.flushed = now
            for (step, names), values in zip(self.waiting, rows, strict=True):
                self.last = dict(zip(names, values, strict=True))
                if self.diverged is None and not math.isfinite(self.last["loss"]):
                    self.diverged = step, self.last["loss"]
                record = {"step": step, **self.last, "samples_per_second": round(rate, 1)}
                self.stream.write(json.dumps(record) + "\n")
            self.stream.flush()
            self.bar.update(len(steps))
            self.bar.set_postfix_str(f"loss {self.last['loss']:.3f}, {rate:.0f} samples/s")
            self.waiting.clear()
        return self.last

    def close(self) -> None:
        """Write what waits and end the bar."""
        self.flush()
        self.bar.close()
        self.stream.close()


def _lines_before(file: Path, first_step: int) -> list[str]:
    if first_step == 0 or not file.is_file():
        return []
    kept = []
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:
            break  # a kill cut this line; nothing behind it
        if record["step"] < first_step:
            kept.append(line.rstrip("\n") + "\n")
    return kept
