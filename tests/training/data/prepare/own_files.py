"""Videos, images and sounds as people have them in folders."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.prepare.cut import write_flac
from training.data.prepare.folder import Prepared
from training.data.rows import Row, read_rows

RATE = 22_050
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}
TONES = {"red": 300.0, "blue": 3000.0}


def make_video(file: Path, seconds: float, label: str = "red", *, sound: float | None = None, size: int = 64) -> None:
    """A film in a class's colour that grows brighter, with the class's tone for `sound` seconds (all when None)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sound = seconds if sound is None else sound
    with av.open(str(file), "w") as output:
        film: Any = output.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        film.width, film.height, film.pix_fmt = size, size, "yuv420p"
        track: Any = output.add_stream("aac", rate=44_100, layout="mono") if sound else None
        for number in range(round(seconds * 10)):
            pixels = np.full((size, size, 3), COLOURS[label], np.uint8) // 2 + np.uint8(number % 100)
            output.mux(film.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(film.encode(None))
        if track:
            wave = 0.4 * np.sin(2 * np.pi * TONES[label] * np.arange(round(sound * 44_100)) / 44_100)
            frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate = 44_100
            output.mux(track.encode(frame))
            output.mux(track.encode(None))


def make_image(file: Path, label: str = "red") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = _noise(file, (30, 40, 3))
    picture = Image.fromarray((np.array(COLOURS[label]) + noise).astype(np.uint8))
    picture.save(file, format=Image.registered_extensions().get(file.suffix, "JPEG"))


def make_sound(file: Path, label: str = "red", seconds: float = 2.0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    wave = 9000 * np.sin(2 * np.pi * TONES[label] * np.arange(round(seconds * RATE)) / RATE)
    wave += _noise(file, wave.shape)
    write_flac([wave.astype(np.int16)], RATE, file)


def _noise(file: Path, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """A little of it, so that no file has the bytes of one of another name."""
    return np.random.default_rng(zlib.crc32(str(file).encode())).integers(-9, 10, shape)


def rows_of(made: Prepared) -> dict[str, Row]:
    rows = {row.id: row for row in read_rows(made.rows_file)}
    for row in rows.values():
        for path in filter(None, (row.image, row.sound)):
            assert (made.rows_file.parent / path).is_file(), path
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", row.id)
    return rows


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name not in (".", "..")]
