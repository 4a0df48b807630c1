"""The service that is put under load, watched from outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Cores = Collection[int] | None

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
FEW = 8  # threads or files more than before the load
ENDING = 60.0  # seconds


@dataclass
class Service:
    """A `bma serve` that runs."""

    url: str
    process: subprocess.Popen[str]
    samples: list[dict[str, float]] = field(default_factory=list)

    def sample(self) -> dict[str, float]:
        """Bytes of resident memory (its workers' too), threads, open files."""
        place = Path("/proc") / str(self.process.pid)
        status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
        files = len(list((place / "fd").iterdir()))
        return {
            "memory": float(resident(self.process.pid)),
            "threads": float(status["Threads"]),
            "files": float(files),
        }

    @contextlib.contextmanager
    def watched(self, every: float) -> Iterator[None]:
        """Take a sample every few seconds."""
        enough = threading.Event()

        def watch() -> None:
            while not enough.wait(every):
                self.samples.append(self.sample())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()

    def get(self, path: str) -> bytes:
        """An answer's body."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            found: bytes = answer.read()
        return found

    def end(self) -> int:
        """SIGTERM; the status that it ends with."""
        self.process.terminate()
        return self.process.wait(ENDING)


@contextlib.contextmanager
def served(bundle: Path, catalogue: Path, log: Path, cores: Cores = None) -> Iterator[Service]:
    """A service on a free port, ready."""
    command = [sys.executable, "-m", "service.cli", "serve", "--model", str(bundle), "--index", str(catalogue)]
    with log.open("w") as said:
        with started_on(cores):
            process = subprocess.Popen(
                [*command, "--port", "0"], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=said, text=True
            )
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            if len(words) < 3:
                raise SystemExit(f"bma serve did not start: {log.read_text()[-2000:]}")
            service = Service(words[2], process)
            service.get("/readyz")
            yield service
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def settled(service: Service, before: dict[str, float]) -> dict[str, float]:
    """A sample of the service after its load, once its places are free and connections closed, or 40 s have passed."""
    for _ in range(80):
        lines = dict(line.rsplit(" ", 1) for line in service.get("/metrics").decode().splitlines() if line[0] != "#")
        places = float(lines["bma_queue_items"]) + float(lines["bma_queue_bytes"])
        places += float(lines["bma_requests_under_way"]) - 1  # the one that asks
        found = {**service.sample(), "places": places}
        if places == 0 and found["files"] <= before["files"] + FEW:
            break
        time.sleep(0.5)
    return found


def halves() -> tuple[set[int], set[int]]:
    """The cores that this process may use, in two parts."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("--apart takes two cores or more; there is one")
    return set(cores[: len(cores) // 2]), set(cores[len(cores) // 2 :])


@contextlib.contextmanager
def started_on(cores: Cores) -> Iterator[None]:
    """What is started within runs on these cores alone."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family(pid: int) -> list[int]:
    """A process, those that it has started, and those that these have."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(place.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process's family has, each page counted once; 0 where that can't be known."""
    total = 0
    for one in family(pid):
        try:
            lines = (Path("/proc") / str(one) / "smaps_rollup").read_text().splitlines()
        except OSError:  # as above, or no Linux
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total
