"""Building again, and syncing: only what is new or changed is embedded, only what came from the source is removed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.catalogue import CatalogueError, Item
from index.local import LocalCatalogue
from index.source import Entry, Source
from index.summary import Summary
from tests.index.fake import DIMENSION, Filling, entries_of, files, vector


@pytest.fixture
def filling(tmp_path: Path) -> Iterator[Filling]:
    root = tmp_path / "media"
    root.mkdir()
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", DIMENSION, root)
    yield Filling(catalogue, root)
    catalogue.close()


def add_by_hand(filling: Filling, data: bytes, id: str = "") -> None:
    hash = hashlib.sha256(data).hexdigest()
    item = Item(id or hash, "image", "", "image/png", content=hash)
    filling.catalogue.put([item], vector(data)[None], {hash: data})


@pytest.mark.parametrize("copy", [False, True])
def test_only_what_is_new_or_changed_is_embedded(filling: Filling, copy: bool) -> None:
    files(filling.root, a_png="a", b_png="b", c_wav="c")
    assert filling(copy=copy) == Summary(2, 1, added=3)
    assert filling(copy=copy) == Summary(2, 1, unchanged=3)
    assert filling.embedded == []
    files(filling.root, b_png="b2", d_png="d")
    assert filling(copy=copy) == Summary(3, 1, added=1, changed=1, unchanged=2)
    assert sorted(filling.embedded) == ["b.png", "d.png"]
    assert filling.catalogue.count() == {"image": 3, "sound": 1}  # what b.png was is nowhere
    assert filling(copy=copy, sync=True) == Summary(3, 1, unchanged=4)


def test_a_changed_file_under_its_own_id_is_embedded_again(filling: Filling) -> None:
    files(filling.root, a_png="a")
    entries = [Entry("a.png", "image", "1:image")]
    filling(entries)
    files(filling.root, a_png="other")
    assert filling(entries) == Summary(1, changed=1)
    assert filling.catalogue.get("1:image") is not None
    part = [Entry("a.png", "sound", "1:sound", start=1.0)]
    filling(part)
    assert filling([replace(part[0], start=2.0)]).changed == 1


def test_a_file_of_another_time_and_the_same_bytes_is_not_embedded(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b")
    entries = [Entry("a.png", "image"), Entry("b.png", "image", "1:image")]
    filling(entries)
    files(filling.root, a_png="a", b_png="b")
    assert filling(entries) == Summary(2, updated=2)
    assert filling.embedded == []
    assert filling(entries) == Summary(2, unchanged=2)


@pytest.mark.parametrize("copy", [False, True])
def test_words_change_without_the_model(filling: Filling, copy: bool) -> None:
    files(filling.root, a_png="a")
    entry = Entry("a.png", "image", "1:image", "dog", ("wet",), {"split": "test"})
    filling([entry], copy=copy)
    told = replace(entry, label="cat", tags=("dry",), metadata={"split": "val", "year": 2020})
    assert filling([told], copy=copy) == Summary(1, updated=1)
    assert filling.embedded == []
    item = filling.catalogue.get("1:image")
    assert item is not None
    assert (item.label, item.tags, item.metadata) == ("cat", ("dry",), {"split": "val", "year": 2020})


def test_words_given_in_the_catalogue_stay_until_the_source_says_something_new(filling: Filling) -> None:
    files(filling.root, a_png="a")
    entry = Entry("a.png", "image", "1:image", "dog", ("wet",))
    filling([entry])
    item = filling.catalogue.get("1:image")
    assert item is not None
    filling.catalogue.update([replace(item, label="wolf", tags=("mine",))])
    assert filling([entry]).unchanged == 1
    files(filling.root, a_png="another picture of it")
    assert filling([entry]).changed == 1
    assert filling([replace(entry, label="cat")]).updated == 1
    item = filling.catalogue.get("1:image")
    assert item is not None
    assert (item.label, item.tags) == ("cat", ("mine",))


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("sync", [False, True])
def test_a_renamed_file_is_not_embedded_again(filling: Filling, sync: bool, copy: bool) -> None:
    files(filling.root, a_png="a", b_png="b")
    filling(copy=copy)
    ids = {item.id for item in filling.catalogue.list()}
    (filling.root / "a.png").rename(filling.root / "z.png")
    assert filling(sync=sync, copy=copy) == Summary(2, updated=1, unchanged=1)
    assert filling.embedded == []
    assert {item.id for item in filling.catalogue.list()} == ids
    assert filling.paths == ([] if copy else ["b.png", "z.png"])
    assert filling(sync=sync, copy=copy).unchanged == 2


def test_files_that_change_places(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b")
    filling()
    files(filling.root, a_png="b", b_png="a")
    assert filling() == Summary(2, updated=2)
    assert filling.embedded == []


def test_the_first_of_equal_files_stays_it_as_long_as_it_is_there(filling: Filling) -> None:
    files(filling.root, b_png="same", c_png="same")
    assert filling() == Summary(1, added=1, duplicates=1)
    assert filling.paths == ["b.png"]
    files(filling.root, a_png="same", b_png="same")  # a new one before it, and it is touched
    assert filling(sync=True) == Summary(1, updated=1, duplicates=2)
    assert filling.paths == ["b.png"]
    (filling.root / "b.png").unlink()
    assert filling(sync=True) == Summary(1, updated=1, duplicates=1)
    assert filling.paths == ["a.png"]
    files(filling.root, a_png="other")
    assert filling(sync=True) == Summary(2, added=0, updated=1, changed=1)
    assert filling.paths == ["a.png", "c.png"]


def test_sync_removes_what_is_gone_and_build_does_not(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b", c_wav="c")
    named = [Entry("a.png", "image", "1"), Entry("b.png", "image", "2"), Entry("c.wav", "sound")]
    filling(named)
    assert filling(named[1:]).removed == 0
    assert filling(named[1:], sync=True) == Summary(1, 1, unchanged=2, removed=1)
    (filling.root / "b.png").unlink()
    assert filling(named[1:]).removed == 0
    summary = filling(named[1:], sync=True)  # the row is there, the file is not
    assert (summary.removed, len(summary.unreadable)) == (1, 1)
    files(filling.root, c_wav="bad", d_wav="d")
    summary = filling(sync=True)
    assert (summary.removed, summary.added, len(summary.unreadable)) == (1, 2, 1)
    assert filling.paths == ["a.png", "d.wav"]


@pytest.mark.parametrize("copy", [False, True])
def test_sync_leaves_what_was_added_by_hand(filling: Filling, copy: bool) -> None:
    files(filling.root, a_png="a", b_png="b")
    add_by_hand(filling, b"by hand")
    add_by_hand(filling, b"a")
    add_by_hand(filling, b"named", "mine")
    assert filling(sync=True, copy=copy) == Summary(1, added=1, duplicates=1)
    (filling.root / "b.png").unlink()
    assert filling(sync=True, copy=copy) == Summary(0, removed=1, duplicates=1)
    assert len(list(filling.catalogue.list())) == 3


def test_sync_keeps_to_its_source_and_its_parts(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b", c_png="c")
    rows = [Entry(f"{x}.png", "image", x, part=part) for x, part in zip("abc", ("test", "val", "val"), strict=True)]

    def source(name: str, *parts: str) -> Source:
        chosen = [row for row in rows if not parts or row.part in parts]
        return Source(filling.root, chosen, name, frozenset(parts) if parts else None)

    filling.of(source("one.csv"))
    assert filling.of(Source(filling.root, rows[:1], "two.csv"), sync=True).removed == 0
    filling.of(source("one.csv"))
    rows[2] = replace(rows[2], part="train")
    assert filling.of(source("one.csv", "test"), sync=True).removed == 0
    assert filling.of(source("one.csv", "val"), sync=True).removed == 1
    assert filling.paths == ["a.png", "b.png"]


def test_what_lies_in_a_folder_that_can_not_be_read_is_kept(filling: Filling) -> None:
    (filling.root / "sub").mkdir()
    files(filling.root, a_png="a")
    files(filling.root / "sub", b_png="b")
    filling([Entry("a.png", "image"), Entry("sub/b.png", "image")])
    closed = Source(filling.root, [Entry("a.png", "image")], closed={"sub": "sub can't be read"})
    summary = filling.of(closed, sync=True)
    assert (summary.removed, len(summary.unreadable)) == (0, 1)
    assert filling(sync=True).removed == 1


def test_a_source_without_a_single_file_empties_nothing(filling: Filling) -> None:
    files(filling.root, a_png="a")
    entries = entries_of(filling.root)
    filling(entries)
    (filling.root / "a.png").unlink()
    for nothing in ([], entries):
        with pytest.raises(CatalogueError, match=r"not one file .* is there, so nothing was removed"):
            filling(nothing, sync=True)
    assert filling.catalogue.count()["image"] == 1


def test_references_become_copies_without_the_model(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b")
    filling()
    before = {item.id: item.created for item in filling.catalogue.list()}
    assert filling(copy=True) == Summary(2, updated=2)
    assert filling.embedded == []
    assert filling.paths == []
    assert {item.id: item.created for item in filling.catalogue.list()} == before
    files(filling.root, a_png="a2", c_png="c")
    filling()  # those that are copies stay so
    assert filling.paths == ["c.png"]
    for file in filling.root.iterdir():
        file.unlink()
    item = next(item for item in filling.catalogue.list() if item.content)
    assert filling.catalogue.file(item).is_file()


NAMES = ("a.png", "b.png", "c.png", "d.wav", "e.wav")
STATES = st.lists(st.sampled_from(("", "x", "y", "z", "bad")), min_size=len(NAMES), max_size=len(NAMES))


@settings(max_examples=40, deadline=None)
@given(st.lists(STATES, min_size=1, max_size=4), st.booleans())
def test_after_any_history_a_sync_is_what_a_new_catalogue_would_be(
    tmp_path_factory: pytest.TempPathFactory, states: list[list[str]], copy: bool
) -> None:
    folder = tmp_path_factory.mktemp("world")
    root = folder / "media"
    root.mkdir()
    catalogue = LocalCatalogue.create(folder / "index", "f", DIMENSION, root)
    try:
        for state in states:
            for name, text in zip(NAMES, state, strict=True):
                if text:
                    files(root, **{name.replace(".", "_"): text})
                else:
                    (root / name).unlink(missing_ok=True)
            if any(state):
                summary = Filling(catalogue, root)(sync=True, copy=copy)
                good = [(name, text) for name, text in zip(NAMES, state, strict=True) if text not in ("", "bad")]
                unique = {hashlib.sha256(text.encode()).hexdigest() for _, text in good}
                assert {item.id for item in catalogue.list()} == unique
                assert summary.images + summary.sounds == len(unique)
                assert summary.duplicates == len(good) - len(unique)
                assert len(summary.unreadable) == state.count("bad")
                for item in catalogue.list():
                    assert np.allclose(catalogue.vectors([item.id])[0], vector(catalogue.file(item).read_bytes()))
    finally:
        catalogue.close()
