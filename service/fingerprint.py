"""Whether a catalogue and a model belong together."""

from __future__ import annotations

from pathlib import Path

from index.catalogue import Catalogue, CatalogueError
from index.local import LocalCatalogue
from index.milvus_address import is_milvus
from training.model.embedder import Embedder


def check_fingerprint(catalogue: Catalogue, embedder: Embedder, folder: Path) -> None:
    """Vectors of one model say nothing to another. Raises `CatalogueError`."""
    if catalogue.fingerprint != embedder.bundle.fingerprint:
        remedy = f"embed its items again with 'bma index rebuild {folder} --model BUNDLE'"
        if is_milvus(str(folder)):
            remedy = "serve that one, or embed a catalogue in a folder again and migrate it under another name"
        raise CatalogueError(
            f"{folder} was made with another model ({catalogue.fingerprint[:8]}, "
            f"not {embedder.bundle.fingerprint[:8]}); {remedy}"
        )


def is_of(folder: Path, embedder: Embedder) -> bool:
    """Whether the catalogue in a folder was made with a model. Raises `CatalogueError`."""
    catalogue = LocalCatalogue.open(folder, writable=True)  # which also brings one of an earlier version up to date
    try:
        return catalogue.fingerprint == embedder.bundle.fingerprint
    finally:
        catalogue.close()
