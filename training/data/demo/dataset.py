"""The demo data set: drawn JPEG pictures and synthesised WAV sounds of ten classes, and their rows file."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
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
from training.model.draft import clear_drafts, make_draft
from training.progress import track

ROWS, MARKER = "rows.csv", "demo.json"
KINDS = ("images", "sounds")
NAME = re.compile(r"[a-z_]+-\d{4,}\.(jpg|wav)")  # of the files that are made here


class DemoDataError(ValueError):
    """A folder that holds somebody else's files; `str()` is one sentence with the remedy."""


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

    The rows file is written last: where it is, the set is complete. `demo.json` marks the folder as made here: without
    it, `images`, `sounds` and `rows.csv` are somebody's own and are not replaced. What else lies in the folder stays.
    Other `parts` make a smaller or larger set.

    Raises:
        DemoDataError: the folder holds images, sounds or rows that were not made here.
        OSError: the folder can't be written.
    """
    _refuse_what_is_not_ours(out)
    clear_drafts(out / "demo")
    with make_draft(out / "demo") as draft:
        for kind in KINDS:
            (draft / kind).mkdir()
        jobs = list(_jobs(draft, seed, parts))
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            for _ in track(pool.map(_make, jobs, chunksize=16), "drawing and sounding", len(jobs), "row"):
                pass
        write_rows(draft / ROWS, (job.row for job in jobs))
        made = {kind: sum(1 for _ in (draft / kind).iterdir()) for kind in KINDS}
        text = json.dumps({"made_by": "bma data demo", "seed": seed, **made}, indent=2) + "\n"
        (draft / MARKER).write_text(text, encoding="utf-8")
        _refuse_what_is_not_ours(out)  # what came while we drew
        (out / ROWS).unlink(missing_ok=True)
        (draft / MARKER).replace(out / MARKER)  # before what it marks, so that a kill in between blocks nothing
        for kind in KINDS:
            if (out / kind).exists():
                (out / kind).rename(draft / f"old-{kind}")
            (draft / kind).rename(out / kind)
        (draft / ROWS).replace(out / ROWS)
    return out / ROWS


def _refuse_what_is_not_ours(out: Path) -> None:
    there = [out / name for name in (*KINDS, ROWS) if os.path.lexists(out / name)]
    strangers = there if not (out / MARKER).is_file() else [path for path in there if not _is_ours(path)]
    if strangers:
        raise DemoDataError(
            f"{strangers[0]} holds what 'bma data demo' did not make and would replace; name another folder"
        )


def _is_ours(path: Path) -> bool:
    """Whether what lies in a marked folder is as we leave it, with nothing put in since."""
    if path.is_symlink():
        return False
    if path.name == ROWS:
        return path.is_file()
    return path.is_dir() and all(NAME.fullmatch(file.name) for file in path.iterdir())


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
