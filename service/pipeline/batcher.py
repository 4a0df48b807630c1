"""Files of one modality that wait for the model, and the next batch of them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from service.pipeline.trace import Trace, trace
from training.model.memory import Modality

Vectors = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]  # h [2c] and z [d] of a file


@dataclass
class Waiting:
    """A decoded file that waits.

    Attributes:
        packed: an image uint8 `[3, S, S]`, or a sound int16 `[L]`.
        cost: of a batch's room: 1 for an image, its windows for a sound.
        since: when it came, by `time.perf_counter`.
        future: of its vectors.
        trace: of its request, where that is traced.
    """

    packed: npt.NDArray[Any]
    cost: int = 1
    since: float = field(default_factory=time.perf_counter)
    future: Future[Vectors] = field(default_factory=Future)
    trace: Trace | None = field(default_factory=trace.get)


class Batcher:
    """Forms batches with no wait: what has come while the model was busy is the next one. The executor's lock guards
    it.

    Args:
        modality: of the files.
        size: images, or windows of sound, of a full batch; a longer sound is a batch by itself.
        window: samples of a sound's window; None for images.
    """

    def __init__(self, modality: Modality, size: int, window: int | None = None) -> None:
        self.modality, self.size, self.window = modality, size, window
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self, packed: Sequence[npt.NDArray[Any]]) -> list[Waiting]:
        """Decoded files as what waits, not put in the queue yet."""
        window = self.window
        return [Waiting(file, 1 if window is None else max(1, len(file) // window)) for file in packed]

    def put(self, files: Sequence[Waiting], first: bool = False) -> None:
        """Files at the queue's end, or before all others."""
        if first:
            self._waiting.extendleft(reversed(files))
        else:
            self._waiting.extend(files)

    @property
    def since(self) -> float | None:
        """When the file that is next came; None where none waits. Files that nobody waits for any more are dropped."""
        while self._waiting and self._waiting[0].future.cancelled():
            self._waiting.popleft()
        return self._waiting[0].since if self._waiting else None

    def take(self, shares: int = 1) -> list[Waiting]:
        """The next batch: in the order in which files came, as many as are there and fit; what nobody waits for any
        more is dropped. From here on a file can't be cancelled.

        Args:
            shares: batches into which what waits could be divided now; this one is no more than its part.
        """
        batch: list[Waiting] = []
        room, most = self.size, math.ceil(len(self._waiting) / shares)
        while len(batch) < most and self._waiting and (not batch or self._waiting[0].cost <= room):
            file = self._waiting.popleft()
            if file.future.set_running_or_notify_cancel():
                batch.append(file)
                room -= file.cost
        return batch
