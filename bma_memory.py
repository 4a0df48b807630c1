"""The face for other people's code; each name is imported when it is first used, so the client needs httpx alone.

>>> from bma_memory import Client, AsyncClient  # pip install .
>>> from bma_memory import Embedder             # pip install .[model]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.async_client import AsyncClient
    from service.client import Client, NoAnswer, ServiceError
    from training.model.bundle import Bundle, BundleError, load_bundle
    from training.model.embedder import Embedder, Embedding
    from training.model.media.source import MediaError

_PLACES = {
    "AsyncClient": "service.async_client",
    "Client": "service.client",
    "NoAnswer": "service.client",
    "ServiceError": "service.client",
    "Bundle": "training.model.bundle",
    "BundleError": "training.model.bundle",
    "load_bundle": "training.model.bundle",
    "Embedder": "training.model.embedder",
    "Embedding": "training.model.embedder",
    "MediaError": "training.model.media.source",
}

__all__ = [
    "AsyncClient",
    "Bundle",
    "BundleError",
    "Client",
    "Embedder",
    "Embedding",
    "MediaError",
    "NoAnswer",
    "ServiceError",
    "load_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'bma_memory' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)
