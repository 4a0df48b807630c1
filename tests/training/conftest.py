"""A tiny data set made of generated JPEGs and WAVs, a tiny configuration, and the paper's equations as a reference."""

import importlib.util
import wave
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from training.config import TrainingConfig
from training.data.pack import pack
from training.data.packed import PackedData
from training.data.rows import Row, write_rows
from training.run import train

CLASSES = {"red": ((200, 40, 40), 300.0), "green": ((40, 200, 40), 900.0), "blue": ((40, 40, 200), 2500.0)}

# Every key that costs time is small; c = 16 channels.
TINY: dict[str, Any] = {
    "preset": "small",
    "image_size": 32,
    "sample_rate": 8000,
    "window_seconds": 0.5,
    "n_fft": 256,
    "win_length": 200,
    "hop_length": 100,
    "n_mels": 16,
    "n_frames": 40,
    "width": 1 / 32,
    "slots": 8,
    "batch_size": 6,
    "steps": 6,
    "checkpoint_every": 2,
    "precision": "fp32",
    "learning_rate": 3e-3,
    "spec_frequency": 4,
    "spec_time": 8,
}


def save_image(file: Path, colour: tuple[int, int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 20, (30, 44, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, "JPEG", quality=90)


def save_sound(file: Path, samples: npt.NDArray[np.int16], rate: int = 8000) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(samples.astype("<i2").tobytes())


def make_tone(frequency: float, seconds: float, seed: int, rate: int = 8000) -> npt.NDArray[np.int16]:
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tone = 8000 * np.sin(2 * np.pi * (frequency * time + rng.random())) + rng.normal(0, 300, len(time))
    return tone.astype(np.int16)


def make_rows(folder: Path) -> Path:
    """12 pairs, 4 unpaired images and sounds, a labelled image and sound alone, val and test pairs."""
    rows: list[Row] = []
    labels = list(CLASSES)

    def add(split: str, number: int, image: bool = True, sound: bool = True) -> None:
        label = labels[number % 3]
        colour, frequency = CLASSES[label]
        name = f"{split}-{len(rows):02d}"
        if image:
            save_image(folder / f"images/{name}.jpg", colour, len(rows))
        if sound:
            seconds = 0.3 if number == 1 else 0.8  # one in each split is shorter than a window
            save_sound(folder / f"sounds/{name}.wav", make_tone(frequency, seconds, len(rows)))
        rows.append(
            Row(
                split=split,
                label="" if split == "unpaired" else label,
                image=f"images/{name}.jpg" if image else "",
                sound=f"sounds/{name}.wav" if sound else "",
                id=name,
            )
        )

    for number in range(12):
        add("train", number)
    for number in range(4):
        add("unpaired", number, sound=False)
        add("unpaired", number, image=False)
    add("train", 0, sound=False)
    add("train", 1, image=False)
    for split, count in (("val", 3), ("test", 6)):
        for number in range(count):
            add(split, number)
    write_rows(folder / "rows.csv", rows)
    return folder / "rows.csv"


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The module `reference.py` beside this file."""
    spec = importlib.util.spec_from_file_location("training_reference", Path(__file__).parent / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_image() -> Callable[..., None]:
    """`write_image(file, (r, g, b), seed)`: a noisy JPEG."""
    return save_image


@pytest.fixture(scope="session")
def write_sound() -> Callable[..., None]:
    """`write_sound(file, int16 samples, rate=8000)`: a WAV."""
    return save_sound


@pytest.fixture(scope="session")
def tone() -> Callable[..., npt.NDArray[np.int16]]:
    """`tone(frequency, seconds, seed, rate=8000)`: int16 samples."""
    return make_tone


@pytest.fixture(scope="session")
def write_rows_and_media() -> Callable[[Path], Path]:
    """`write_rows_and_media(folder)`: the tiny data set's files; returns its rows file."""
    return make_rows


@pytest.fixture(scope="session")
def tiny_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set's rows file; leave it and its files as they are."""
    return make_rows(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_data(tiny_rows: Path, tmp_path_factory: pytest.TempPathFactory) -> PackedData:
    """The tiny data set, packed at the tiny configuration's sizes."""
    return pack(tiny_rows, tmp_path_factory.mktemp("packed") / "set", TINY["image_size"], TINY["sample_rate"])


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., TrainingConfig]:
    """`tiny_config(key=value)`: a configuration that trains in a second."""

    def make(**changes: Any) -> TrainingConfig:
        return TrainingConfig(**{**TINY, **changes})

    return make


@pytest.fixture(scope="session")
def tiny_run(
    tiny_data: PackedData, tiny_config: Callable[..., TrainingConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a finished run with both kinds of unpaired items; leave it as it is."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    train(tiny_data, out, tiny_config(unpaired="both", steps=40, checkpoint_every=8), device="cpu")
    return out
