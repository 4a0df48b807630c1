"""How fast the service answers: beside a naive FastAPI server, LitServe and BentoML, and the ceiling.

    python benchmarks/serve.py                       # a model of the paper's size with random weights
    python benchmarks/serve.py --bundle runs/demo/model --clients 1,16 --seconds 5 --json serve.json

LitServe and BentoML need a virtual environment of their own, since BentoML holds other packages at older versions:

    python -m venv peers && peers/bin/pip install -e '.[bench-serving]'
    python benchmarks/serve.py --peers peers/bin/python

Each peer runs twice: with the encoders `plain`, as torch gives them and as one would write such a server, and `frozen`,
as this project's `Embedder` makes them and with large pages as the service's workers have them, so that what the server
does is told from what the model does.

The ceiling is decoding on all cores and the model in batches of the best size, one at a time or one for each core,
whichever is faster, in one process, without HTTP, while the load generator sends the same requests at that rate to a
server that does nothing (Linux only, as wrk's delays are). It has as many files at hand as it likes; beside it is the
same with no more of them under way than there are clients, as large batches cost less a file, and few clients make
none. Every server answers the same requests (`POST /v1/embed`, one file, z comes back) from closed-loop clients, made
by wrk, and has the cores to itself: the others are stopped meanwhile. Rounds are interleaved, each with fresh servers
and clients in ascending number; the table gives medians.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import wave
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service.pipeline.worker import HUGE_PAGES
from training.model.allocator import keep_freed_memory
from training.model.bundle import Bundle
from training.model.config import ModelConfig, PreprocessConfig
from training.model.device import set_threads
from training.model.embedder import Embedder
from training.model.memory import Modality
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor

SERVING = Path(__file__).parent / "serving"
FILES = 16  # different ones
BOUNDARY = "bma-benchmark"
SIZES = (1, 2, 4, 8, 16, 32)  # of batches that the ceiling tries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a trained bundle; without it one of the paper's size is made")
    parser.add_argument("--clients", default="1,4,16,64", help="closed-loop clients, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--modality", choices=("image", "sound", "both"), default="both")
    parser.add_argument("--wrk", default="wrk", help="the load generator")
    parser.add_argument("--peers", default=sys.executable, help="a Python that has litserve and bentoml installed")
    parser.add_argument("--encoders", default="plain,frozen", help="of the peers: as torch has them, as the service's")
    parser.add_argument("--json", type=Path, help="also write all that was measured here")
    arguments = parser.parse_args()
    if shutil.which(arguments.wrk) is None:
        parser.error(f"there is no {arguments.wrk}; install wrk (Debian: apt-get install wrk), or name it with --wrk")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end too
    if HUGE_PAGES not in os.environ.get("GLIBC_TUNABLES", ""):  # glibc reads it when a program starts
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "GLIBC_TUNABLES": HUGE_PAGES})
    clients = sorted(int(count) for count in arguments.clients.split(","))
    modalities: list[Modality] = ["image", "sound"] if arguments.modality == "both" else [arguments.modality]
    with tempfile.TemporaryDirectory() as folder:
        bundle = arguments.bundle or make_bundle(Path(folder) / "bundle")
        measured = measure(arguments, bundle, Path(folder), clients, modalities)
    for modality in modalities:
        show(modality, clients, measured)
    if arguments.json:
        machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "seconds": arguments.seconds}
        arguments.json.write_text(json.dumps({"machine": machine, "measured": measured}, indent=1) + "\n")


def measure(
    arguments: argparse.Namespace, bundle: Path, folder: Path, clients: Sequence[int], modalities: Sequence[Modality]
) -> list[dict[str, Any]]:
    """Every server with every number of clients in every round, and the ceilings."""
    measured: list[dict[str, Any]] = []
    files: dict[Modality, list[bytes]] = {"image": pictures(), "sound": sounds()}
    bodies = {modality: write_bodies(folder, modality, files[modality]) for modality in modalities}
    commands = find_commands(bundle, arguments.peers, arguments.encoders.split(","))
    empty = [sys.executable, str(SERVING / "empty.py"), "{port}"]
    for number in range(arguments.rounds):
        with ExitStack() as stack:  # afresh: after a rush BentoML's batches wait too long for minutes
            nothing = stack.enter_context(served(empty))
            servers = {
                name: stack.enter_context(served(command, name.endswith("frozen")))
                for name, command in commands.items()
            }
            for modality in modalities:
                for count in (0, *clients):
                    with going(nothing) as url:
                        found = ceiling(bundle, files[modality], modality, arguments, url, bodies[modality], count)
                    row = {"name": "ceiling", "modality": modality, "clients": count, "round": number}
                    measured.append({**row, **found})
                for count, (name, server) in product(clients, servers.items()):
                    with going(server) as url:
                        load(arguments.wrk, url, count, 2.0, bodies[modality])  # warm again
                        found = load(arguments.wrk, url, count, arguments.seconds, bodies[modality])
                    measured.append({"name": name, "modality": modality, "clients": count, "round": number, **found})
                    said = f"{modality} {count:>2} clients, round {number + 1}, {name}: {found['rate']:.1f}/s"
                    print(said, file=sys.stderr, flush=True)
    return measured


def find_commands(bundle: Path, peers: str, kinds: Sequence[str]) -> dict[str, list[str]]:
    """How each server is started; the port is filled in later.

    Args:
        bundle: the model's.
        peers: the Python of those that may be missing.
        kinds: of encoders that the peers have, each in a server of its own.
    """
    serve = [sys.executable, "-m", "service.cli", "serve", "--model", str(bundle), "--port", "{port}"]
    bento = ["-m", "bentoml", "serve", "bento:Embed", "--working-dir", str(SERVING), "--do-not-track"]
    place = ["--host", "127.0.0.1", "--port", "{port}"]
    commands = {"this service": serve}
    for kind in kinds:
        given = ["--arg", f"bundle={bundle.resolve()}", "--arg", f"encoders={kind}"]
        commands |= {
            f"naive FastAPI, {kind}": [sys.executable, str(SERVING / "naive.py"), str(bundle), "{port}", kind],
            f"LitServe, {kind}": [peers, str(SERVING / "lit.py"), str(bundle), "{port}", kind],
            f"BentoML, {kind}": [peers, *bento, *given, *place],
        }
    for name in ("LitServe", "BentoML"):
        look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{name.lower()}') is None)"
        if subprocess.run([peers, "-c", look]).returncode:
            print(f"{name} is left out: {peers} has no {name.lower()}; see --peers", file=sys.stderr)
            commands = {other: command for other, command in commands.items() if not other.startswith(name)}
    return commands


def load(
    wrk: str, url: str, clients: int, seconds: float, bodies: Sequence[Path], rate: float = 0.0
) -> dict[str, float]:
    """What closed-loop clients get: requests a second that were answered with 2xx, and milliseconds.

    With a rate they send so many requests a second between them, if the server answers as many.
    """
    command = [wrk, "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s"]
    script = [str(SERVING / "post.lua"), f"{url}/v1/embed?include=z", "--"]
    content = [f"multipart/form-data; boundary={BOUNDARY}", str(rate)]
    done = subprocess.run([*command, *script, *content, *map(str, bodies)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    found["rate"] = (found["requests"] - found["refused"]) / found["seconds"]
    return found


def ceiling(
    bundle: Path,
    files: Sequence[bytes],
    modality: Modality,
    arguments: argparse.Namespace,
    url: str,
    bodies: Sequence[Path],
    most: int,
) -> dict[str, float]:
    """Files a second with the best batches, while the server at `url`, which does nothing, gets as many; of files under
    way there are no more than `most`, if it is not 0."""
    keep_freed_memory()
    embedder = Embedder(bundle)
    seconds = arguments.seconds
    shapes = [
        (size, lanes, most // lanes or 4 * size)
        for size, lanes in product(SIZES, sorted({1, os.cpu_count() or 1}))
        if not most or size * lanes <= most
    ]
    alone = {shape: in_process(embedder, files, modality, *shape, seconds / len(SIZES)) for shape in shapes}
    best = max(alone, key=lambda shape: alone[shape])
    rate = alone[best]
    with ThreadPoolExecutor(1) as generator:
        for _ in range(2):  # the second time at the rate that the first has left
            sent = generator.submit(load, arguments.wrk, url, 16, seconds + 1.0, bodies, rate)
            rate = in_process(embedder, files, modality, *best, seconds)
            received = sent.result()["rate"]
    return {"rate": rate, "alone": alone[best], "batch": best[0], "lanes": best[1], "sent": received}


def in_process(
    embedder: Embedder, files: Sequence[bytes], modality: Modality, size: int, lanes: int, most: int, seconds: float
) -> float:
    """Files a second: decoded on a thread for each core, and so many batches at once that share the cores, each with
    so many files under way, those of its next batches among them."""
    read = embedder.read_image if modality == "image" else embedder.read_sound

    def lane() -> tuple[int, float]:
        set_threads(max(1, (os.cpu_count() or 1) // lanes))
        waiting: deque[Future[Any]] = deque()
        done, place = -size, 0  # the first batch warms up
        begin = time.perf_counter()
        while done < 0 or time.perf_counter() - begin < seconds:
            while len(waiting) < most:
                waiting.append(pool.submit(read, files[place % len(files)]))
                place += 1
            embedder.embed_packed([waiting.popleft().result() for _ in range(size)], modality)
            done += size
            if done == 0:
                begin = time.perf_counter()
        return done, time.perf_counter() - begin

    with ThreadPoolExecutor(os.cpu_count()) as pool, ThreadPoolExecutor(lanes) as workers:
        results = [worker.result() for worker in [workers.submit(lane) for _ in range(lanes)]]
    return sum(done / took for done, took in results)


@contextmanager
def served(command: Sequence[str], huge_pages: bool = False) -> Iterator[tuple[str, int]]:
    """A server, stopped once it is ready: its address and its process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    full = [part.format(port=port) for part in command]
    places = filter(None, (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    if not huge_pages:
        environment.pop("GLIBC_TUNABLES", None)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(full, start_new_session=True, stdout=said, stderr=said, env=environment)
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
                    break
                except (urllib.error.URLError, OSError):
                    if process.poll() is not None:
                        said.seek(0)
                        raise SystemExit(f"{' '.join(full)} has ended: {said.read().decode()[-2000:]}") from None
                    time.sleep(0.1)
            send(process.pid, signal.SIGSTOP)
            yield url, process.pid
        finally:
            if process.poll() is None:
                send(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    send(process.pid, signal.SIGKILL)
                    process.wait()


@contextmanager
def going(server: tuple[str, int]) -> Iterator[str]:
    """The address of a server that goes on meanwhile and is stopped again."""
    url, process = server
    send(process, signal.SIGCONT)
    try:
        yield url
    finally:
        send(process, signal.SIGSTOP)


def send(process: int, number: signal.Signals) -> None:
    """A signal to a process and to all that it started, whose groups may be others (those of BentoML's workers are)."""
    started: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # a thread that has just ended
            started += map(int, path.read_text().split())
    os.kill(process, number)
    for child in started:
        send(child, number)


def make_bundle(folder: Path) -> Path:
    """A bundle of the paper's size whose weights nobody trained."""
    Bundle(BMAModel(ModelConfig()).eval(), Preprocessor(PreprocessConfig())).save(folder)
    return folder


def pictures() -> list[bytes]:
    """JPEGs of 640 x 480, smooth with some noise, so that they compress as photographs do."""
    rng, found = np.random.default_rng(0), []
    for _ in range(FILES):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize(
            (640, 480), Image.Resampling.BICUBIC
        )
        noisy = np.clip(np.asarray(coarse, np.int16) + rng.integers(-12, 13, (480, 640, 3)), 0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(noisy).save(out, "JPEG", quality=85)
        found.append(out.getvalue())
    return found


def sounds() -> list[bytes]:
    """WAVs of 2 s at 22,050 Hz, 16 bits, one channel."""
    rng, found = np.random.default_rng(0), []
    for _ in range(FILES):
        out = io.BytesIO()
        with wave.open(out, "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(22_050)
            stream.writeframes(rng.integers(-9999, 9999, 44_100, np.int16).tobytes())
        found.append(out.getvalue())
    return found


def write_bodies(folder: Path, modality: Modality, files: Sequence[bytes]) -> list[Path]:
    """Multipart bodies of one file each."""
    paths = []
    suffix, media_type = ("jpg", "image/jpeg") if modality == "image" else ("wav", "audio/wav")
    for number, data in enumerate(files):
        disposition = f'Content-Disposition: form-data; name="{modality}"; filename="{number}.{suffix}"'
        head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: {media_type}\r\n\r\n"
        path = folder / f"{modality}-{number}.body"
        path.write_bytes(head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode())
        paths.append(path)
    return paths


def show(modality: Modality, clients: Sequence[int], measured: Sequence[dict[str, Any]]) -> None:
    """A table of medians."""
    rows = [row for row in measured if row["modality"] == modality and row["name"] != "ceiling"]
    ceilings = [row for row in measured if row["modality"] == modality and row["name"] == "ceiling"]

    def of_ceilings(key: str, count: int) -> float:
        return statistics.median(row[key] for row in ceilings if row["clients"] == count)

    top, sent = of_ceilings("rate", 0), of_ceilings("sent", 0)
    print(f"\n{modality}s; ceiling {top:.1f}/s, while {sent:.1f}/s went to the empty server\n")
    print("| clients | server | a second | of the ceiling | with as many files | p50 ms | p99 ms | failed |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|")
    for count in clients:
        limited = of_ceilings("rate", count)
        for name in dict.fromkeys(row["name"] for row in rows if row["clients"] == count):
            mine = [row for row in rows if row["clients"] == count and row["name"] == name]
            rate, p50, p99 = (statistics.median(row[key] for row in mine) for key in ("rate", "p50_ms", "p99_ms"))
            failed = sum(row["refused"] + row["broken"] for row in mine)
            shares = f"{rate / top:.2f} | {rate / limited:.2f}"
            print(f"| {count} | {name} | {rate:.1f} | {shares} | {p50:.0f} | {p99:.0f} | {failed:.0f} |")


if __name__ == "__main__":
    main()
