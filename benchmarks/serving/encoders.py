"""The model as a peer of the service has it."""

from pathlib import Path

from training.model.embedder import Embedder


def make_embedder(bundle: Path, encoders: str) -> Embedder:
    """Of a bundle, its encoders `frozen` as in the service, or `plain`: torch's modules, as most would run them."""
    embedder = Embedder(bundle)
    if encoders == "plain":
        embedder.frozen.clear()
    return embedder
