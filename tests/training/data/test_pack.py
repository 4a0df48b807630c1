"""Packing: the bytes are what decoding gives, broken files are left out and listed."""

import csv
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import training.data.pack
from tests.training.data.packing import reopen
from training.data.journal import Entry, Journal
from training.data.pack import pack
from training.data.packed import PackedData, PackError
from training.data.parallel import cores
from training.data.rows import Row, RowsError, write_rows
from training.model.media.image import read_image
from training.model.media.sound import read_segments, read_sound

Tone = Callable[..., npt.NDArray[np.int16]]
Write = Callable[..., None]


def test_packed_bytes_are_what_decoding_gives(tiny_rows: Path, tiny_data: PackedData) -> None:
    for row, (image, sound) in zip(tiny_data.rows, tiny_data.index, strict=True):
        assert (image >= 0) == bool(row.image)
        assert (sound >= 0) == bool(row.sound)
        if row.image:
            assert np.array_equal(tiny_data.images[image], read_image(tiny_rows.parent / row.image, 32))
        if row.sound:
            assert np.array_equal(tiny_data.wave(sound), read_sound(tiny_rows.parent / row.sound, 8000))


def test_a_wav_at_the_packed_rate_keeps_its_samples(tmp_path: Path, tone: Tone, write_sound: Write) -> None:
    samples = tone(440.0, 0.7, 0)
    write_sound(tmp_path / "a.wav", samples)
    write_rows(tmp_path / "rows.csv", [Row("test", sound="a.wav")])
    assert np.array_equal(reopen(tmp_path).wave(0), samples)


def test_start_and_duration_cut_the_sound(tmp_path: Path, tone: Tone, write_sound: Write) -> None:
    samples = tone(440.0, 1.0, 0)
    write_sound(tmp_path / "a.wav", samples)
    cuts = [(0.0, None), (0.25, None), (0.25, 0.5), (0.0, 0.1)]
    write_rows(tmp_path / "rows.csv", [Row("test", sound="a.wav", start=a, duration=b) for a, b in cuts])
    data = reopen(tmp_path)
    assert data.index[:, 1].tolist() == [0, 1, 2, 3]
    for number, (start, duration) in enumerate(cuts):
        first = round(start * 8000)
        last = None if duration is None else first + round(duration * 8000)
        assert np.array_equal(data.wave(number), samples[first:last])


def test_a_file_in_several_rows_is_packed_once(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "a.jpg", (10, 20, 30), 0)
    write_rows(tmp_path / "rows.csv", [Row("train", image="a.jpg"), Row("test", image="a.jpg")])
    data = reopen(tmp_path)
    assert len(data.images) == 1
    assert data.index.tolist() == [[0, -1], [0, -1]]


def test_files_that_can_not_be_read_are_left_out_and_listed(rows_file: Path) -> None:
    folder = rows_file.parent
    (folder / "images/train-00.jpg").write_bytes(b"not a picture")
    (folder / "images/train-01.jpg").unlink()
    (folder / "sounds/train-02.wav").write_bytes(b"")
    whole = (folder / "images/train-04.jpg").read_bytes()
    (folder / "images/train-04.jpg").write_bytes(whole[: len(whole) // 2])
    data = reopen(rows_file)
    assert data.unreadable == 4
    with (data.folder / "unreadable.csv").open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert {line["file"] for line in table} == {
        "images/train-00.jpg",
        "images/train-01.jpg",
        "sounds/train-02.wav",
        "images/train-04.jpg",
    }
    assert all(line["reason"] for line in table)
    assert data.index[[0, 1, 2, 4]].min(axis=1).tolist() == [-1, -1, -1, -1]
    assert data.index[3].min() >= 0
    assert np.array_equal(data.images[data.index[5, 0]], read_image(folder / "images/train-05.jpg", 32))


def test_a_set_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", [Row("test", image="none.jpg")])
    with pytest.raises(PackError, match=r"not one of its files could be read \(the first: none.jpg can't be read"):
        reopen(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["rows.csv"]  # no half-made folder stays


def test_a_pack_without_sounds_or_without_images_opens(tmp_path: Path, write_image: Write) -> None:
    write_image(tmp_path / "a.jpg", (10, 20, 30), 0)
    write_rows(tmp_path / "rows.csv", [Row("test", image="a.jpg")])
    data = reopen(tmp_path)
    assert data.images.shape == (1, 3, 32, 32)
    assert data.waves.shape == (0,)


def test_a_rows_file_its_folder_and_the_pack_name_the_same_data(rows_file: Path) -> None:
    packed = reopen(rows_file)
    assert packed.folder == rows_file.parent / "packed"
    for data in (rows_file, rows_file.parent, packed.folder):
        assert reopen(data).fingerprint == packed.fingerprint


def test_a_damaged_pack_is_refused(rows_file: Path) -> None:
    folder = reopen(rows_file).folder
    with (folder / "images-32.u8").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(PackError, match=r"is damaged .*; delete the folder and pack it again"):
        reopen(rows_file)


def test_a_folder_that_holds_something_else_is_not_overwritten(rows_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "letters"
    out.mkdir()
    (out / "dear.txt").write_text("keep me")
    with pytest.raises(PackError, match="letters exists and is not a packed data set; name another folder"):
        pack(rows_file, out, 32, 8000)
    assert (out / "dear.txt").read_text() == "keep me"


def test_an_empty_folder_may_be_packed_into(rows_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert pack(rows_file, tmp_path / "out", 32, 8000).folder == tmp_path / "out"


def test_what_is_no_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(RowsError, match=r"holds neither pack.json nor rows.csv; name a packed set, a rows file"):
        reopen(tmp_path)
    with pytest.raises(RowsError, match="does not exist"):
        reopen(tmp_path / "nowhere")


def test_a_sound_is_decoded_once_for_all_that_is_cut_from_it(
    tmp_path: Path, tone: Tone, write_sound: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = {name: tone(440.0, 1.0, number) for number, name in enumerate(("a.wav", "b.wav"))}
    for name, wave in samples.items():
        write_sound(tmp_path / name, wave)
    cuts = [("a.wav", 0.5, 0.25), ("b.wav", 0.0, 0.5), ("a.wav", 0.0, 0.25), ("a.wav", 7.0, 1.0), ("a.wav", 0.5, 0.25)]
    write_rows(tmp_path / "rows.csv", [Row("test", sound=name, start=a, duration=b) for name, a, b in cuts])
    read: list[str] = []

    def count(file: Path, *arguments: Any, **options: Any) -> Any:
        read.append(file.name)
        return read_segments(file, *arguments, **options)

    monkeypatch.setattr(training.data.pack, "read_segments", count)
    data = reopen(tmp_path)
    assert sorted(read) == ["a.wav", "b.wav"]
    assert data.index[:, 1].tolist() == [0, 2, 1, -1, 0]  # a sound's stretches lie together
    assert (data.folder / "unreadable.csv").read_text() == (
        'file,reason\na.wav,"ends at 1.00 s, before the 7 s asked for; choose an earlier start"\n'
    )
    for (name, start, duration), number in zip(cuts, data.index[:, 1], strict=True):
        first = round(8000 * start)
        if number >= 0:
            assert np.array_equal(data.wave(number), samples[name][first : first + round(8000 * duration)])


def test_at_most_an_hour_of_a_sound_is_held_at_once() -> None:
    rows = [Row("test", sound="long.wav", start=60.0 * minute, duration=60.0) for minute in range(150)]
    rows += [Row("test", sound="long.wav"), Row("test", sound="short.wav", duration=9999.0)]
    items = training.data.pack._sound_items(rows)
    assert [(item.path, len(item.spans)) for item in items] == [
        ("long.wav", 60),
        ("long.wav", 60),
        ("long.wav", 30),
        ("long.wav", 1),
        ("short.wav", 1),
    ]


def test_few_files_wait_to_be_written(rows_file: Path, write_image: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far the decoders could run ahead of a slow disk."""
    rows = [Row("test", image=f"many/{number}.jpg") for number in range(200)]
    write_image(rows_file.parent / "many/0.jpg", (1, 2, 3), 0)
    for row in rows[1:]:
        os.link(rows_file.parent / "many/0.jpg", rows_file.parent / row.image)
    write_rows(rows_file, rows)
    lock = threading.Lock()
    held = most = 0

    class Picture(np.ndarray[Any, Any]):
        def __del__(self) -> None:
            nonlocal held
            with lock:
                held -= 1

    def read(*arguments: Any, **options: Any) -> Any:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return read_image(*arguments, **options).view(Picture)

    def wait(journal: Journal, entry: Entry) -> None:
        deadline = time.monotonic() + 30
        while not journal.entries and held < 4 * cores() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0 if journal.entries else 0.1)  # time for more, if more were let
        add(journal, entry)

    add = Journal.add
    monkeypatch.setattr(Journal, "add", wait)
    monkeypatch.setattr(training.data.pack, "read_image", read)
    assert len(reopen(rows_file).images) == 200
    assert held == 0
    assert 4 * cores() <= most <= 4 * cores() + 1  # and the one that was written last


def test_a_link_is_followed_to_where_the_pack_lies(rows_file: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (rows_file.parent / "packed").symlink_to(tmp_path / "disk")
    assert len(reopen(rows_file).images) == 26
    assert (tmp_path / "disk" / "pack.json").is_file()
    assert (rows_file.parent / "packed").is_symlink()
    assert len(PackedData.open(tmp_path / "disk", 32, 8000).images) == 26
