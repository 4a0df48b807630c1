"""Processes that compute for the service: each call has one, and none outlives what it was made for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.pipeline.worker import HUGE_PAGES, SPIN, WorkerDied, Workers, prepare

SOON = 30.0


class Desk:
    """What the workers have here."""

    def __init__(self, first: int = 0) -> None:
        self.calls = first

    def add(self, number: int) -> int:
        self.calls += number
        return self.calls

    def pid(self) -> int:
        return os.getpid()

    def niceness(self) -> int:
        return os.nice(0)

    def echo(self, given: Any) -> Any:
        return given

    def fail(self, told: str) -> None:
        raise LookupError(told)

    def die(self, number: int) -> None:
        os.kill(os.getpid(), number)

    def leave(self, code: int) -> None:
        os._exit(code)

    def wait_for(self, file: Path) -> int:
        while not file.exists():
            time.sleep(0.005)
        return os.getpid()


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers("desk", Desk)
    yield workers
    workers.close()


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_calls_go_to_one_object_in_another_process(workers: Workers) -> None:
    assert [workers.call("add", number) for number in (1, 2, 3)] == [1, 3, 6]
    assert workers.call("pid") != os.getpid()


def test_what_makes_the_object_is_sent_along() -> None:
    workers = Workers("desk", Desk, 40)
    try:
        assert workers.call("add", 2) == 42
    finally:
        workers.close()


def test_it_steps_back_as_far_as_it_is_told() -> None:
    workers = Workers("desk", Desk, nice=3)
    try:
        assert workers.call("niceness") == os.nice(0) + 3
    finally:
        workers.close()


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 224, 224), (4_000_000,)])
def test_arrays_of_any_size_come_back_as_they_were(workers: Workers, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(-9999, 9999, shape, np.int16)
    back = workers.call("echo", array)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_many_arrays_come_back_as_they_were_and_can_be_written(workers: Workers) -> None:
    """More than one call of the system takes, in some two hundred times what a socket holds."""
    rng = np.random.default_rng(0)
    given = [rng.normal(size=length).astype(dtype) for length in range(1, 700) for dtype in (np.float32, np.int16)]
    given.append(np.ones((3, 7_000_000), np.float32)[:, ::2])  # not in one piece
    back = workers.call("echo", {"name": "all", "arrays": given})["arrays"]
    assert [array.dtype for array in back] == [array.dtype for array in given]
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(given, back, strict=True))
    for array in back:
        array += 1
    assert all(array.ctypes.data % array.itemsize == 0 for array in back)


def test_an_exception_is_the_callers_and_the_worker_goes_on(workers: Workers) -> None:
    pid = workers.call("pid")
    with pytest.raises(LookupError, match="no such thing"):
        workers.call("fail", "no such thing")
    assert workers.call("pid") == pid


@pytest.mark.parametrize(
    ("method", "number", "told"),
    [("die", signal.SIGSEGV, "signal 11"), ("die", signal.SIGKILL, "signal 9"), ("leave", 3, "exit code 3")],
)
def test_who_calls_hears_that_the_process_has_ended(workers: Workers, method: str, number: int, told: str) -> None:
    before = workers.call("pid")
    with pytest.raises(WorkerDied, match=rf"the process 'desk' has ended \({told}\)"):
        workers.call(method, number)
    assert workers.call("pid") != before


def test_one_that_has_ended_between_calls_is_replaced(workers: Workers) -> None:
    workers.start()
    workers.start()
    for worker in workers._idle:
        worker._process.kill()
        worker._process.join()
    assert workers.call("add", 1) == 1


def test_a_call_that_takes_too_long_ends_its_worker(workers: Workers, tmp_path: Path) -> None:
    before = workers.call("pid")
    with pytest.raises(TimeoutError, match=r"more than 0\.05 s"):
        workers.call("wait_for", tmp_path / "never", seconds=0.05)
    assert gone(before)
    assert workers.call("pid") != before


def test_calls_at_once_have_a_worker_each_which_are_used_again(workers: Workers, tmp_path: Path) -> None:
    pids: list[int] = []
    threads = [
        threading.Thread(target=lambda: pids.append(workers.call("wait_for", tmp_path / "go"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert workers.call("pid") not in pids
    (tmp_path / "go").touch()
    for thread in threads:
        thread.join(SOON)
    assert len(set(pids)) == 3
    assert workers.call("pid") in pids


def test_one_started_ahead_is_the_one_that_is_called(workers: Workers) -> None:
    workers.start()
    assert len(workers._idle) == 1
    assert workers.call("add", 1) + workers.call("add", 1) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_leaves_the_end_to_the_service(workers: Workers, number: int) -> None:
    pid = workers.call("pid")
    os.kill(pid, number)
    assert workers.call("pid") == pid


def test_closing_ends_those_that_wait_and_then_the_one_at_work(workers: Workers, tmp_path: Path) -> None:
    workers.start()
    waiting = workers.call("pid")
    busy: list[int] = []
    thread = threading.Thread(target=lambda: busy.append(workers.call("wait_for", tmp_path / "go")))
    thread.start()
    assert soon(lambda: not workers._idle)
    workers.close()
    (tmp_path / "go").touch()
    thread.join(SOON)
    assert gone(waiting)
    assert gone(busy[0])


ALONE = """
import sys, time
from service.pipeline.worker import Workers
from tests.service.test_worker import Desk

if __name__ == "__main__":
    workers = Workers("desk", Desk)
    print(workers.call("pid"), flush=True)
    if sys.argv[1] == "stay":
        time.sleep(60)
"""


def test_a_program_that_forgets_its_workers_ends_and_they_with_it(tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(script), "end"], capture_output=True, text=True, timeout=SOON, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert soon(lambda: gone(int(done.stdout)))


def test_workers_end_when_their_program_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, str(script), "stay"], stdout=subprocess.PIPE, env=environment) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert not gone(pid)
        program.kill()
    assert soon(lambda: gone(pid))


@pytest.mark.parametrize(
    ("given", "expected"), [({}, SPIN), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, None)]
)
def test_cores_wait_for_each_other_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GLIBC_TUNABLES", "")
    prepare()
    assert os.environ.get("GOMP_SPINCOUNT") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", HUGE_PAGES),
        ("glibc.malloc.check=1", f"glibc.malloc.check=1:{HUGE_PAGES}"),
        ("glibc.malloc.hugetlb=0:glibc.malloc.check=1", "glibc.malloc.hugetlb=0:glibc.malloc.check=1"),
    ],
)
def test_memory_is_in_large_pages_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.setenv("GLIBC_TUNABLES", given)
    prepare()
    prepare()
    assert os.environ["GLIBC_TUNABLES"] == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_workers_start_with_what_prepare_has_set() -> None:
    script = (
        "from pathlib import Path; from service.pipeline.worker import Workers, prepare; prepare(); "
        "workers = Workers('told', Path, '/proc/self/environ'); print(workers.call('read_text')); workers.close()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert f"GLIBC_TUNABLES={HUGE_PAGES}" in told.stdout.split("\0")
