"""A terminal that closes ends the service as SIGTERM does, unless it was started with nohup; real terminals."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-m", "service.cli", "serve", "--port", "0", "--device", "cpu"]
SOON = 120.0  # seconds after which a test has failed
ON_TERMINAL = 'exec "$@" < "$0"'  # the first of a session to open a terminal has it from then on
NOHUP = 'trap "" HUP; ' + ON_TERMINAL


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """SIGHUP is not ignored, even where the tests run under nohup; a process that is started inherits that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Started:
    """A `bma serve` on a terminal of its own.

    Args:
        script: how a shell starts it; `$0` is the terminal.
        log: where its lines go.
        arguments: of `bma serve`.
    """

    def __init__(self, script: str, log: Path, arguments: list[str | Path]) -> None:
        self.log = log
        self._master, slave = os.openpty()
        command = ["sh", "-c", script, os.ttyname(slave), *SERVE]
        with log.open("w") as said:
            self.process = subprocess.Popen(
                [*command, *map(str, arguments)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
                text=True,
            )
        os.close(slave)

    @property
    def url(self) -> str:
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert len(words) > 2, self.log.read_text()
        return words[2]

    def close_terminal(self) -> None:
        os.close(self._master)
        self._master = -1

    def end(self) -> None:
        if self._master >= 0:
            self.close_terminal()
        self.process.kill()
        self.process.communicate()


@contextmanager
def started(script: str, log: Path, *arguments: str | Path) -> Iterator[Started]:
    service = Started(script, log, list(arguments))
    try:
        yield service
    finally:
        service.end()


def test_a_terminal_that_closes_ends_it_after_what_has_begun(
    bundle_folder: Path, empty_catalogue: Path, sounds: list[bytes], tmp_path: Path
) -> None:
    with started(ON_TERMINAL, tmp_path / "log", "--model", bundle_folder, "--index", empty_catalogue) as service:
        url = service.url
        assert httpx.get(f"{url}/readyz", timeout=SOON).is_success
        files = [("sound", (f"{n}.wav", sounds[n % len(sounds)])) for n in range(60)]
        answers: list[Any] = []

        def ask() -> None:
            answers.append(httpx.post(f"{url}/v1/embed", files=files, timeout=SOON).status_code)

        asking = threading.Thread(target=ask)
        asking.start()

        def begun() -> bool:
            return bool(answers) or "bma_queue_items 60.0" in httpx.get(f"{url}/metrics", timeout=SOON).text

        until(begun, service.log)
        service.close_terminal()
        assert service.process.wait(SOON) == -signal.SIGTERM
        asking.join(SOON)
        assert answers == [200]
        said = service.log.read_text()
        assert "path=/v1/embed status=200" in said
        assert "reloading" not in said
        assert "Traceback" not in said


def test_a_terminal_that_closes_while_it_loads_ends_it(bundle_folder: Path, tmp_path: Path) -> None:
    with started(ON_TERMINAL, tmp_path / "log", "--model", bundle_folder) as service:
        until(lambda: caught(service.process.pid, signal.SIGHUP), service.log)  # before, it is a process like any other
        service.close_terminal()
        assert service.process.wait(SOON) == -signal.SIGTERM


def test_with_nohup_it_survives_its_terminal_and_still_loads_anew(
    bundle_folder: Path, images: list[bytes], tmp_path: Path
) -> None:
    with started(NOHUP, tmp_path / "log", "--model", bundle_folder) as service:
        url = service.url
        assert httpx.get(f"{url}/readyz", timeout=SOON).is_success
        service.close_terminal()
        until(lambda: "reloaded: " in service.log.read_text(), service.log)  # it was told, and made the best of it
        files = {"image": images[0]}
        assert httpx.post(f"{url}/v1/embed", files=files, timeout=SOON).status_code == 200
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.log.read_text().count("reloaded: ") == 2, service.log)
        service.process.terminate()
        assert service.process.wait(SOON) == -signal.SIGTERM


def test_nohup_in_a_shell_whose_window_is_closed(bundle_folder: Path, images: list[bytes], tmp_path: Path) -> None:
    log, process = tmp_path / "log", tmp_path / "process"
    serve = shlex.join([*SERVE, "--model", str(bundle_folder)])
    master, slave = os.openpty()
    bash = ["sh", "-c", 'exec bash --noprofile -l -i < "$0" > "$0" 2>&1', os.ttyname(slave)]
    environment = {**os.environ, "HOME": str(tmp_path)}  # without anybody's .bash_logout
    with subprocess.Popen(bash, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL, env=environment) as shell:
        os.close(slave)
        # it may read that its terminal is at its end before it hears SIGHUP, and then it only leaves
        os.write(master, b"shopt -s huponexit\n")
        os.write(master, f"nohup {serve} > {log} 2>&1 & echo $! > {process}\n".encode())
        try:
            until(lambda: log.exists() and "serving on " in log.read_text(), log)
            url = log.read_text().split("serving on ")[1].split()[0]
            assert httpx.get(f"{url}/readyz", timeout=SOON).is_success
        finally:
            os.close(master)
        shell.wait(SOON)
    try:
        until(lambda: "reloaded: " in log.read_text(), log)  # the shell has told it too, as it tells all its jobs
        assert httpx.post(f"{url}/v1/embed", files={"image": images[0]}, timeout=SOON).status_code == 200
    finally:
        os.kill(int(process.read_text()), signal.SIGTERM)
    assert "Traceback" not in log.read_text()


def caught(process: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return bool(int(status["SigCgt"], 16) >> (number - 1) & 1)


def until(condition: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.005)
