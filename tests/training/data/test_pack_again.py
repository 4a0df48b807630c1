"""A stale pack is made again, a current one is not; the older one stays until the newer is there."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import training.data.pack
from tests.training.data.packing import made, reopen
from training.data.pack import open_data, pack
from training.data.packed import PackError
from training.data.rows import read_rows, write_rows
from training.model.media.image import read_image

Write = Callable[..., None]


def test_a_current_pack_is_not_made_again(rows_file: Path) -> None:
    folder = reopen(rows_file).folder
    before = made(folder)
    assert made(reopen(rows_file).folder) == before


def test_changed_rows_are_packed_again(rows_file: Path) -> None:
    before = reopen(rows_file)
    write_rows(rows_file, read_rows(rows_file)[:-1])
    after = reopen(rows_file)
    assert len(after.rows) == len(before.rows) - 1
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize("content", ['{"schema": 1}', "{"])
def test_a_pack_of_another_version_is_packed_again(rows_file: Path, content: str) -> None:
    folder = reopen(rows_file).folder
    (folder / "pack.json").write_text(content)
    assert len(reopen(rows_file).rows) == 31
    assert json.loads((folder / "pack.json").read_text())["images"] == 26


@pytest.mark.parametrize("how", ["changed", "touched", "removed"])
def test_a_changed_file_is_packed_again(rows_file: Path, write_image: Write, how: str) -> None:
    before = reopen(rows_file)
    first, number = before.fingerprint, made(before.folder)
    image = rows_file.parent / "images/test-25.jpg"
    if how == "changed":
        write_image(image, (0, 0, 0), 99)
    elif how == "touched":
        os.utime(image, (1, 1))
    else:
        image.unlink()
    after = reopen(rows_file)
    assert made(after.folder) != number
    assert (after.fingerprint == first) == (how == "touched")  # the content decides, not the times
    assert after.unreadable == (how == "removed")


def test_another_size_is_packed_beside_the_first_and_both_stay(rows_file: Path) -> None:
    first = reopen(rows_file).folder
    second = open_data(rows_file, 40, 8000)
    assert second.images.shape[-1] == 40
    assert (first.name, second.folder.name) == ("packed", "packed-40")
    numbers = made(first), made(second.folder)
    assert (reopen(rows_file).folder, open_data(rows_file, 40, 8000).folder) == (first, second.folder)
    assert (made(first), made(second.folder)) == numbers


def test_two_rows_files_in_a_folder_do_not_pack_over_each_other(rows_file: Path) -> None:
    other = rows_file.with_name("all.csv")
    write_rows(other, read_rows(rows_file)[:5])
    first, second = reopen(rows_file), open_data(other, 32, 8000)
    assert (first.folder.name, second.folder.name) == ("packed", "packed-all")
    number = made(first.folder)
    assert reopen(rows_file).fingerprint == first.fingerprint
    assert made(first.folder) == number


def test_the_same_content_has_the_same_fingerprint_wherever_it_lies(rows_file: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(rows_file.parent, tmp_path / "copy")
    assert reopen(copy).fingerprint == reopen(rows_file).fingerprint


def test_a_full_disk_leaves_the_older_pack_and_what_was_done(rows_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = reopen(rows_file).folder
    before = made(folder)
    write_rows(rows_file, read_rows(rows_file)[:-1])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(PackError) as caught:
            reopen(rows_file)
    assert str(caught.value) == (
        f"{folder} can't be written (No space left on device); make room for it or name another folder, and run the "
        "same command again: what is packed so far is kept"
    )
    assert made(folder) == before
    monkeypatch.setattr(training.data.pack, "read_image", None)  # nothing is decoded again
    monkeypatch.setattr(training.data.pack, "read_segments", None)
    assert len(reopen(rows_file).rows) == 30
    assert {entry.name for entry in rows_file.parent.iterdir()} == {"rows.csv", "images", "sounds", "packed"}


def test_a_kill_while_the_older_pack_is_replaced_blocks_nothing(
    rows_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = reopen(rows_file).folder
    rows = read_rows(rows_file)[:-1]
    write_rows(rows_file, rows)
    states: list[bool] = []
    remove = shutil.rmtree

    def watch(path: Path, **options: Any) -> None:
        states.append(Path(path) == folder)
        remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", watch)
        reopen(rows_file)
    assert not any(states)  # the older pack is renamed away, never taken apart where it lies
    folder.rename(folder.with_name(".packed-draft-abcdefgh"))  # as a kill between the renames leaves it
    assert len(reopen(rows_file).rows) == len(rows)
    assert {entry.name for entry in rows_file.parent.iterdir()} == {"rows.csv", "images", "sounds", "packed"}


def test_what_a_kill_left_beside_a_complete_pack_is_cleared(rows_file: Path) -> None:
    folder = reopen(rows_file).folder
    before = made(folder)
    shutil.copytree(folder, folder.with_name(".packed-draft-abcdefgh") / "old")
    shutil.copytree(folder, folder.with_name(".packed-partial") / "contents")
    folder.with_name(".packed-partial").joinpath("journal.jsonl").touch()
    assert made(reopen(rows_file).folder) == before
    assert {entry.name for entry in rows_file.parent.iterdir()} == {"rows.csv", "images", "sounds", "packed"}


def test_a_file_that_changes_while_it_is_packed_is_packed_again(
    rows_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = rows_file.parent / "images/test-25.jpg"

    def read_and_change(file: Path, *arguments: Any, **options: Any) -> Any:
        pixels = read_image(file, *arguments, **options)
        if file == image:
            os.utime(image, (1, 1))
        return pixels

    with monkeypatch.context() as patch:
        patch.setattr(training.data.pack, "read_image", read_and_change)
        folder = reopen(rows_file).folder
    before = made(folder)
    assert made(reopen(rows_file).folder) != before


@pytest.mark.parametrize("how", ["rows", "file"])
def test_a_named_pack_that_is_stale_is_refused_until_it_is_carried_off(
    rows_file: Path, tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "out" / "my set"
    pack(rows_file, folder, 32, 8000)
    assert len(reopen(folder).rows) == 31
    if how == "rows":
        write_rows(rows_file, read_rows(rows_file)[:-1])
    else:
        os.utime(rows_file.parent / "images/test-25.jpg", (1, 1))
    with pytest.raises(PackError) as caught:
        reopen(folder)
    assert str(caught.value) == (
        f"{folder} is stale, as {rows_file} or a file that it names has changed since; move the folder elsewhere to "
        f"use it as it is, or pack it again: bma data pack {rows_file} '{folder}' --image-size 32"
    )
    away = folder.rename(tmp_path / "carried")
    assert len(reopen(away).rows) == 31
    assert len(pack(rows_file, folder, 32, 8000).rows) == (30 if how == "rows" else 31)
    assert reopen(folder)
    rows_file.rename(rows_file.with_name("other.csv"))
    assert reopen(folder)  # nothing to compare it with
