"""The demo data set: drawn JPEG pictures and synthesised WAV sounds of ten classes, and their rows file."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import wave
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.demo.labels import LABELS
from training.data.demo.picture import draw
from training.data.demo.sound import SAMPLE_RATE, synthesise
from training.data.rows import Row, write_rows
from training.progress import track

ROWS = "rows.csv"


@dataclass(frozen=True)
class Part:
    """Rows of one kind: how many of each class, and what each holds."""

    split: str
    name: str
    per_class: int
    image: bool = True
    sound: bool = True


# Few pairs, more of each modality alone, as in the paper's setting. Unpaired rows carry no label.
PARTS = (
    Part("train", "pair", 200),
    Part("unpaired", "image", 30, sound=False),
    Part("unpaired", "sound", 30, image=False),
    Part("train", "picture", 10, sound=False),  # image-only and sound-only rows with labels fit probes and heads
    Part("train", "recording", 10, image=False),
    Part("val", "val", 10),
    Part("test", "test", 30),
)


@dataclass(frozen=True)
class _Job:
    """One row to make; picklable, with a seed of its own so that the order of work does not matter."""

    folder: Path
    row: Row
    label: str
    seed: tuple[int, ...]


def make_demo(out: Path, seed: int = 0, parts: Sequence[Part] = PARTS) -> Path:
    """Make the data set in a folder; returns its rows file. The same seed gives the same files.

    The rows file is written last: where it is, the set is complete. What else lies in the folder stays. Other `parts`
    make a smaller or larger set.

    Raises:
        OSError: the folder can't be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".demo-", dir=out))
    try:
        for kind in ("images", "sounds"):
            (draft / kind).mkdir()
        jobs = list(_jobs(draft, seed, parts))
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            for _ in track(pool.map(_make, jobs, chunksize=16), "drawing and sounding", len(jobs), "row"):
                pass
        for kind in ("images", "sounds"):
            shutil.rmtree(out / kind, ignore_errors=True)
            (draft / kind).rename(out / kind)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    rows = out / f".{ROWS}"
    write_rows(rows, (job.row for job in jobs))
    rows.replace(out / ROWS)
    return out / ROWS


def _jobs(folder: Path, seed: int, parts: Sequence[Part]) -> Iterator[_Job]:
    for part_number, part in enumerate(parts):
        for count in range(part.per_class * len(LABELS)):
            label_number = count % len(LABELS)
            label = LABELS[label_number]
            id = f"{part.name}-{count:04d}"
            name = f"{label.replace(' ', '_')}_{id}"
            row = Row(
                split=part.split,
                label="" if part.split == "unpaired" else label,
                image=f"images/{name if part.split != 'unpaired' else id}.jpg" if part.image else "",
                sound=f"sounds/{name if part.split != 'unpaired' else id}.wav" if part.sound else "",
                id=id,
            )
            yield _Job(folder, row, label, (seed, part_number, count))


def _make(job: _Job) -> None:
    if job.row.image:
        picture_rng = np.random.default_rng((*job.seed, 0))
        quality = int(picture_rng.integers(70, 93))
        draw(job.label, picture_rng).save(job.folder / job.row.image, "JPEG", quality=quality)
    if job.row.sound:
        samples = synthesise(job.label, np.random.default_rng((*job.seed, 1)))
        with wave.open(str(job.folder / job.row.sound), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(SAMPLE_RATE)
            stream.writeframes(samples.astype("<i2").tobytes())
