"""Whether a catalogue and a model belong together."""

from __future__ import annotations

from pathlib import Path

from index.catalogue import Catalogue, CatalogueError
from index.local import LocalCatalogue
from training.model.embedder import Embedder


def check_fingerprint(catalogue: Catalogue, embedder: Embedder, folder: Path) -> None:
    """Vectors of one model say nothing to another. Raises `CatalogueError`."""
    if catalogue.fingerprint != embedder.bundle.fingerprint:
        raise CatalogueError(
            f"{folder} was made with another model ({catalogue.fingerprint[:8]}, "
            f"not {embedder.bundle.fingerprint[:8]}); embed its items again with "
            f"'bma index rebuild {folder} --model BUNDLE'"
        )


def is_of(folder: Path, embedder: Embedder) -> bool:
    """Whether the catalogue in a folder was made with a model. Raises `CatalogueError`."""
    catalogue = LocalCatalogue.open(folder, writable=True)  # which also brings one of an earlier version up to date
    try:
        return catalogue.fingerprint == embedder.bundle.fingerprint
    finally:
        catalogue.close()
