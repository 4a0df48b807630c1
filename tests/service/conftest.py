"""A service over a catalogue of its own, empty at first, for tests that change it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from index.local import LocalCatalogue
from service.engine import Engine
from service.limits import Limits
from service.server import address, listen, make_server
from training.model.embedder import Embedder

Serving = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture(scope="session")
def embedder(bundle_folder: Path) -> Embedder:
    return Embedder(bundle_folder, "cpu")


@pytest.fixture
def empty_catalogue(embedder: Embedder, tmp_path: Path) -> Path:
    folder = tmp_path / "catalogue"
    dimension = embedder.bundle.model.config.projection_dim
    LocalCatalogue.create(folder, embedder.bundle.fingerprint, dimension, tmp_path).close()
    return folder


@pytest.fixture(scope="session")
def serving(embedder: Embedder) -> Serving:
    """Serve a catalogue over real HTTP, in this process; a client of it."""

    @contextmanager
    def start(
        folder: Path | LocalCatalogue, limits: Limits | None = None, writable: bool = True
    ) -> Iterator[httpx.Client]:
        catalogue = LocalCatalogue.open(folder, writable) if isinstance(folder, Path) else folder
        server = make_server(Engine(embedder, catalogue, limits or Limits()))
        with listen("127.0.0.1", 0) as listener:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                with httpx.Client(base_url=address(listener), timeout=60) as client:
                    yield client
            finally:
                server.should_exit = True
                thread.join()

    return start


@pytest.fixture
def shelf(serving: Serving, empty_catalogue: Path) -> Iterator[httpx.Client]:
    """A client of a service that may be written to and holds nothing yet."""
    with serving(empty_catalogue) as client:
        yield client


@pytest.fixture(scope="session")
def images(demo_folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(demo_folder.glob("images/*_test-*.jpg"))]


@pytest.fixture(scope="session")
def sounds(demo_folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(demo_folder.glob("sounds/*_test-*.wav"))]
