"""The run's log: one JSON object a step in `metrics.jsonl`, and a progress bar."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

from training.progress import bar
from training.ranks import ALONE, Ranks

FLUSH_STEPS = 10
FLUSH_SECONDS = 1.0


class LogError(ValueError):
    """A log that can't be written as asked; `str()` is one sentence with the remedy."""


class MetricsLog:
    """Keeps the scalars of each step on the device and writes them every 10 steps or every second.

    Opened anew at `first_step`, it drops what an earlier run wrote from there on, so that each step stands in it once.
    On the ranks of a job it holds their means, rank 0 writes, and time is left out of account: every rank must take
    part at the same step.

    Args:
        file: `metrics.jsonl`.
        first_step: the step that comes next.
        steps: of the whole run.
        batch_items: items of a step, on all ranks together.
        ranks: who takes part.
        board: a folder for TensorBoard's event files, None for none.

    Attributes:
        last: the scalars of the last step that is written.
        diverged: the first step that is written with a loss that is not a number or infinite, and that loss.

    Raises:
        LogError: the file can't be written, as on a full disk; or TensorBoard is asked for and not installed.
    """

    def __init__(
        self,
        file: Path,
        first_step: int,
        steps: int,
        batch_items: int,
        ranks: Ranks = ALONE,
        board: Path | None = None,
    ) -> None:
        self.file, self.ranks = file, ranks
        self.stream: TextIO | None = None
        self.board: Any = _open_board(board, first_step) if board and ranks.leads else None
        if ranks.leads:
            try:
                draft = file.with_name(f".{file.name}")
                draft.write_text("".join(_lines_before(file, first_step)), encoding="utf-8")
                draft.replace(file)  # so that nothing is lost where the disk is full
                self.stream = file.open("a", encoding="utf-8")
            except OSError as error:
                raise self._full(error) from None
        self.batch_items, self.items = batch_items, 0
        self.waiting: list[tuple[int, dict[str, Tensor], dict[str, float]]] = []
        self.last: dict[str, float] = {}
        self.diverged: tuple[int, float] | None = None
        self.bar = bar("training", steps, "step", shown=ranks.leads)
        self.bar.update(first_step)
        self.flushed = time.perf_counter()
        self.waited = self.waited_before = 0.0

    def add(
        self,
        step: int,
        scalars: dict[str, Tensor],
        plain: dict[str, float] | None = None,
        waited: float = 0.0,
        items: int | None = None,
    ) -> None:
        """Note a step.

        Args:
            step: its number.
            scalars: what it computed, on the device.
            plain: what was known before it.
            waited: seconds spent waiting for data since the run began.
            items: of the step, on all ranks together, where they are not `batch_items`.
        """
        if self.waiting and self.waiting[-1][1].keys() != scalars.keys():
            self.flush()  # a table has the same columns all the way
        self.waiting.append((step, {key: value.detach() for key, value in scalars.items()}, plain or {}))
        self.waited, self.items = waited, self.items + (self.batch_items if items is None else items)
        late = self.ranks.count == 1 and time.perf_counter() - self.flushed >= FLUSH_SECONDS
        if len(self.waiting) >= FLUSH_STEPS or late:
            self.flush()

    def flush(self) -> dict[str, float]:
        """Write what waits; returns the scalars of the last step, whenever it was written."""
        if self.waiting:
            steps = len(self.waiting)
            table = torch.stack([torch.stack([value.float() for value in row.values()]) for _, row, _ in self.waiting])
            rows = self.ranks.mean(table).tolist()  # the one place where the device is waited for
            now = time.perf_counter()
            seconds = max(now - self.flushed, 1e-9)
            speed = {
                "samples_per_second": round(self.items / seconds, 1),
                "data_wait": round((self.waited - self.waited_before) / seconds, 4),
            }
            self.flushed, self.waited_before, self.items = now, self.waited, 0
            written, self.waiting = self.waiting, []
            records = []
            for (step, names, plain), values in zip(written, rows, strict=True):
                self.last = dict(zip(names, values, strict=True))
                if self.diverged is None and not math.isfinite(self.last["loss"]):
                    self.diverged = step, self.last["loss"]
                records.append({"step": step, **self.last, **plain, **speed})
            self._write(records)
            told = f"loss {self.last['loss']:.3f}, {speed['samples_per_second']:.0f} samples/s"
            self.bar.set_postfix_str(told, refresh=False)
            self.bar.update(steps)
        return self.last

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self.close()
            return
        if self.ranks.count > 1:
            self.waiting.clear()  # the other ranks are not here to take part
        with suppress(LogError, OSError):  # what went wrong first is what counts
            self.close()

    def close(self) -> None:
        """Write what waits and end the bar."""
        try:
            self.flush()
        finally:
            self.bar.close()
            if self.stream:
                self.stream.close()
            if self.board:
                self.board.close()

    def _full(self, error: OSError) -> LogError:
        return LogError(
            f"{self.file} can't be written ({error.strerror or error}); make room there and go on with --resume"
        )

    def _write(self, records: list[dict[str, float]]) -> None:
        try:
            if self.stream:
                self.stream.write("".join(json.dumps(record) + "\n" for record in records))
                self.stream.flush()
        except OSError as error:
            raise self._full(error) from None
        for record in records if self.board else ():
            for key in record.keys() - {"step"}:
                self.board.add_scalar(key, record[key], record["step"])


def check_board() -> None:
    """Raises `LogError` where TensorBoard is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ModuleNotFoundError:
        raise LogError(
            "TensorBoard is not installed; say pip install '.[tensorboard]' in the project's folder"
        ) from None


def _open_board(folder: Path, first_step: int) -> Any:
    check_board()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_step)


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
