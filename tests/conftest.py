"""A small world that the tests share: demo data, a model trained on it for a moment, its catalogue, a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

# Workers of a busy machine would only fight over the cores; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent
BMA = [sys.executable, "-m", "service.cli"]
Bma = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes are begun first, so that none of them is left for one core alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@dataclass(frozen=True)
class Server:
    """A `bma serve` that runs."""

    url: str
    process: subprocess.Popen[str]

    def told(self) -> str:
        """What it writes to stderr until it ends."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images/*.jpg, sounds/*.wav and rows.csv: ten classes, few rows of each."""
    from training.data.demo.dataset import Part, make_demo

    folder = tmp_path_factory.mktemp("demo")
    parts = (
        Part("train", "pair", 3),
        Part("unpaired", "image", 1, sound=False),
        Part("unpaired", "sound", 1, image=False),
        Part("train", "picture", 1, sound=False),
        Part("train", "recording", 1, image=False),
        Part("val", "val", 1),
        Part("test", "test", 3),
    )
    make_demo(folder, parts=parts)
    return folder


@pytest.fixture(scope="session")
def bundle_folder(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with class heads for both modalities, trained for a few steps on the demo folder."""
    from training.config import make_config
    from training.data.pack import open_data
    from training.run import train

    run = tmp_path_factory.mktemp("run") / "tiny"
    keys = ("steps=12", "batch_size=16", "width=0.0625", "slots=24", "image_size=48", "unpaired=both")
    config = make_config("demo", [*keys, "learning_rate=0.002"])
    train(open_data(demo_folder, config.image_size, config.sample_rate), run, config, device="cpu")
    return run / "model"


@pytest.fixture(scope="session")
def catalogue_folder(demo_folder: Path, bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo folder's test split (30 images, 30 sounds), indexed with the tiny model."""
    from service.indexing import build_catalogue
    from training.model.embedder import Embedder

    folder = tmp_path_factory.mktemp("catalogue") / "index"
    build_catalogue(Embedder(bundle_folder, "cpu"), demo_folder, folder, ["test"])
    return folder


@pytest.fixture(scope="session")
def bma() -> Bma:
    """Run `bma …` as a user does; the finished process with its stdout and stderr."""

    def run(*arguments: str | Path, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        command = [*BMA, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)

    return run


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Start `bma serve …` on a free port, wait until it is ready; Ctrl-C and a clean exit at the end."""

    @contextmanager
    def start(*arguments: str | Path) -> Iterator[Server]:
        server = start_server(*arguments)
        process = server.process
        try:
            wait_until_ready(server.url, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                _, errors = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise
        assert process.returncode == 0, f"it ended with {process.returncode}: {errors[-4000:]}"
        assert "Traceback" not in errors, errors[max(0, errors.index("Traceback") - 1000) :][:5000]

    return start


@pytest.fixture(scope="session")
def service_url(bundle_folder: Path, catalogue_folder: Path, serve: Serve) -> Iterator[str]:
    """A real `bma serve` over the tiny model and its catalogue."""
    with serve("--model", bundle_folder, "--index", catalogue_folder) as server:
        yield server.url


@pytest.fixture
def http(service_url: str) -> Iterator[httpx.Client]:
    """An HTTP client of the service."""
    with httpx.Client(base_url=service_url, timeout=60) as client:
        yield client


@contextmanager
def no_superuser() -> Iterator[None]:
    """As someone for whom permissions hold, where the tests are run by root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def start_server(*arguments: str | Path) -> Server:
    """`bma serve …` on a free port, which listens but may not be ready; whoever starts it ends it."""
    command = [*BMA, "serve", "--port", "0", "--device", "cpu", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    words = process.stdout.readline().split()
    if len(words) < 3:
        pytest.fail(f"bma serve did not start: {process.communicate()[1]}")
    return Server(words[2], process)


def wait_until_ready(url: str, process: subprocess.Popen[str], seconds: float = 180) -> None:
    """Until /readyz says ready."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=seconds).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"the service at {url} is not ready")
