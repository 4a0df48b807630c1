"""The model as a peer of the service has it."""

from pathlib import Path

from training.model.allocator import keep_freed_memory
from training.model.embedder import Embedder


def make_embedder(bundle: Path, encoders: str) -> Embedder:
    """Of a bundle, its encoders `frozen` as in the service, or `plain`: torch's modules, as most would run them.

    With the first, freed memory is kept as in the service."""
    embedder = Embedder(bundle)
    if encoders == "plain":
        embedder.frozen.clear()
    else:
        keep_freed_memory()
    return embedder
