"""Opening a packed data set: what it holds, and that a damaged or unfit one is refused with the remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.data.pack import pack
from training.data.packed import PackedData, PackError, check
from training.data.rows import Row, write_rows


@pytest.fixture
def folder(tiny_data: PackedData, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_data.folder, tmp_path / "set"))


def reopen(folder: Path) -> PackedData:
    return PackedData.open(folder, 32, 8000)


def test_an_opened_set_is_the_packed_one(tiny_data: PackedData) -> None:
    again = reopen(tiny_data.folder)
    assert again.rows == tiny_data.rows
    assert again.fingerprint == tiny_data.fingerprint
    for name in ("index", "images", "waves", "offsets"):
        assert np.array_equal(getattr(again, name), getattr(tiny_data, name))
    assert again.images.dtype == np.uint8
    assert again.waves.dtype == np.int16


def test_arrays_are_mapped_not_loaded_and_can_not_be_written(tiny_data: PackedData) -> None:
    assert isinstance(tiny_data.images, np.memmap)
    assert isinstance(tiny_data.waves, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        tiny_data.images[0] = 0


def test_waves_lie_one_after_the_other(tiny_data: PackedData) -> None:
    waves = [tiny_data.wave(number) for number in range(len(tiny_data.offsets) - 1)]
    assert np.array_equal(np.concatenate(waves), tiny_data.waves)
    assert {len(wave) for wave in waves} == {2400, 6400}


def test_clips_are_the_column_else_the_sound_else_the_row(
    tmp_path: Path, write_image: Callable[..., None], write_sound: Callable[..., None]
) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.jpg", (9, 9, 9), 0)
        write_sound(tmp_path / f"{name}.wav", np.full(100, 5, np.int16))
    rows = [
        Row("train", image="a.jpg", sound="a.wav", clip="one"),
        Row("train", image="b.jpg", sound="b.wav", clip="one"),
        Row("train", image="a.jpg", sound="a.wav"),
        Row("train", image="b.jpg", sound="a.wav"),
        Row("train", image="a.jpg", sound="b.wav"),
        Row("train", image="a.jpg"),
        Row("train", image="a.jpg"),
        Row("train", image="a.jpg", clip="a.wav"),  # a clip's name is not a path
    ]
    write_rows(tmp_path / "rows.csv", rows)
    clips = pack(tmp_path / "rows.csv", tmp_path / "packed", 32, 8000).clips
    assert clips.dtype == np.int64
    assert clips.tolist() == [0, 0, 1, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("image_size", "sample_rate", "sentence"),
    [
        (
            64,
            8000,
            r"is packed for images of 32 pixels, not 64; pack it again: .* --image-size 64",
        ),
        (32, 22050, "is packed at 8000 Hz, not 22050; pack it again"),
    ],
)
def test_another_size_or_rate_is_refused(
    tiny_data: PackedData, image_size: int, sample_rate: int, sentence: str
) -> None:
    with pytest.raises(PackError, match=sentence):
        PackedData.open(tiny_data.folder, image_size, sample_rate)


@pytest.mark.parametrize("name", ["index.npy", "rows.csv", "images-32.u8", "waves-8000.i16", "offsets-8000.npy"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut"])
def test_a_damaged_part_is_refused(folder: Path, name: str, how: str) -> None:
    file = folder / name
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(b"" if how == "empty" else content[: len(content) // 2])
    with pytest.raises(PackError, match=r"set is damaged \(.*\); delete the folder and pack it again"):
        reopen(folder)


def test_parts_of_different_sets_are_refused(folder: Path) -> None:
    index = np.load(folder / "index.npy")
    np.save(folder / "index.npy", index[:-1])
    with pytest.raises(PackError, match="its parts do not belong together"):
        reopen(folder)


@pytest.mark.parametrize("value", [1000, -2])
def test_an_index_that_points_nowhere_is_refused(folder: Path, value: int) -> None:
    index = np.load(folder / "index.npy")
    index[3, 1] = value
    np.save(folder / "index.npy", index)
    with pytest.raises(PackError, match="points outside the arrays"):
        reopen(folder)


def test_pickles_are_not_loaded(folder: Path) -> None:
    np.save(folder / "index.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(PackError, match="is damaged"):
        reopen(folder)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", r"pack.json can't be read"),
        ("{", r"pack.json can't be read"),
        ("[]", "was packed by another version"),
        ("{}", "was packed by another version"),
        ('{"schema": 99}', "was packed by another version"),
        ('{"schema": 2}', "was packed by another version"),
    ],
)
def test_a_pack_json_that_is_not_understood_is_refused(folder: Path, content: str, sentence: str) -> None:
    (folder / "pack.json").write_text(content)
    with pytest.raises(PackError, match=sentence):
        reopen(folder)


def test_what_is_no_packed_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="is not a packed data set; make one with 'bma data pack"):
        reopen(tmp_path)


def test_pack_json_counts_what_is_there(folder: Path, tiny_data: PackedData) -> None:
    info: dict[str, Any] = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    assert info["schema"] == 2
    assert info["rows"] == len(tiny_data.rows) == 31
    assert info["images"] == len(tiny_data.images) == 26
    assert info["sounds"] == len(tiny_data.offsets) - 1 == 26
    assert info["unreadable"] == tiny_data.unreadable == 0


def test_a_whole_pack_passes_the_check(folder: Path) -> None:
    assert check(folder)["images"] == 26


@pytest.mark.parametrize(
    "name", ["index.npy", "rows.csv", "images-32.u8", "waves-8000.i16", "offsets-8000.npy", "unreadable.csv"]
)
@pytest.mark.parametrize("how", ["missing", "a bit flipped"])
def test_the_check_names_a_part_that_is_not_as_it_was_packed(folder: Path, name: str, how: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    if how == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(PackError, match=rf"{name} is not as it was packed; delete the folder and pack it again"):
        check(folder)
