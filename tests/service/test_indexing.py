"""`bma index build`: folders and rows files into catalogues, broken files listed."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from index.local import LocalCatalogue
from index.source import Embedded, Entry, Unreadable
from service import bulk
from service.bulk import BulkEmbedder
from service.cli import main
from service.indexing import find_entries
from service.loading import load_engine
from tests.conftest import Serve
from training.model.embedder import Embedder, Embedding
from training.model.media.sound import sound_seconds

Index = Callable[..., str]


@pytest.fixture
def index(bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> Index:
    """Run `bma index build BUNDLE …` with an expected exit status; what it printed."""

    def run(*arguments: str | Path, status: int = 0) -> str:
        assert main(["index", "build", str(bundle_folder), *map(str, arguments), "--device", "cpu"]) == status
        told = capsys.readouterr()
        if status:
            assert told.err.startswith("bma: ")
            assert told.err.count("\n") == 1
            return told.err
        assert told.err == ""
        return told.out

    return run


def copies(demo_folder: Path, out: Path, count: int = 3) -> list[Path]:
    """A few images and sounds in a folder of their own."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = sorted(demo_folder.glob("images/*_test-*.jpg"))[:count]
    sounds = sorted(demo_folder.glob("sounds/*_test-*.wav"))[:count]
    return [Path(shutil.copy(file, out)) for file in (*pictures, *sounds)]


def items(folder: Path) -> dict[str, str]:
    catalogue = LocalCatalogue.open(folder)
    found = {item.path: item.id for item in catalogue.list()}
    catalogue.close()
    return found


def unreadable(folder: Path) -> dict[str, str]:
    with (folder / "unreadable.csv").open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row["reason"] for row in csv.DictReader(stream)}


def test_a_folder_with_all_that_lies_in_folders(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    media = tmp_path / "media"
    copies(demo_folder, media)
    deeper = copies(demo_folder, media / "é" / "b", 4)
    copies(demo_folder, media / ".hidden", 5)
    (media / "readme.txt").write_text("not indexed, not broken")
    (media / "broken.png").write_bytes(b"no picture")
    (media / "empty.wav").write_bytes(b"")
    told = index(media, "--out", tmp_path / "index")
    assert "now holds 7 images and 7 sounds" in told or "now holds 4 images and 4 sounds" in told
    assert "2 files were left out" in told
    assert set(unreadable(tmp_path / "index")) == {"broken.png", "empty.wav"}
    assert "can be read; send" in unreadable(tmp_path / "index")["broken.png"]
    found = items(tmp_path / "index")
    assert len(found) == 8  # the same content twice is one item
    assert str(deeper[3].relative_to(media)) in found
    index(media, "--out", tmp_path / "index")
    assert items(tmp_path / "index") == found


def test_a_pipe_in_a_folder_is_left_out(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    copies(demo_folder, tmp_path / "media", 1)
    os.mkfifo(tmp_path / "media" / "pipe.wav")
    assert "left out: pipe.wav is no file but a pipe" in index(tmp_path / "media", "--out", tmp_path / "index")


def test_what_is_gone_is_told_with_what_removes_it(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    picture, _ = copies(demo_folder, tmp_path / "media", 1)
    index(tmp_path / "media", "--out", tmp_path / "index")
    picture.unlink()
    told = index(tmp_path / "media", "--out", tmp_path / "index")
    assert "now holds 0 images and 1 sound of" in told
    assert "gone: 1" in told
    assert "'bma index sync' with the same arguments removes it" in told


def test_a_catalogue_is_not_made_among_the_files(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    media = tmp_path / "media"
    copies(demo_folder, media, 1)
    before = sorted(media.iterdir())
    told = index(media, "--out", media, status=1)
    assert "holds the files themselves; name another folder with --out" in told
    assert sorted(media.iterdir()) == before


def test_a_file_whose_name_is_no_text_is_left_out(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    media = tmp_path / "media"
    picture, _ = copies(demo_folder, media, 1)
    try:
        shutil.copy(picture, media / os.fsdecode(b"caf\xe9.jpg"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    told = index(media, "--out", tmp_path / "index")
    assert "now holds 1 image and 1 sound" in told
    assert r"left out: caf\udce9.jpg has bytes in its name" in told
    assert set(unreadable(tmp_path / "index")) == {r"caf\udce9.jpg"}


def test_a_rows_file_with_broken_files(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    a, b, c, x, y, z = (file.name for file in copies(demo_folder, tmp_path))
    (tmp_path / b).write_bytes((tmp_path / b).read_bytes()[:1000])
    (tmp_path / "rows.csv").write_text(
        "split,label,image,sound,id,tags,start,duration\n"
        f"test,dog,{a},{x},1,wet park,,\n"
        f"test,dog,{b},{y},2,,0.5,1\n"
        f"test,dog,gone.jpg,,3,,,\n"
        f"test,dog,../gone.jpg,,4,,,\n"
        f"train,dog,{c},{z},bad id,,,\n"
        f"test,dog,,{z},5,,99,\n",
        encoding="utf-8",
    )
    told = json.loads(index(tmp_path / "rows.csv", "--out", tmp_path / "index", "--json"))
    assert {key: value for key, value in told.items() if value} == {
        "images": 1,
        "sounds": 2,
        "added": 3,
        "unreadable": 6,
    }
    assert items(tmp_path / "index") == {a: "1:image", x: "1:sound", y: "2:sound"}
    reasons = unreadable(tmp_path / "index")
    assert set(reasons) == {b, "gone.jpg", "../gone.jpg", c, z}
    assert all(reason.startswith(f"{file}") for file, reason in reasons.items())
    catalogue = LocalCatalogue.open(tmp_path / "index")
    one, two = catalogue.get("1:image"), catalogue.get("2:sound")
    catalogue.close()
    assert one is not None
    assert two is not None
    assert (one.label, one.tags, one.metadata) == ("dog", ("wet", "park"), {"split": "test"})
    assert two.metadata == {"split": "test", "start": 0.5, "duration": 1.0}


def outside_world(demo_folder: Path, folder: Path) -> tuple[str, str, str]:
    """A rows file in `set/` with a pair of its own and a picture in `photos/` beside it; the three names."""
    (folder / "set" / "in").mkdir(parents=True)
    (folder / "photos").mkdir()
    picture, sound = copies(demo_folder, folder / "set" / "in", 1)
    lying = Path(shutil.copy(picture, folder / "photos" / "x.jpg"))
    (folder / "set" / "rows.csv").write_text(
        "split,label,image,sound,id\n"
        f"test,dog,in/{picture.name},in/{sound.name},1\n"
        f"val,dog,../photos/{lying.name},,2\n"
        "test,dog,../../../nowhere.jpg,,3\n",
        encoding="utf-8",
    )
    return f"set/in/{picture.name}", f"set/in/{sound.name}", "photos/x.jpg"


def test_files_outside_the_rows_files_folder_widen_the_root(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    picture, sound, photo = outside_world(demo_folder, tmp_path)
    index(tmp_path / "set", "--out", tmp_path / "index", "--split", "test")
    assert items(tmp_path / "index") == {picture: "1:image", sound: "1:sound"}
    index(tmp_path / "set", "--out", tmp_path / "index", "--split", "val")  # the same root, so the same catalogue
    assert items(tmp_path / "index") == {picture: "1:image", sound: "1:sound", photo: "2:image"}
    catalogue = LocalCatalogue.open(tmp_path / "index")
    assert catalogue.root == tmp_path.resolve()
    catalogue.close()


def test_content_outside_the_rows_files_folder_is_served(
    index: Index, demo_folder: Path, bundle_folder: Path, tmp_path: Path, serve: Serve
) -> None:
    outside_world(demo_folder, tmp_path)
    index(tmp_path / "set", "--out", tmp_path / "index")
    with serve("--model", bundle_folder, "--index", tmp_path / "index") as server:
        for id, file in (("2:image", "photos/x.jpg"), ("1:sound", None)):
            answer = httpx.get(f"{server.url}/v1/items/{id}/content")
            assert answer.status_code == 200
            if file:
                assert answer.content == (tmp_path / file).read_bytes()
        assert httpx.get(f"{server.url}/v1/items/2:image/thumbnail").status_code == 200


def test_with_everything_inside_the_root_is_the_rows_files_folder(demo_folder: Path, tmp_path: Path) -> None:
    picture, sound = copies(demo_folder, tmp_path / "set", 1)
    (tmp_path / "set" / "rows.csv").write_text(f"split,image,sound\ntest,{picture.name},./{sound.name}\n")
    source = find_entries(tmp_path / "set")
    assert source.root == tmp_path / "set"
    assert [entry.path for entry in source.entries] == [picture.name, f"./{sound.name}"]


def test_a_link_out_of_the_folder_and_a_whole_path_are_found(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    picture, sound = copies(demo_folder, tmp_path / "elsewhere", 1)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link.jpg").symlink_to(picture)
    (tmp_path / "set" / "rows.csv").write_text(f"split,image,sound,id\ntest,link.jpg,{sound},1\n")
    index(tmp_path / "set", "--out", tmp_path / "index")
    assert items(tmp_path / "index") == {f"elsewhere/{picture.name}": "1:image", f"elsewhere/{sound.name}": "1:sound"}


def test_long_sounds_are_decoded_a_few_at_a_time(
    demo_folder: Path, bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Embedder(bundle_folder, "cpu")
    whole = [Entry(file.name, "sound") for file in sorted(demo_folder.glob("sounds/*_test-*.wav"))[:5]]
    parts = [Entry(entry.path, "sound", start=0.5, duration=1.0) for entry in whole]
    gone = Entry("gone.wav", "sound")
    entries = [*whole, *parts, gone]
    lasting: list[float] = []
    embed_sounds = embedder.embed_sounds

    def embed(waves: list[npt.NDArray[np.int16]]) -> Embedding:
        lasting.append(sum(map(len, waves)) / embedder.preprocessor.config.sample_rate)
        return embed_sounds(waves)

    monkeypatch.setattr(embedder, "embed_sounds", embed)
    results: dict[float, list[Embedded | Unreadable]] = {}
    longest = max(sound_seconds(demo_folder / "sounds" / entry.path) or 0 for entry in whole)
    for together in (1800.0, 2 * longest, 0.1, 2.5 * longest):
        monkeypatch.setattr(bulk, "TOGETHER", together)
        if together == 2.5 * longest:  # the files lie
            monkeypatch.setattr(bulk.sound, "sound_seconds", lambda *_: 0.01)
        with BulkEmbedder(embedder, demo_folder / "sounds") as embed_entries:
            by_number = dict(embed_entries(enumerate(entries)))
        results[together] = [by_number[number] for number in range(len(entries))]
        assert max(lasting) <= max(together / 2, longest) + 1e-6  # beside as much that is being decoded
        assert (len(lasting) == 1) == (together == 1800)
        lasting.clear()
    for found in results.values():
        assert isinstance(found[-1], Unreadable)
        for one, other in zip(found[:-1], results[1800.0][:-1], strict=True):
            assert isinstance(one, Embedded)
            assert isinstance(other, Embedded)
            np.testing.assert_allclose(one.z, other.z, atol=1e-4)


def test_splits_choose_the_rows(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    index(demo_folder, "--out", tmp_path / "index", "--split", "val")
    assert len(items(tmp_path / "index")) == 20
    index(demo_folder, "--out", tmp_path / "index", "--split", "val", "--split", "unpaired")
    assert len(items(tmp_path / "index")) == 40


def test_nothing_to_index_is_said(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "index"
    assert f"{empty} holds no image or sound files" in index(empty, "--out", out, status=1)
    assert "so it has no splits; leave out --split" in index(empty, "--out", out, "--split", "test", status=1)
    assert "does not exist; name a folder with images" in index(tmp_path / "nowhere", "--out", out, status=1)
    (empty / "rows.csv").write_text("split,label,image,sound\nval,x,a.jpg,\n")
    assert "has no rows of split test" in index(empty, "--out", out, "--split", "test", status=1)
    told = index(empty, "--out", out, status=1)
    assert "not one file could be indexed (the first: a.jpg can't be read" in told
    picture = sorted(demo_folder.glob("images/*.jpg"))[0]
    told = index(picture, "--out", out, status=1)
    assert "is a single file; name the folder that it is in, or a rows file" in told


def test_a_catalogue_takes_only_its_own_model_and_folder(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    copies(demo_folder, tmp_path / "media", 1)
    LocalCatalogue.create(tmp_path / "another", "another model", 128, tmp_path / "media").close()
    told = index(tmp_path / "media", "--out", tmp_path / "another", status=1)
    assert "was made with another model" in told
    index(tmp_path / "media", "--out", tmp_path / "index")
    copies(demo_folder, tmp_path / "elsewhere", 1)
    told = index(tmp_path / "elsewhere", "--out", tmp_path / "index", status=1)
    assert "name another catalogue with --out" in told
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt" / "catalogue.sqlite").write_bytes(b"rubbish" * 999)
    assert "delete it and build it again" in index(tmp_path / "media", "--out", tmp_path / "corrupt", status=1)
    (tmp_path / "file").write_text("x")
    assert "name another folder" in index(tmp_path / "media", "--out", tmp_path / "file" / "x", status=1)


def test_an_empty_catalogue_is_made_served_and_given_a_folder(
    index: Index, demo_folder: Path, bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, media = tmp_path / "index", tmp_path / "media"
    copies(demo_folder, media, 1)
    create = ["index", "create", str(bundle_folder), "--out", str(out)]
    assert main(create) == 0
    assert "made the empty catalogue" in capsys.readouterr().out
    engine = load_engine(bundle_folder, out, "cpu")
    try:
        assert engine.catalogue is not None
        assert engine.catalogue.count() == {"image": 0, "sound": 0}
    finally:
        engine.close()
    assert main(create) == 1
    assert "already holds a catalogue" in capsys.readouterr().err
    assert f"say so with 'bma index root {out} {media}'" in index(media, "--out", out, status=1)
    assert main(["index", "root", str(out), str(media)]) == 0
    capsys.readouterr()
    assert "now holds 1 image and 1 sound" in index(media, "--out", out)


def test_a_service_warns_of_a_catalogue_that_was_moved_without_its_files(
    index: Index, demo_folder: Path, bundle_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture, _ = copies(demo_folder, tmp_path / "media", 1)
    index(tmp_path / "media", "--out", tmp_path / "index")
    moved = Path(shutil.copytree(tmp_path / "index", tmp_path / "far" / "away" / "index"))
    load_engine(bundle_folder, tmp_path / "index", "cpu").close()
    assert caplog.messages == []
    load_engine(bundle_folder, moved, "cpu").close()
    [warning] = caplog.messages
    assert f"2 of the first 2 items of {moved} have no file in its place below {moved.parent / 'media'}" in warning
    assert f"such as {picture.name};" in warning


def test_a_second_time_only_what_is_new_is_embedded(
    index: Index, demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media, out = tmp_path / "media", tmp_path / "index"
    copies(demo_folder, media)
    embedded: list[int] = []
    for name in ("embed_images", "embed_sounds"):
        real = getattr(Embedder, name)

        def counted(self: Embedder, arrays: list[Any], real: Any = real) -> Embedding:
            embedded.append(len(arrays))
            found: Embedding = real(self, arrays)
            return found

        monkeypatch.setattr(Embedder, name, counted)
    assert "added: 6" in index(media, "--out", out)
    assert "unchanged: 6" in index(media, "--out", out)
    assert sum(embedded) == 6
    picture = sorted(media.glob("*.jpg"))[0]
    picture.rename(media / "renamed.jpg")
    copies(demo_folder, media / "more", 4)
    told = json.loads(index(media, "--out", out, "--json"))
    # the renamed picture's copy in `more` comes before it
    assert {key: told[key] for key in ("added", "updated", "unchanged", "duplicates")} == {
        "added": 2,
        "updated": 1,
        "unchanged": 5,
        "duplicates": 6,
    }
    assert sum(embedded) == 8


def sync(bundle_folder: Path, *arguments: str | Path) -> int:
    return main(["index", "sync", str(bundle_folder), *map(str, arguments), "--device", "cpu", "--json"])


def test_sync_removes_what_is_gone_unless_all_of_it_is(
    index: Index, bundle_folder: Path, demo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, sound, photo = outside_world(demo_folder, tmp_path)
    out, rows = tmp_path / "index", tmp_path / "set" / "rows.csv"
    index(rows, "--out", out)
    (tmp_path / photo).unlink()  # the root stays, though no other file lies outside of the rows file's folder
    assert sync(bundle_folder, rows, "--out", out, "--split", "test") == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 0
    assert sync(bundle_folder, rows, "--out", out) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 1
    assert items(out) == {picture: "1:image", sound: "1:sound"}
    (tmp_path / "set" / "in").rename(tmp_path / "unmounted")
    assert sync(bundle_folder, rows, "--out", out) == 1
    told = capsys.readouterr().err
    assert f"not one file that {rows} names is there, so nothing was removed" in told
    rows.unlink()
    assert sync(bundle_folder, rows, "--out", out) == 1
    assert "does not exist" in capsys.readouterr().err
    assert len(items(out)) == 2


def test_a_catalogue_of_copies_needs_its_source_no_more(index: Index, demo_folder: Path, tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in copies(demo_folder, tmp_path / "media", 1)}
    index(tmp_path / "media", "--out", tmp_path / "index", "--copy")
    shutil.rmtree(tmp_path / "media")
    shutil.move(tmp_path / "index", tmp_path / "elsewhere")
    catalogue = LocalCatalogue.open(tmp_path / "elsewhere")
    found = {item.metadata["path"]: catalogue.file(item).read_bytes() for item in catalogue.list()}
    catalogue.close()
    assert found == files
