"""Workers: how they are started, what is left when they are stopped, and what a failure says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from training.config import TrainingConfig
from training.data.packed import PackedData
from training.interrupt import Interrupted
from training.outcome import Outcome
from training.study import pool
from training.study.pool import LOG, Machine, run_all
from training.study.runs import Run, StudyError
from training.study.worker import Job

Start = Callable[..., list[subprocess.Popen[bytes]]]
DEAF = "import time; print('on', flush=True); time.sleep(100)"
OBEDIENT = "import sys; print('on', flush=True); sys.stdin.read()"


def job(folder: Path) -> Job:
    return Job(str(folder), {}, "bma", "", [""], "")


def refuse(*_: object) -> None:
    pytest.fail("nobody should have ended")


def press_when_on(workers: list[subprocess.Popen[bytes]], many: int) -> None:
    """Ctrl-C, once so many workers have said that they are on."""

    def press() -> None:
        while len(workers) < many:
            time.sleep(0.01)
        for process in workers:
            assert process.stdout is not None
            process.stdout.readline()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """`start(code, …)`: the workers are Python processes that run these instead; the list fills as they start."""
    started: list[subprocess.Popen[bytes]] = []

    def patch(*codes: str) -> list[subprocess.Popen[bytes]]:
        def begin(job: Job, place: int, machine: Machine) -> object:
            command = [sys.executable, "-c", codes[len(started)]]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            started.append(process)
            return pool._Worker(process, place, job, time.monotonic(), 0)

        monkeypatch.setattr(pool, "_start", begin)
        return started

    yield patch
    for process in started:
        assert process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()


def test_workers_that_do_not_stop_are_killed_when_their_one_deadline_is_over(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_PATIENCE", 1.5)
    started = start(*[DEAF] * 4)
    press_when_on(started, 4)
    begun = time.monotonic()
    with pytest.raises(Interrupted, match="stopped with 5 of 5 runs left"):
        run_all([job(tmp_path / str(n)) for n in range(5)], Machine(["cpu"] * 4, 1), refuse, refuse)
    assert [process.returncode for process in started] == [-signal.SIGKILL] * 4
    assert time.monotonic() - begun < 1.5 + 4  # not a deadline each, and what starting four processes takes


def test_what_ends_well_while_it_is_stopped_is_not_left(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_PATIENCE", 1.5)
    started = start(OBEDIENT, DEAF)
    press_when_on(started, 2)
    with pytest.raises(Interrupted, match="stopped with 2 of 3 runs left; run the same command to go on"):
        run_all([job(tmp_path / str(n)) for n in range(3)], Machine(["cpu"] * 2, 1), refuse, refuse)


def test_a_folder_training_where_the_command_is_given_is_not_the_workers(
    tiny_data: PackedData,
    tiny_config: Callable[..., TrainingConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for folder in (Path.cwd(), tmp_path / "on-the-path"):
        (folder / "training").mkdir(parents=True)
        (folder / "training" / "__init__.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(tmp_path / "on-the-path")]))
    config = tiny_config()
    run = Run(tmp_path / "run", config, "bma")
    run.save({}, {"image.probe": Outcome(np.ones(3), np.arange(3))})  # so there is nothing to do
    (run.folder / LOG).write_text("what an earlier worker said\n")
    done: list[Job] = []
    asked = Job(str(run.folder), config.to_dict(), "bma", str(tiny_data.folder), [""], "")
    run_all([asked], Machine(["cpu"], 1), lambda job, seconds: done.append(job), lambda job, why: pytest.fail(why))
    assert [job.folder for job in done] == [str(run.folder)]
    assert (run.folder / LOG).read_text() == "what an earlier worker said\n"


def test_a_failure_is_told_in_its_own_words_not_in_an_earlier_workers(tmp_path: Path) -> None:
    log = tmp_path / LOG
    earlier = "Traceback …\ntraining.study.runs.StudyError: an earlier sentence\n"
    log.write_text(earlier)
    assert pool._sentence(log, len(earlier.encode())) == "it ended without a word"
    log.write_text(f"{earlier}training.batch.DataError: this: one\n")
    assert pool._sentence(log, len(earlier.encode())) == "this: one"
    log.write_text(f"{earlier}KeyError: 3\n")
    assert pool._sentence(log, len(earlier.encode())) == f"KeyError: 3 ({log} has the rest)"
    log.unlink()
    assert pool._sentence(log, 0) == f"{log}, which says why, can't be read (No such file or directory)"


def test_a_run_that_has_no_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"file/run can't be written \(Not a directory\); make room .* --out"):
        run_all([job(tmp_path / "file" / "run")], Machine(["cpu"], 1), refuse, refuse)


def test_a_worker_that_cannot_be_started_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(StudyError, match=r"no worker can be started \(No such file or directory\); try fewer --jobs"):
        run_all([job(tmp_path / "run")], Machine(["cpu"], 1), refuse, refuse)
