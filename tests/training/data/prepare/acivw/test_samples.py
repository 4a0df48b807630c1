"""ACIVW, written in its true formats, becomes pairs of a picture and two seconds of sound."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.data.prepare.acivw.made import RATE, rows_of
from training.data.pack import pack
from training.data.prepare import acivw
from training.data.prepare.acivw import PEAK, prepare_acivw, read_acoustic_image
from training.data.prepare.output import PrepareError
from training.model.media.sound import read_sound


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
