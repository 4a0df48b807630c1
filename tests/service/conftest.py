"""A service over a catalogue of its own, empty at first, for tests that change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from index.local import LocalCatalogue
from service.access.policy import Access
from service.engine import Engine
from service.limits import Limits
from tests.service.serving import served
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

    def start(
        folder: Path | LocalCatalogue,
        limits: Limits | None = None,
        writable: bool = True,
        access: Access | None = None,
    ) -> AbstractContextManager[httpx.Client]:
        catalogue = LocalCatalogue.open(folder, writable) if isinstance(folder, Path) else folder
        return served(Engine(embedder, catalogue, limits or Limits()), access)

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
