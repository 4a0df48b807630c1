"""Workers side by side: one process a run, so many at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from training.interrupt import Interrupted, Interruption
from training.study.runs import StudyError, writes
from training.study.worker import STOPPED, Job

_LOOK = 0.05  # seconds between looks at who has ended
_PATIENCE = 120  # seconds that workers have, all together, to write their checkpoints
_ROOT = Path(__file__).resolve().parents[2]  # the folder that the package training is in
LOG = "log.txt"


@dataclass(frozen=True)
class Machine:
    """What the workers share.

    Attributes:
        devices: the workers' devices, one a worker.
        threads: that a worker's processors' work is spread over.
    """

    devices: Sequence[str]
    threads: int


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    place: int
    job: Job
    begun: float
    said: int  # bytes that earlier workers left in its log


def run_all(
    jobs: Sequence[Job],
    machine: Machine,
    finished: Callable[[Job, float], None],
    failed: Callable[[Job, str], None],
) -> None:
    """Work through the jobs, in order as far as they run side by side.

    Args:
        jobs: no two of the same folder; their devices are set here.
        machine: how many at a time, and on what.
        finished: is told of a job that is done, and the seconds it took.
        failed: is told of a job that failed, and why, in one sentence.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, when all workers have stopped.
        StudyError: a run's folder can't be written, or no process started; the workers are stopped.
    """
    waiting, free = list(jobs), list(range(len(machine.devices)))
    workers: list[_Worker] = []
    with Interruption().taken():
        try:
            while waiting or workers:
                while waiting and free:
                    place = free.pop(0)
                    workers.append(_start(replace(waiting.pop(0), device=machine.devices[place]), place, machine))
                for worker in [worker for worker in workers if worker.process.poll() is not None]:
                    workers.remove(worker)
                    free.append(worker.place)
                    _end(worker, finished, failed)
                time.sleep(_LOOK)
        except KeyboardInterrupt:
            _stop(workers)
            left = len(waiting) + sum(worker.process.returncode != 0 for worker in workers)
            raise Interrupted(f"stopped with {left} of {len(jobs)} runs left; run the same command to go on") from None
        finally:
            _stop(workers)


def _start(job: Job, place: int, machine: Machine) -> _Worker:
    folder = Path(job.folder)
    # -P and our own folder: a folder `training` where the command was given is not the package
    command = [sys.executable, "-P", "-m", "training.study.worker", job.to_json()]
    path = os.pathsep.join([str(_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
    threads = str(machine.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONPATH": path}
    with writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
        log = (folder / LOG).open("ab")  # another command may wait for the same run, or be at work on it
    with log:
        said = log.tell()
        try:
            # a session of its own: a Ctrl-C in the terminal reaches this process alone, which then stops them all
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        except OSError as error:
            raise StudyError(f"no worker can be started ({error.strerror or error}); try fewer --jobs") from None
    return _Worker(process, place, job, time.monotonic(), said)


def _end(worker: _Worker, finished: Callable[[Job, float], None], failed: Callable[[Job, str], None]) -> None:
    code = worker.process.returncode
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    if code == 0:
        finished(worker.job, time.monotonic() - worker.begun)
    elif code == STOPPED:
        failed(worker.job, "somebody stopped it")
    elif code < 0:
        failed(worker.job, f"signal {-code} ended it, as where memory runs out; try fewer --jobs")
    else:
        failed(worker.job, _sentence(Path(worker.job.folder) / LOG, worker.said))


def _sentence(log: Path, said: int) -> str:
    """The last line of a traceback; of our own errors, which are sentences, without the kind."""
    try:
        lines = log.read_bytes()[said:].decode("utf-8", errors="replace").strip().splitlines()
    except OSError as error:
        return f"{log}, which says why, can't be read ({error.strerror or error})"
    kind, _, text = (lines[-1] if lines else "it ended without a word").partition(": ")
    return text if text and kind.startswith("training.") else f"{kind}: {text} ({log} has the rest)" if text else kind


def _stop(workers: Sequence[_Worker]) -> None:
    """End the workers' input, which stops them with a checkpoint; the end of patience or a second Ctrl-C kills them."""
    end = time.monotonic() + _PATIENCE
    try:
        for worker in workers:
            assert worker.process.stdin is not None
            worker.process.stdin.close()
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, end - time.monotonic()))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
