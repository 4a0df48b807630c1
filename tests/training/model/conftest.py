"""A small model whose weights come from integer arithmetic, the same on every machine and with every torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from training.model.bundle import Bundle
from training.model.config import ModelConfig, PreprocessConfig
from training.model.head import ClassHead
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor


def hashed(count: int, salt: int) -> npt.NDArray[np.float64]:
    """Numbers `[count]` in [-1, 1) without a random number generator (the finaliser of splitmix64)."""
    x = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(salt << 32)
    x *= np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2**52 - 1


def fill_weights(model: BMAModel, salt: int) -> None:
    for number, (key, tensor) in enumerate(sorted(model.state_dict().items())):
        if key.endswith("num_batches_tracked"):
            continue
        values = hashed(tensor.numel(), salt * 1000 + number)
        if tensor.ndim > 1 and not key.startswith("memory"):
            values *= (6 / (tensor.numel() / tensor.shape[0])) ** 0.5
        elif key.startswith("memory"):
            values *= 3**0.5
        elif key.endswith("running_var") or (key.endswith("weight") and ("bn" in key or "downsample" in key)):
            values = 1 + values / 4
        else:
            values *= 0.2
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(values.astype(np.float32)).reshape(tensor.shape))


def make_bundle(salt: int = 1, heads: bool = True) -> Bundle:
    """c = 32 channels, 24 slots, 40 x 40 images, the paper's log-mels; heads of 3 and 2 classes."""
    config = ModelConfig(width=1 / 16, slots=24, projection_dim=16)
    model = BMAModel(config).eval().requires_grad_(False)
    fill_weights(model, salt)
    labels = {"image": ("cat", "dog", "owl"), "sound": ("bark", "purr")}
    width = 2 * config.channels
    fitted = {}
    for number, (modality, names) in enumerate(labels.items()):
        weight = torch.from_numpy(hashed(len(names) * width, salt * 1000 + 500 + number).astype(np.float32))
        fitted[modality] = ClassHead(weight.reshape(len(names), width), torch.zeros(len(names)), names)
    return Bundle(
        model=model,
        preprocessor=Preprocessor(PreprocessConfig(image_size=40), mean=-5.0, std=4.0),
        heads=fitted if heads else {},  # type: ignore[arg-type]
        training={"preset": "test", "seed": salt},
    )


@pytest.fixture
def bundle_of() -> Callable[..., Bundle]:
    return make_bundle


@pytest.fixture
def bundle() -> Bundle:
    return make_bundle()


@pytest.fixture(scope="session")
def numbers() -> Callable[[int, int], npt.NDArray[np.float64]]:
    return hashed
