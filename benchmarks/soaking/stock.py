"""What the service under load begins with: a model and a catalogue that nobody had to train or gather."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from index.catalogue import Item
from index.local import LocalCatalogue
from training.config import make_config
from training.model.bundle import MODALITIES, Bundle, load_bundle
from training.model.head import ClassHead
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor

STOCK = 2000  # items of the catalogue from the start


def make_bundle(folder: Path) -> Path:
    """A bundle of preset small's size whose weights nobody trained, with class heads."""
    config = make_config("small", [])
    model, labels = BMAModel(config.model_config).eval(), tuple(f"class {number}" for number in range(10))
    bundle = Bundle(model, Preprocessor(config.preprocess_config))
    width = 2 * config.channels
    for modality in MODALITIES:
        bundle.heads[modality] = ClassHead(torch.randn(len(labels), width) / width, torch.zeros(len(labels)), labels)
    bundle.save(folder)
    return folder


def make_catalogue(bundle: Path, folder: Path) -> Path:
    """A catalogue with items, drawn at random, that share their content."""
    loaded = load_bundle(bundle)
    dimension = loaded.model.config.projection_dim
    catalogue = LocalCatalogue.create(folder, loaded.fingerprint, dimension, folder)
    content = b"of all items"
    kept = hashlib.sha256(content).hexdigest()
    vectors = np.random.default_rng(0).standard_normal((STOCK, dimension), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = [
        Item(f"stock-{number}", "image" if number % 2 else "sound", "", "text/plain", content=kept)
        for number in range(STOCK)
    ]
    catalogue.put(items, vectors, {kept: content})
    catalogue.close()
    return folder
