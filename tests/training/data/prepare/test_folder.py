"""A folder of videos, images and sounds becomes a data set that trains, is indexed and found."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.data.prepare.own_files import COLOURS, drafts, make_image, make_sound, make_video, rows_of
from training.data.pack import open_current, pack
from training.data.prepare import cut
from training.data.prepare.folder import Prepared, PrepareError, prepare_folder, row_id
from training.data.rows import read_rows
from training.model.media import image, sound


def unreadable(made: Prepared) -> dict[str, str]:
    with made.rows_file.with_name("unreadable.csv").open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row["reason"] for row in csv.DictReader(stream)}


def test_images_and_sounds_of_one_name_are_pairs(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for path in ("a.jpg", "dog/b.png", "dog/more/c.webp", "cat/d.jpg", "x.gif", "cat/a.jpg", "dog/b.jpg"):
        make_image(folder / path)
    for path in ("a.flac", "dog/b.flac", "dog/c.flac", "y.flac"):
        make_sound(folder / path)
    (folder / "readme.txt").write_text("neither")
    make_image(folder / ".hidden.jpg")
    make_image(folder / ".git" / "e.jpg")
    rows = rows_of(prepare_folder(folder, out))
    assert {id: (row.label, row.image, row.sound, row.clip) for id, row in rows.items()} == {
        "a.jpg": ("", "../in/a.jpg", "../in/a.flac", "a"),
        "dog:b.jpg": ("dog", "../in/dog/b.jpg", "../in/dog/b.flac", "dog/b"),
        "dog:b.png": ("dog", "../in/dog/b.png", "", ""),
        "dog:more:c.webp": ("dog", "../in/dog/more/c.webp", "", ""),
        "dog:c.flac": ("dog", "", "../in/dog/c.flac", ""),
        "cat:d.jpg": ("cat", "../in/cat/d.jpg", "", ""),
        "cat:a.jpg": ("cat", "../in/cat/a.jpg", "", ""),
        "x.gif": ("", "../in/x.gif", "", ""),
        "y.flac": ("", "", "../in/y.flac", ""),
    }
    assert {id for id, row in rows.items() if row.split == "unpaired"} == {"x.gif", "y.flac"}
    assert rows["dog:b.jpg"].split == rows["dog:b.png"].split


def test_copies_are_one_clip_in_one_split(tmp_path: Path) -> None:
    """What a model learned from is never in its test as well, under whatever name."""
    folder = tmp_path / "in"
    for number in range(40):
        make_image(folder / "dog" / f"{number}.jpg")
        if number % 4 == 0:
            make_sound(folder / "dog" / f"{number}.flac")
        else:  # four pictures share a sound
            shutil.copy(folder / "dog" / f"{number - number % 4}.flac", folder / "dog" / f"{number}.flac")
    shutil.copy(folder / "dog" / "9.jpg", folder / "cat.jpg")
    (folder / "link.flac").symlink_to(folder / "dog" / "1.flac")
    make_sound(folder / "alone.flac")
    made = prepare_folder(folder, tmp_path / "out")
    rows = rows_of(made)
    assert made.copies == 32
    for number in range(40):
        row, first = rows[f"dog:{number}.jpg"], rows[f"dog:{number - number % 4}.jpg"]
        assert row.sound == f"../in/dog/{number}.flac"
        assert row.split == first.split
        assert row.clip == first.clip
    assert len({row.clip for row in rows.values() if row.clip}) == 10
    assert set(made.splits) == {"train", "val", "test", "unpaired"}
    assert rows["cat.jpg"].split == rows["dog:8.jpg"].split
    assert rows["cat.jpg"].clip == rows["dog:8.jpg"].clip == "cat"
    assert rows["link.flac"].clip == rows["dog:0.jpg"].clip == "dog/0"
    assert (rows["alone.flac"].split, rows["alone.flac"].clip) == ("unpaired", "")


def test_a_sound_in_a_videos_clothes_is_a_sound(tmp_path: Path) -> None:
    make_sound(tmp_path / "in" / "x.flac")
    shutil.move(tmp_path / "in" / "x.flac", tmp_path / "in" / "a.webm")
    make_image(tmp_path / "in" / "a.jpg")
    rows = rows_of(prepare_folder(tmp_path / "in", tmp_path / "out"))
    assert {id: row.sound for id, row in rows.items()} == {"a.jpg": "../in/a.webm"}


def test_broken_files_are_left_out_and_listed(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    make_video(folder / "good.mp4", 2)
    (folder / "cut.mp4").write_bytes((folder / "good.mp4").read_bytes()[:900])
    (folder / "empty.mp4").touch()
    (folder / "old.avi").write_bytes(b"RIFF")
    make_image(folder / "a.jpg")
    (folder / "a.wav").write_bytes(b"no sound")
    (folder / "b.png").write_bytes(b"no picture")
    with (folder / os.fsdecode(b"caf\xe9.jpg")).open("wb"):
        pass
    (folder / f"{'x' * 245}.mp4").write_bytes((folder / "good.mp4").read_bytes())
    made = prepare_folder(folder, out)
    reasons = unreadable(made)
    assert set(reasons) == {"cut.mp4", "empty.mp4", "old.avi", "a.wav", "b.png", r"caf\xe9.jpg", f"{'x' * 245}.mp4"}
    assert made.unreadable == len(reasons)
    assert "is not UTF-8" in reasons[r"caf\xe9.jpg"]
    assert "convert it" in reasons["old.avi"]
    assert set(rows_of(made)) == {"good.mp4:0", "a.jpg"}
    assert not (out / "frames" / "cut.mp4").exists()
    assert drafts(out) == []


def test_odd_names_make_good_ids_and_paths(tmp_path: Path) -> None:
    names = ["Größe (1).jpg", "Grösse [1].jpg", "a:b.jpg", "a/b.jpg", "a,b.jpg", 'q"uote.jpg', " lead.jpg", "n\nl.jpg"]
    names += [f"{'d' * 60}/{'e' * 60}.jpg", f"{'d' * 60}/{'e' * 59}f.jpg", "....jpg"]
    for name in names:
        make_image(tmp_path / "in" / name)
    rows = rows_of(prepare_folder(tmp_path / "in", tmp_path))  # the data set around the folder
    assert len(rows) == len(names) - 1  # the hidden one
    assert {row.image for row in rows.values()} >= {"in/a:b.jpg", "in/ lead.jpg", "in/n\nl.jpg"}
    assert row_id("a/b.jpg") == "a:b.jpg"
    assert row_id("a/b.mp4", ":12.5") == "a:b.mp4:12.5"
    assert len({row_id(name) for name in names}) == len(names)
    assert len(row_id("ü" * 300, ":12.5")) <= 100


def test_a_folder_whose_name_begins_with_a_space(tmp_path: Path) -> None:
    make_image(tmp_path / " in" / "a.jpg")
    assert rows_of(prepare_folder(tmp_path / " in", tmp_path))["a.jpg"].image == "./ in/a.jpg"


def test_an_output_folder_inside_is_not_read(tmp_path: Path) -> None:
    make_video(tmp_path / "cat" / "a.mp4", 2)
    out = tmp_path / "data"
    make_image(out / "of mine.jpg")
    first = rows_of(prepare_folder(tmp_path, out))
    assert rows_of(prepare_folder(tmp_path, out)) == first
    assert rows_of(prepare_folder(tmp_path, tmp_path / "another")) == first  # nor what was made there before
    assert set(first) == {"cat:a.mp4:0"}


def test_what_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    made: list[str] = []
    for name in ("_write_frames", "_write_sound"):
        real = getattr(cut, name)

        def counted(video: cut.Video, *rest: Any, real: Callable[..., Any] = real, name: str = name) -> Any:
            made.append(f"{name} {video.path}")
            return real(video, *rest)

        monkeypatch.setattr(cut, name, counted)

    def run(**options: Any) -> list[str]:
        made.clear()
        rows_of(prepare_folder(folder, out, **options))
        return sorted(made)

    make_video(folder / "a.mp4", 3)
    make_video(folder / "b.mp4", 3)
    a, b = (["_write_frames " + name, "_write_sound " + name] for name in ("a.mp4", "b.mp4"))
    assert run() == sorted(a + b)
    before = (out / "rows.csv").read_bytes()
    assert run() == []
    assert (out / "rows.csv").read_bytes() == before
    make_video(folder / "b.mp4", 4)
    assert run() == b
    next((out / "frames" / "a.mp4").glob("*.jpg")).unlink()
    assert run() == a[:1]
    (out / "sounds" / "a.mp4.flac").unlink()
    assert run() == a
    (out / "frames" / "a.mp4" / "source.json").write_text('{"schema": 1, "pieces": 3}')
    assert run() == a
    assert run(every=1.0) == [a[0], b[0]]  # the same sound tracks
    (folder / "b.mp4").unlink()
    assert run(every=1.0) == []
    assert {row.clip for row in read_rows(out / "rows.csv")} == {"a.mp4"}


def test_images_and_sounds_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    read: list[str] = []
    for module, name in ((image, "decode_image"), (sound, "read_sound")):
        real = getattr(module, name)

        def counted(*arguments: Any, real: Callable[..., Any] = real, **options: Any) -> Any:
            read.append(options["name"])
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, counted)

    def run() -> list[str]:
        read.clear()
        prepare_folder(folder, out)
        return sorted(read)

    make_image(folder / "a.jpg")
    make_sound(folder / "a.flac")
    make_sound(folder / "tone.flac")
    shutil.move(folder / "tone.flac", folder / "sound.mp4")  # in a video's clothes
    (folder / "broken.png").write_bytes(b"x")
    assert run() == ["a.flac", "a.jpg", "broken.png", "sound.mp4"]
    rows = (out / "rows.csv").read_bytes()
    assert run() == ["broken.png"]
    assert (out / "rows.csv").read_bytes() == rows
    make_image(folder / "a.jpg", "blue")
    assert run() == ["a.jpg", "broken.png"]


def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    make_image(tmp_path / "far" / "a.jpg")
    make_image(tmp_path / "in" / "dog" / "b.jpg")
    out = tmp_path / "in" / "data"
    (tmp_path / "in" / "cat").symlink_to(tmp_path / "far")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "dog")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "made").symlink_to(tmp_path / "outside")
    for made in (tmp_path / "outside", tmp_path / "outside", out, out):
        make_image(made / "c.jpg")
        rows = rows_of(prepare_folder(tmp_path / "in", made))
        assert {id: row.label for id, row in rows.items()} == {"cat:a.jpg": "cat", "dog:b.jpg": "dog"}


def test_a_rows_file_says_that_the_set_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    make_image(folder / "a.jpg")
    make_sound(folder / "a.flac")
    rows_file = prepare_folder(folder, out).rows_file
    rows = rows_file.read_bytes()
    pack(rows_file, out / "packed", 32, 8000)
    prepare_folder(folder, out)
    assert rows_file.read_bytes() == rows
    assert open_current(rows_file, read_rows(rows_file), out / "packed", 32, 8000) is not None

    def stop(*_: Any, **__: Any) -> None:
        assert not rows_file.exists()
        raise KeyboardInterrupt

    make_image(folder / "a.jpg", "blue")
    with monkeypatch.context() as patch:
        patch.setattr(image, "decode_image", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_folder(folder, out)
    assert not rows_file.exists()
    prepare_folder(folder, out)
    for name in ("a.jpg", "a.flac"):
        (folder / name).write_bytes(b"x")
    with pytest.raises(PrepareError, match="not one file could be read"):
        prepare_folder(folder, out)
    assert not rows_file.exists()
    assert len((out / "unreadable.csv").read_text().splitlines()) == 3


def test_what_can_not_be_done_is_one_sentence(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    make_image(folder / "a.jpg")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"x")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "rows.csv").write_text("mine")
    for arguments, says in (
        ((tmp_path / "none", out), "is not a folder"),
        ((tmp_path / "file", out), "is not a folder"),
        ((tmp_path / "empty", out), "holds no images, sounds or videos"),
        ((folder, folder), "name another folder"),
        ((folder, folder / ".." / "in"), "name another folder"),
        ((folder, tmp_path / "taken"), "already holds rows.csv"),
        ((folder, tmp_path / "file" / "x"), "can't be written (Not a directory); name another folder"),
        ((folder, out, 0.0), "--every takes seconds"),
        ((folder, out, float("nan")), "--every takes seconds"),
        ((folder, out, 2.0, 0), "--per-video takes"),
    ):
        with pytest.raises(PrepareError, match=re.escape(says)) as caught:
            prepare_folder(*arguments)
        assert "\n" not in str(caught.value)
        assert not out.exists()
    with pytest.raises(PrepareError, match=r"not one file could be read \(the first: a.jpg is not an image"):
        prepare_folder(tmp_path / "broken", out)
    assert (tmp_path / "taken" / "rows.csv").read_text() == "mine"


def test_from_own_videos_to_a_search_engine(tmp_path: Path) -> None:
    from index.local import LocalCatalogue
    from service.indexing import build_catalogue
    from training.config import make_config
    from training.data.pack import open_data
    from training.model.embedder import Embedder
    from training.run import train

    folder, out = tmp_path / "my videos", tmp_path / "set"
    for number in range(4):
        for label in COLOURS:
            make_video(folder / label / f"{number}.mp4", 4, label)
    make_image(folder / "loose.jpg")
    make_image(folder / "looser.jpg", "blue")
    make_sound(folder / "tone.flac", "blue")
    make_sound(folder / "low.flac", "red")
    made = prepare_folder(folder, out)
    assert (made.pairs, made.classes, made.unreadable) == (16, 2, 0)
    assert made.splits["unpaired"] == 4
    keys = ("steps=4", "batch_size=2", "width=0.0625", "slots=8", "image_size=32", "unpaired=both")
    config = make_config("demo", keys)
    train(open_data(out, config.image_size, config.sample_rate), tmp_path / "run", config, device="cpu")
    embedder = Embedder(tmp_path / "run" / "model", "cpu")
    summary = build_catalogue(embedder, out, tmp_path / "index")
    assert (summary.images, summary.sounds, summary.unreadable) == (18, 18, [])
    catalogue = LocalCatalogue.open(tmp_path / "index")
    try:
        assert catalogue.root == tmp_path.resolve()
        query = embedder.embed([folder / "tone.flac"], "sound").z
        (sounds,), (images,) = catalogue.search(query, "sound", 3), catalogue.search(query, "image", 3)
        assert sounds[0].item.id == "tone.flac:sound"
        assert len(images) == 3
        for hit in (*sounds, *images):
            assert catalogue.file(hit.item).is_file()
    finally:
        catalogue.close()
