"""A second of ACIVW, converted or as it was recorded, is read whole or left out and listed."""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.data.prepare.acivw.made import Make, listed, rows_of, write_lists
from training.data.prepare.acivw import prepare_acivw, read_acoustic_image
from training.data.prepare.acivw_record import RecordSecond
from training.data.prepare.output import PrepareError
from training.model.media import source


def test_a_second_in_its_full_size(tmp_path: Path, release: ModuleType) -> None:
    second = release.Second(8, 3, 17, full=True)
    file = second.write(tmp_path)
    assert len(gzip.decompress(file.read_bytes())) > 12 * (36 * 48 * 12 * 4 + 1024 * 4 + 224 * 298 * 3)
    read = RecordSecond(tmp_path, "class_8/data_003", 17)
    assert np.array_equal(read.sound(), second.sound.reshape(-1))
    for frame in (0, 11):
        assert np.array_equal(np.asarray(read.picture(frame)), second.bgr[frame][:, :, ::-1])
        image = read.acoustic_image(frame)
        assert image.dtype == np.float32
        assert image.shape == (36, 48, 12)
        for y, x in ((0, 0), (0, 47), (35, 0), (10, 20)):
            assert np.array_equal(image[y, x], second.acoustic[frame][35 - y, 47 - x])


def test_the_layout_as_it_was_recorded_gives_the_same(
    tmp_path: Path, release: ModuleType, small: dict[str, Any], make: Make
) -> None:
    prepare_acivw(tmp_path / "src", tmp_path / "records", acoustic=True)
    shutil.move(tmp_path / "src", tmp_path / "converted")
    make(3, 12, range(1, 5), raw=True)
    make(0, 1, [1, 2], raw=True)
    make(9, 60, [1, 2], raw=True)
    (tmp_path / "src" / "class_0" / "data_001" / "video_time.txt").write_text("video seconds: 2")
    made = prepare_acivw(tmp_path / "src", tmp_path / "raw", tmp_path / "converted" / "lists", acoustic=True)
    assert (made.pairs, made.unreadable, made.missing) == (4, 0, 0)
    records, raw = rows_of(tmp_path / "records"), rows_of(tmp_path / "raw")
    assert records.keys() == raw.keys()
    for id, row in records.items():
        other = raw[id]
        assert (row.split, row.label, row.clip, row.sound) == (other.split, other.label, other.clip, other.sound)
        assert (tmp_path / "records" / row.sound).read_bytes() == (tmp_path / "raw" / row.sound).read_bytes()
        assert np.array_equal(
            read_acoustic_image(tmp_path / "records", row), read_acoustic_image(tmp_path / "raw", other)
        )
        with Image.open(tmp_path / "records" / row.image) as ours, Image.open(tmp_path / "raw" / other.image) as own:
            assert np.array_equal(np.asarray(ours), np.asarray(own))
    assert raw["class_3:data_012:003"].image == "../src/class_3/data_012/video/I_000037.bmp"  # not copied
    assert not (tmp_path / "raw" / "images").exists()


def test_broken_recordings_are_left_out(tmp_path: Path, release: ModuleType, make: Make) -> None:
    src = tmp_path / "src"
    video = make(5, 2, range(1, 13), raw=True)
    write_lists(release, src / "lists", {"train": video})
    folder = src / "class_5" / "data_002"
    (folder / "audio" / "A_000001.dc").write_bytes(bytes(100))
    (folder / "audio" / "A_000030.dc").unlink()
    (folder / "video" / "I_000061.bmp").write_bytes(b"BM no picture")
    (folder / "video" / "I_000085.bmp").unlink()
    (folder / "MFCC_Image" / "Data_109.mat").unlink()
    for file in (folder / "audio").glob("A_00013[3-9].dc"):  # second 12 ends early
        file.unlink()
    made = prepare_acivw(src, tmp_path / "out")
    assert set(rows_of(tmp_path / "out")) == {"class_5:data_002:009"}
    reasons = listed(tmp_path / "out" / "unreadable.csv")
    assert made.unreadable == len(reasons) == 5
    assert "524,288 bytes" in reasons["class_5/data_002/audio/A_000001.dc"]
    assert "No such file" in reasons["class_5/data_002/audio/A_000030.dc"]
    assert "is not an image" in reasons["class_5/data_002/video/I_000061.bmp"]
    assert "No such file" in reasons["class_5/data_002/video/I_000085.bmp"]
    assert "class_5/data_002/audio/A_000133.dc" in reasons
    with pytest.raises(PrepareError, match="not one file could be read"):
        prepare_acivw(src, tmp_path / "out", acoustic=True)


def test_a_block_that_the_disk_can_not_give_is_left_out(
    tmp_path: Path, release: ModuleType, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    src, real = tmp_path / "src", source.open_source
    write_lists(release, src / "lists", {"train": make(5, 2, range(1, 7), raw=True)})

    class Failing(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def opened(file: Path, name: str) -> Any:
        return Failing() if file.name in ("A_000001.dc", "Data_37.mat") else real(file, name)

    monkeypatch.setattr(source, "open_source", opened)
    prepare_acivw(src, tmp_path / "out", acoustic=True)
    why = "can't be read (Input/output error); check the disk it is on"
    assert listed(tmp_path / "out" / "unreadable.csv") == {
        "class_5/data_002/audio/A_000001.dc": why,
        "class_5/data_002/MFCC_Image/Data_37.mat": why,
    }


BROKEN: dict[str, tuple[Callable[[ModuleType, Any], dict[str, Any]], str]] = {
    "no sound": (lambda r, s: {"without": "audio/data"}, "holds 0 entries of 'audio/data' instead of 12"),
    "no pictures": (lambda r, s: {"without": "video/image"}, "holds 0 entries of 'video/image' instead of 12"),
    "no class": (lambda r, s: {"without": "classes"}, "does not say 'classes'"),
    "no height": (lambda r, s: {"without": "video/height"}, "does not say 'video/height'"),
    "another class": (lambda r, s: {"context": {"classes": r.int64_feature(4)}}, "of class 4"),
    "a class as a number with a point": (lambda r, s: {"context": {"classes": r.float_feature(2)}}, "'classes'"),
    "a wrong width": (lambda r, s: {"context": {"video/width": r.int64_feature(7)}}, "another size than 6 x 7 x 3"),
    "a negative width": (lambda r, s: {"context": {"video/width": r.int64_feature(-8)}}, "size than 6 x -8 x 3"),
    "two negative sizes": (
        lambda r, s: {"context": {"video/width": r.int64_feature(-8), "video/height": r.int64_feature(-6)}},
        "another size than -6 x -8 x 3",
    ),
    "no height and no pictures": (
        lambda r, s: {
            "context": {"video/height": r.int64_feature(0)},
            "lists": {"video/image": [r.bytes_feature(b"")] * 12},
        },
        "another size than 0 x 8 x 3",
    ),
    "a huge width": (lambda r, s: {"context": {"video/width": r.int64_feature(2**62)}}, "'video/image' in another"),
    "four colours": (
        lambda r, s: {"context": {"video/width": r.int64_feature(6), "video/depth": r.int64_feature(4)}},
        "has 4 colours instead of 3",
    ),
    "eleven frames": (lambda r, s: {"lists": {"video/image": s.lists()["video/image"][:11]}}, "holds 11 entries"),
    "a short block": (
        lambda r, s: {"lists": {"audio/data": [*s.lists()["audio/data"][:11], r.bytes_feature(bytes(4092))]}},
        "'audio/data' in another size than 1 x 1024",
    ),
    "other blocks": (
        lambda r, s: {
            "context": {"audio_data/samples": r.int64_feature(512), "audio_data/mics": r.int64_feature(2)},
        },
        "has 512 samples in a block instead of 1024",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_records_are_left_out(tmp_path: Path, release: ModuleType, small: dict[str, Any], case: str) -> None:
    changes, says = BROKEN[case]
    second = small["train"][2]
    second.write(tmp_path / "src", **changes(release, second))
    made = prepare_acivw(tmp_path / "src", tmp_path / "out")
    assert set(rows_of(tmp_path / "out")) == {"class_3:data_012:003", "class_0:data_001:001", "class_9:data_060:001"}
    assert made.unreadable == 1
    assert says in listed(tmp_path / "out" / "unreadable.csv")[second.record]
    assert not (tmp_path / "out" / "sounds" / "class_3" / "data_012" / "001.flac").exists()


def test_cut_and_empty_records_are_left_out(tmp_path: Path, small: dict[str, Any]) -> None:
    file = tmp_path / "src" / small["train"][1].record
    file.write_bytes(file.read_bytes()[:5000])
    (tmp_path / "src" / small["val"][2].record).write_bytes(b"")
    made = prepare_acivw(tmp_path / "src", tmp_path / "out")
    reasons = listed(tmp_path / "out" / "unreadable.csv")
    assert "is cut off or damaged" in reasons["class_3/data_012/Data_001.tfrecord"]
    assert "is empty (0 bytes)" in reasons["class_0/data_001/Data_002.tfrecord"]
    assert (made.unreadable, made.splits) == (2, {"train": 1, "test": 1})


def test_only_what_needs_acoustic_images_misses_them(
    tmp_path: Path, release: ModuleType, small: dict[str, Any]
) -> None:
    small["test"][2].write(tmp_path / "src", without="audio/image")
    assert prepare_acivw(tmp_path / "src", tmp_path / "out").unreadable == 0
    assert prepare_acivw(tmp_path / "src", tmp_path / "out", acoustic=True).unreadable == 1
    assert "'audio/image'" in listed(tmp_path / "out" / "unreadable.csv")["class_9/data_060/Data_002.tfrecord"]
