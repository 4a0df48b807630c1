"""One run of a study in a process of its own: train, measure, keep the bundle and the scores.

`python -m training.study.worker JOB`, JOB in JSON. The process stops, its checkpoint on disk, when its standard input
ends: so it does not outlive the one that started it, however that ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread

from training.config import TrainingConfig
from training.data.packed import PackedData
from training.evaluate import measure
from training.features import Features
from training.interrupt import Interrupted, Interruption
from training.model.embedder import Embedder
from training.run import train
from training.study.runs import Run, writes

STOPPED = 130
LOCK = ".lock"


@dataclass(frozen=True)
class Job:
    """What a worker is told.

    Attributes:
        folder: of the run.
        config: its keys.
        method: one of `METHODS`.
        data: a packed data set's folder.
        probes: packed folders of data sets to fit and score probes on; "" is `data` itself.
        device: cpu or cuda:N.
    """

    folder: str
    config: dict[str, object]
    method: str
    data: str
    probes: Sequence[str]
    device: str

    def to_json(self) -> str:
        """For the worker's command line."""
        return json.dumps(asdict(self))


def train_bma(data: PackedData, folder: Path, config: TrainingConfig, device: str) -> Path:
    """The paper's model: train it, or go on; the bundle's folder."""
    train(data, folder, config, device, resume=True, how_to_resume="the same bma study command")
    return folder / "model"


METHODS: dict[str, Callable[[PackedData, Path, TrainingConfig, str], Path]] = {"bma": train_bma}


def work(job: Job) -> None:
    """Do what is missing of a run. Another process that is at work on it is waited for."""
    run = Run(Path(job.folder), TrainingConfig.from_dict(job.config), job.method)

    def opened(folder: str) -> PackedData:
        return PackedData.open(Path(folder), run.config.image_size, run.config.sample_rate)

    with _alone(run.folder):
        data = opened(job.data)
        others = [opened(probe) if probe else None for probe in job.probes]
        missing = [other for other in others if not run.is_measured(other.fingerprint if other else "")]
        if not missing:
            return
        bundle = METHODS[job.method](data, run.folder, run.config, job.device)
        embedder = Embedder(bundle, job.device, run.config.precision, batch_size=128)
        features = Features(data, embedder)
        for other in missing:
            measured = measure(features, Features(other, embedder) if other else None)
            run.save(measured.scores, measured.outcomes, other.fingerprint if other else "")
        shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
        locks = [os.open(folder, os.O_RDONLY)]
    try:
        try:
            fcntl.flock(locks[0], fcntl.LOCK_EX)
        except OSError:  # NFS locks only what is open to be written; other file systems lock nothing
            with writes(folder):
                locks.append(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT))
            with suppress(OSError):
                fcntl.flock(locks[1], fcntl.LOCK_EX)
        yield
    finally:
        for lock in locks:
            os.close(lock)


def _stop_with_input() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    """Run a job; an error's traceback goes to stderr, and its last line is the sentence."""
    Thread(target=_stop_with_input, daemon=True).start()
    try:
        with Interruption().taken():
            work(Job(**json.loads(arguments[0])))
    except (KeyboardInterrupt, Interrupted):
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
