"""A video becomes pieces: pictures from their middles, and the sound track they share."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.training.data.prepare.own_files import RATE, drafts, make_video, rows_of
from training.data.prepare.cut import spread, write_flac
from training.data.prepare.folder import prepare_folder
from training.model.media.sound import read_sound, sound_type


def test_a_video_becomes_pieces(tmp_path: Path) -> None:
    make_video(tmp_path / "in" / "red" / "a b.mp4", 5.5, size=640)
    made = prepare_folder(tmp_path / "in", tmp_path / "out")
    rows = list(rows_of(made).values())
    assert [(row.start, row.duration) for row in rows] == [(0, 2), (2, 2), (4, pytest.approx(1.5, abs=0.05))]
    assert {(row.label, row.clip) for row in rows} == {("red", "red/a b.mp4")}
    assert len({row.split for row in rows}) == 1
    assert (made.pairs, made.classes, made.unreadable) == (3, 1, 0)
    assert len({row.sound for row in rows}) == 1
    track = tmp_path / "out" / rows[0].sound
    assert sound_type(track) == "audio/flac"
    assert np.array_equal(read_sound(track, RATE), read_sound(tmp_path / "in" / "red" / "a b.mp4", RATE))
    for row, middle in zip(rows, (1.0, 3.0, 4.75), strict=True):
        with Image.open(tmp_path / "out" / row.image) as frame:
            assert frame.format == "JPEG"
            assert frame.size == (512, 512)
            assert np.asarray(frame)[..., 1].mean() == pytest.approx(15 + middle * 10, abs=3)
    assert drafts(tmp_path / "out") == []


def test_lengths_and_counts_of_pieces(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    make_video(folder / "long.mp4", 12.4)
    make_video(folder / "short.mp4", 0.5)
    make_video(folder / "mute.mp4", 4, sound=0)
    make_video(folder / "half.mp4", 6, sound=3.5)
    made = prepare_folder(folder, tmp_path / "out", per_video=3)
    rows = rows_of(made).values()
    pieces = {name: [row for row in rows if row.clip == f"{name}.mp4"] for name in ("long", "short", "mute", "half")}
    assert [row.start for row in pieces["long"]] == [2, 6, 10]
    (short,) = pieces["short"]
    assert short.sound
    assert short.duration == pytest.approx(0.5, abs=0.05)
    assert [(row.sound, row.duration, row.split) for row in pieces["mute"]] == [("", None, "unpaired")] * 2
    assert [(row.start, bool(row.sound)) for row in pieces["half"]] == [(0, True), (2, True), (0, False)]
    assert len({row.split for row in pieces["half"]}) == 1
    assert len(rows_of(prepare_folder(folder, tmp_path / "out", every=1.0)).values()) == 12 + 1 + 4 + 6


@pytest.mark.parametrize(
    ("seconds", "every", "most", "expected"),
    [
        (4.0, 2.0, 30, [(0, 2), (2, 2)]),
        (3.98, 2.0, 30, [(0, 2), (2, 1.98)]),
        (4.99, 2.0, 30, [(0, 2), (2, 2)]),
        (5.0, 2.0, 30, [(0, 2), (2, 2), (4, 1)]),
        (0.3, 2.0, 30, [(0, 0.3)]),
        (2.7, 0.5, 30, [(n / 2, 0.5) for n in range(5)]),
        (100.0, 2.0, 5, [(10, 2), (30, 2), (50, 2), (70, 2), (90, 2)]),
        (1e7, 2.0, 1, [(5e6, 2)]),
    ],
)
def test_pieces_of_a_length(seconds: float, every: float, most: int, expected: list[tuple[float, float]]) -> None:
    assert spread(seconds, every, most) == expected


def test_a_long_sound_track_is_never_held_whole(tmp_path: Path) -> None:
    import tracemalloc

    second = np.zeros(RATE, np.int16)
    tracemalloc.start()
    assert write_flac((second for _ in range(4000)), RATE, tmp_path / "x.flac") == 4000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    with av.open(io.BytesIO((tmp_path / "x.flac").read_bytes()), "r") as container:
        assert container.duration == 4000 * av.time_base
