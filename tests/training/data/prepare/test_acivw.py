"""ACIVW, written in its true formats, becomes pairs of a picture and two seconds of sound."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data.pack import pack
from training.data.prepare import acivw
from training.data.prepare.acivw import PEAK, prepare_acivw, read_acoustic_image, to_int16
from training.data.prepare.acivw_lists import pair_up, read_lists
from training.data.prepare.acivw_record import RecordSecond
from training.data.prepare.output import PrepareError
from training.data.rows import Row, read_rows
from training.model.media import source
from training.model.media.sound import read_sound
from training.model.media.source import DamagedMedia

RATE = 12_288
Make = Callable[..., Any]


@pytest.fixture
def make(release: ModuleType, tmp_path: Path) -> Make:
    """`make(label, location, numbers)` writes the seconds of a video below `src`, and gives them by number."""

    def write(label: int, location: int, numbers: range | list[int], raw: bool = False, full: bool = False) -> Any:
        seconds = {number: release.Second(label, location, number, full) for number in numbers}
        for second in seconds.values():
            second.write_raw(tmp_path / "src") if raw else second.write(tmp_path / "src")
        return seconds

    return write


@pytest.fixture
def small(release: ModuleType, tmp_path: Path, make: Make) -> dict[str, Any]:
    """A release of three videos, one in each list; its folder is `src`."""
    videos = {"train": make(3, 12, range(1, 5)), "val": make(0, 1, [1, 2]), "test": make(9, 60, [1, 2])}
    write_lists(release, tmp_path / "src" / "lists", videos)
    return videos


def write_lists(release: ModuleType, folder: Path, videos: dict[str, Any]) -> None:
    records = [[second.record for second in videos.get(split, {}).values()] for split in ("train", "val", "test")]
    release.write_lists(folder, *records)


def rows_of(out: Path) -> dict[str, Row]:
    rows = {row.id: row for row in read_rows(out / "rows.csv")}
    for row in rows.values():
        assert (out / row.image).is_file()
        assert (out / row.sound).is_file()
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", row.id)
    return rows


def listed(file: Path) -> dict[str, str]:
    with file.open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row[next(name for name in row if name != "file")] for row in csv.DictReader(stream)}


def remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def wave_of(first: Any, later: Any) -> np.ndarray:
    """The sample's sound as a slow sum says it should be: counts less their mean, the loudest at half of full scale."""
    counts = [int(count) for second in (first, later) for block in second.sound for count in block]
    mean = sum(counts) / len(counts)
    peak = max(abs(count - mean) for count in counts)
    return np.array([round((count - mean) * 16_384 / peak) for count in counts])


def test_two_seconds_are_a_sample(tmp_path: Path, small: dict[str, Any]) -> None:
    out = tmp_path / "out"
    made = prepare_acivw(tmp_path / "src", out)
    assert (made.splits, made.pairs, made.train_pairs) == ({"train": 2, "val": 1, "test": 1}, 4, 2)
    assert (made.classes, made.unreadable, made.missing, made.single, made.unlisted) == (3, 0, 0, 0, 0)
    rows = rows_of(out)
    assert {id: (row.split, row.label, row.clip) for id, row in rows.items()} == {
        "class_3:data_012:001": ("train", "fountain", "class_3/data_012"),
        "class_3:data_012:003": ("train", "fountain", "class_3/data_012"),
        "class_0:data_001:001": ("val", "train", "class_0/data_001"),
        "class_9:data_060:001": ("test", "traffic", "class_9/data_060"),
    }
    row = rows["class_3:data_012:003"]
    assert (row.image, row.sound) == ("images/class_3/data_012/003.png", "sounds/class_3/data_012/003.flac")
    with Image.open(out / row.image) as picture:  # the first of the later second, its channels turned round
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), small["train"][4].bgr[0][..., [2, 1, 0]])
    wave = read_sound(out / row.sound, RATE)
    assert np.array_equal(wave, wave_of(small["train"][3], small["train"][4]))
    assert np.abs(wave).max() == PEAK
    assert [path for path in out.rglob(".*")] == []


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


def test_the_acoustic_image_of_a_picture(tmp_path: Path, small: dict[str, Any]) -> None:
    out = tmp_path / "out"
    prepare_acivw(tmp_path / "src", out, acoustic=True)
    for row in rows_of(out).values():
        second = small[row.split][int(row.id[-3:]) + 1]
        assert np.array_equal(read_acoustic_image(out, row), second.acoustic[0][::-1, ::-1])
    row = rows_of(out)["class_0:data_001:001"]
    (out / "acoustic" / "class_0" / "data_001" / "001.npy").write_bytes(b"broken")
    with pytest.raises(PrepareError, match="prepare the data set with --acoustic"):
        read_acoustic_image(out, row)
    prepare_acivw(tmp_path / "src", out)
    assert list((out / "acoustic").rglob("*.npy")) == []  # what is not asked for does not go stale
    with pytest.raises(PrepareError, match="prepare the data set with --acoustic"):
        read_acoustic_image(out, row)


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


def test_gaps_odd_ends_and_what_no_list_names(
    tmp_path: Path, release: ModuleType, small: dict[str, Any], make: Make
) -> None:
    src = tmp_path / "src"
    small["train"] |= {100 + n: second for n, second in make(7, 5, [1, 2, 3, 5, 6, 8, 9, 10, 11]).items()}
    write_lists(release, src / "lists", small)
    make(6, 1, [1, 2])  # in no list
    (src / "class_6" / "data_001" / "Data_0099.tfrecord").touch()  # no name of a record
    make(3, 12, [5, 6, 7])  # beyond what the list names
    (src / "class_7" / "data_005" / "Data_006.tfrecord").unlink()
    shutil.rmtree(src / "class_9")
    made = prepare_acivw(src, tmp_path / "out")
    samples = {id for id in rows_of(tmp_path / "out") if id.startswith("class_7")}
    assert samples == {f"class_7:data_005:{second:03d}" for second in (1, 8, 10)}
    assert (made.single, made.unlisted, made.missing, made.unreadable) == (1, 5, 3, 0)
    missing = listed(tmp_path / "out" / "missing.csv")
    assert missing == {
        "class_7/data_005/Data_006.tfrecord": "training.txt line 9",
        "class_9/data_060/Data_001.tfrecord": "testing.txt line 1",
        "class_9/data_060/Data_002.tfrecord": "testing.txt line 2",
    }


@pytest.mark.parametrize(
    ("seconds", "firsts"),
    [
        ([], []),
        ([4], []),
        ([1, 2, 3, 4], [1, 3]),
        ([1, 2, 3], [1]),
        ([3, 1, 2, 5, 6, 9], [1, 5]),
        ([2, 3, 5, 7, 8, 9, 10], [2, 7, 9]),
    ],
)
def test_pairs_do_not_overlap(seconds: list[int], firsts: list[int]) -> None:
    assert pair_up(seconds) == firsts


def test_lists_with_other_prefixes_and_line_ends(tmp_path: Path, release: ModuleType) -> None:
    release.write_lists(tmp_path, ["class_0/data_001/Data_001.tfrecord"], [], [])
    (tmp_path / "Test_List.txt").write_bytes(
        b"\xef\xbb\xbfD:\\acivw\\class_1\\data_002\\Data_0012.tfrecord \r\n\r\nclass_1/data_002/Data_3.tfrecord\r\n"
    )
    (tmp_path / "testing.txt").unlink()
    (tmp_path / "readme.txt").write_text("not a list")
    assert [(line.split, line.video, line.second, line.where) for line in read_lists(tmp_path)] == [
        ("test", "class_1/data_002", 3, "Test_List.txt line 3"),
        ("test", "class_1/data_002", 12, "Test_List.txt line 1"),
        ("train", "class_0/data_001", 1, "training.txt line 1"),
    ]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda src: remove(src), "is not a folder"),
        (lambda src: remove(src / "lists"), "lists holds no list for train; put the release's"),
        (lambda src: (src / "lists" / "testing.txt").unlink(), "holds no list for test"),
        (lambda src: (src / "lists" / "val.txt").write_text(""), "holds val.txt and validation.txt for val"),
        (
            lambda src: shutil.copy(src / "lists" / "training.txt", src / "lists" / "testing.txt"),
            "testing.txt line 1 lists what training.txt line 1 lists",
        ),
        (lambda src: (src / "lists" / "testing.txt").write_text("class_1/data_1"), "testing.txt line 1 does not end"),
        (
            lambda src: (src / "lists" / "testing.txt").write_text("class_10/data_001/Data_001.tfrecord"),
            "testing.txt line 1 does not end in class_X/data_YYY/Data_ZZZ.tfrecord",
        ),
        (lambda src: (src / "lists" / "testing.txt").write_bytes(b"\xff"), "can't be read as text"),
        (
            lambda src: remove(*src.glob("class_*")),
            "holds nothing that the lists name, such as class_9/data_060/Data_001.tfrecord; name the folder with",
        ),
        (
            lambda src: [file.write_text("") for file in (src / "lists").iterdir()],
            "the lists name nothing",
        ),
    ],
)
def test_what_is_missing_is_one_sentence(
    tmp_path: Path, small: dict[str, Any], spoil: Callable[[Path], Any], says: str
) -> None:
    spoil(tmp_path / "src")
    with pytest.raises(PrepareError, match=re.escape(says)) as caught:
        prepare_acivw(tmp_path / "src", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gain", [0.0, -1.0, float("nan"), float("inf")])
def test_a_gain_that_is_none(tmp_path: Path, small: dict[str, Any], gain: float) -> None:
    with pytest.raises(PrepareError, match="--gain takes a number above 0"):
        prepare_acivw(tmp_path / "src", tmp_path / "out", gain=gain)


def test_a_gain_keeps_loudness_and_never_clips(tmp_path: Path, release: ModuleType, small: dict[str, Any]) -> None:
    quiet, loud = small["val"], small["test"]
    for second in quiet.values():
        second.sound //= 100
        second.write(tmp_path / "src")
    loud[1].sound[0, 0] = 2**31 - 1
    loud[1].write(tmp_path / "src")
    made = prepare_acivw(tmp_path / "src", tmp_path / "out", gain=0.25)
    assert made.splits == {"train": 2, "val": 1}
    reason = listed(tmp_path / "out" / "unreadable.csv")["class_9/data_060/001"]
    most = float(re.fullmatch(r"would clip at --gain 0.25; use at most (.*)", reason)[1])  # type: ignore[index]
    sounds = {id: read_sound(tmp_path / "out" / row.sound, RATE) for id, row in rows_of(tmp_path / "out").items()}
    counts = np.concatenate([second.sound for second in quiet.values()]).reshape(-1)
    assert np.abs(sounds["class_0:data_001:001"] - (counts - counts.mean()) * 0.25).max() <= 0.5
    assert np.abs(sounds["class_3:data_012:001"]).max() > 50 * np.abs(sounds["class_0:data_001:001"]).max()
    assert prepare_acivw(tmp_path / "src", tmp_path / "out", gain=most).unreadable == 0


def test_scaling_at_the_ends_of_int32() -> None:
    lowest, highest = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    assert to_int16(np.array([lowest, highest], np.int32), None, "x").tolist() == [-PEAK, PEAK]
    assert to_int16(np.array([5, 5, 5], np.int32), None, "x").tolist() == [0, 0, 0]  # silence stays silent
    assert to_int16(np.array([lowest + 1, lowest - 1 + 2], np.int32), None, "x").tolist() == [0, 0]
    assert to_int16(np.array([100_001, 99_999] * 4, np.int32), None, "x").tolist() == [PEAK, -PEAK] * 4  # an offset
    assert to_int16(np.array([-3, 3], np.int32), 10_000, "x").tolist() == [-30_000, 30_000]
    with pytest.raises(DamagedMedia, match=r"^x would clip at --gain 11000; use at most 1.09e\+04"):
        to_int16(np.array([-3, 3], np.int32), 11_000, "x")


def test_resampling_does_not_clip(tmp_path: Path, release: ModuleType, small: dict[str, Any]) -> None:
    square = np.where(np.arange(2 * RATE) % 23 < 11, 80_000, -80_000).astype(np.int32)  # a microphone at its limits
    for second, sound in zip(small["val"].values(), square.reshape(2, 12, 1024), strict=True):
        second.sound = sound
        second.write(tmp_path / "src")
    prepare_acivw(tmp_path / "src", tmp_path / "out")
    for row in rows_of(tmp_path / "out").values():  # the others are white noise
        wave = read_sound(tmp_path / "out" / row.sound, 22_050)
        assert len(wave) == pytest.approx(44_100, abs=50)
        assert PEAK < np.abs(wave.astype(int)).max() < 30_000  # it overshoots


def test_what_is_there_is_not_made_again(
    tmp_path: Path, release: ModuleType, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    src, out, made = tmp_path / "src", tmp_path / "out", []
    real = acivw._Making._write

    def counted(self: Any, sample: Any, *seconds: Any) -> None:
        made.append(sample.id)
        real(self, sample, *seconds)

    monkeypatch.setattr(acivw._Making, "_write", counted)

    def run(**options: Any) -> list[str]:
        made.clear()
        prepare_acivw(src, out, **options)
        rows_of(out)
        return sorted(made)

    everything = run()
    assert len(everything) == 4
    before = (out / "rows.csv").read_bytes()
    assert run() == []
    assert (out / "rows.csv").read_bytes() == before
    (out / "images" / "class_3" / "data_012" / "001.png").unlink()
    assert run() == ["class_3:data_012:001"]
    (out / "sounds" / "class_0" / "data_001" / "001.flac").unlink()
    assert run() == ["class_0:data_001:001"]
    for number in (3, 4):
        small["train"][number].bgr += 1
        small["train"][number].write(src)
        assert run() == ["class_3:data_012:003"]
    os.utime(src / small["test"][1].record, (1, 1))
    assert run() == ["class_9:data_060:001"]
    assert run(acoustic=True) == everything
    assert run(acoustic=True) == []
    assert run(acoustic=True, gain=0.1) == everything
    (out / "notes.jsonl").write_text("no notes")
    assert run(acoustic=True, gain=0.1) == everything


def test_a_run_that_was_killed_goes_on(tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    src, out = tmp_path / "src", tmp_path / "out"
    real = acivw.write_flac
    calls = []

    def killed(*arguments: Any) -> float:
        calls.append(arguments)
        if len(calls) > 2:
            arguments[-1].write_bytes(b"half a file")
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(acivw, "write_flac", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_acivw(src, out)
    assert not (out / "rows.csv").exists()
    monkeypatch.setattr(acivw, "write_flac", real)
    prepare_acivw(src, out)
    prepare_acivw(src, tmp_path / "anew")
    for file in (tmp_path / "anew").rglob("*"):
        if file.is_file() and file.name != "notes.jsonl":
            assert file.read_bytes() == (out / file.relative_to(tmp_path / "anew")).read_bytes()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, small: dict[str, Any]) -> None:
    (tmp_path / "out" / "images").mkdir(parents=True)
    with pytest.raises(PrepareError, match="already holds images of another data set"):
        prepare_acivw(tmp_path / "src", tmp_path / "out")


def test_the_command_and_the_pack(tmp_path: Path, small: dict[str, Any], bma: Any) -> None:
    shutil.move(tmp_path / "src" / "lists", tmp_path / "lists")
    (tmp_path / "src" / small["val"][1].record).write_bytes(b"x")
    out = tmp_path / "out"
    done = bma("data", "prepare", "acivw", tmp_path / "src", out)
    assert done.returncode != 0
    assert "name their folder with --lists" in done.stderr
    done = bma("data", "prepare", "acivw", tmp_path / "src", out, "--lists", tmp_path / "lists", "--acoustic")
    assert done.returncode == 0, done.stderr
    assert "3 rows (2 train, 1 test)" in done.stdout
    assert "left out, as they can't be read: 1" in done.stdout
    data = pack(out / "rows.csv", tmp_path / "packed", 32, 22_050)
    assert (len(data.images), len(data.offsets) - 1, data.unreadable) == (3, 3, 0)
    assert np.diff(data.offsets).tolist() == pytest.approx([44_100] * 3, abs=50)
