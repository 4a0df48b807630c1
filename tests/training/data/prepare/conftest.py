"""Writers of data sets' files in their true formats."""

import csv
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

from training.data.prepare.output import Prepared
from training.data.rows import Row, read_rows


@pytest.fixture(scope="session")
def release() -> ModuleType:
    """The module `acivw_release.py` beside this file."""
    spec = importlib.util.spec_from_file_location("acivw_release", Path(__file__).parent / "acivw_release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save_clip(file: Path, seconds: float = 4.0, *, sound: float | None = None, **options: str) -> None:
    """An MP4 of 10 pictures a second that grow brighter, with noise for `sound` seconds (all when None)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    heard = seconds if sound is None else sound
    with av.open(str(file), "w", options=options) as output:
        film: Any = output.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        track: Any = output.add_stream("aac", rate=44_100, layout="stereo") if heard else None
        for number in range(round(seconds * 10)):
            pixels = np.full((48, 64, 3), 20 + 4 * number, np.uint8)
            output.mux(film.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(film.encode(None))
        if track:
            wave = np.random.default_rng(0).normal(0, 0.1, (2, round(heard * 44_100))).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave, "fltp", "stereo")
            frame.sample_rate = 44_100
            output.mux(track.encode(frame))
            output.mux(track.encode(None))


def save_recording(file: Path, seconds: float = 10.0) -> None:
    """A WAV of noise with 24 bits, 48 kHz and two channels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(0).integers(-(2**30), 2**30, (1, 2 * round(seconds * 48_000)), np.int32)
    with av.open(str(file), "w") as output:
        track: Any = output.add_stream("pcm_s24le", rate=48_000, layout="stereo", format="s32")
        frame = av.AudioFrame.from_ndarray(wave, "s32", "stereo")
        frame.sample_rate = 48_000
        output.mux(track.encode(frame))
        output.mux(track.encode(None))


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., None]:
    """`write_clip(file, seconds=4.0, sound=None, **options)`: an MP4."""
    return save_clip


@pytest.fixture(scope="session")
def write_recording() -> Callable[..., None]:
    """`write_recording(file, seconds=10.0)`: a WAV of 24 bits, 48 kHz, two channels."""
    return save_recording


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Prepared], dict[str, Row]]:
    """`rows_of(made)`: id → row, of a data set whose every file is there."""

    def read(made: Prepared) -> dict[str, Row]:
        rows = read_rows(made.rows_file)
        for row in rows:
            for path in filter(None, (row.image, row.sound)):
                assert (made.rows_file.parent / path).is_file(), path
        assert len({row.id for row in rows}) == len(rows)
        return {row.id: row for row in rows}

    return read


@pytest.fixture(scope="session")
def listed_in() -> Callable[[Prepared, str], dict[str, str]]:
    """`listed_in(made, "unreadable.csv")`: first column → second."""

    def read(made: Prepared, name: str) -> dict[str, str]:
        with made.rows_file.with_name(name).open(newline="", encoding="utf-8") as stream:
            return dict(list(csv.reader(stream))[1:])

    return read
