"""A build: what becomes an item, what is left out, and how it survives being stopped."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from index.batch import ITEMS
from index.build import build
from index.catalogue import Item
from index.check import check
from index.local import LocalCatalogue
from index.source import Embedded, Entry, Source, Unreadable
from index.summary import Summary, write_unreadable
from tests.index.fake import DIMENSION, Filling, Model, files, vector

ROOT = Path(__file__).parents[2]


@pytest.fixture
def filling(tmp_path: Path) -> Iterator[Filling]:
    root = tmp_path / "media"
    root.mkdir()
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", DIMENSION, root)
    yield Filling(catalogue, root)
    catalogue.close()


def test_entries_become_items_with_all_they_say(filling: Filling) -> None:
    files(filling.root, a_png="a", a_wav="b")
    entries = [
        Entry("a.png", "image", "1:image", "dog", ("wet",), {"split": "test"}),
        Entry("a.wav", "sound", "1:sound", start=0.5, duration=2.0),
    ]
    assert filling(entries) == Summary(images=1, sounds=1, added=2)
    image, sound = filling.catalogue.list()
    assert (image.id, image.path, image.label, image.tags) == ("1:image", "a.png", "dog", ("wet",))
    assert (image.media_type, image.metadata, sound.media_type) == ("image/png", {"split": "test"}, "audio/wav")


def test_without_an_id_the_content_names_the_item(filling: Filling) -> None:
    files(filling.root, a_wav="a", b_wav="b", copy_wav="a")
    pieces = [Entry("a.wav", "sound", start=1.0), Entry("a.wav", "sound", duration=1.0)]
    whole = [Entry(path, "sound") for path in ("a.wav", "b.wav", "copy.wav")]
    assert filling([*whole, *pieces]) == Summary(sounds=4, added=4, duplicates=1)
    ids = [item.id for item in filling.catalogue.list()]
    assert filling([*whole, *pieces]) == Summary(sounds=4, unchanged=4, duplicates=1)
    assert [item.id for item in filling.catalogue.list()] == ids


def test_what_is_gone_is_counted_and_stays(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b", c_png="c")
    entries = [Entry(path, "image") for path in ("a.png", "b.png", "c.png")]
    assert filling(entries) == Summary(images=3, added=3)
    (filling.root / "b.png").unlink()
    assert filling([entries[0], entries[2]]) == Summary(images=2, unchanged=2, gone=1)
    assert len(list(filling.catalogue.list())) == 3
    assert filling([entries[0], entries[2]], sync=True) == Summary(images=2, unchanged=2, removed=1)


def test_a_file_that_has_anothers_content_now_has_no_item_any_more_and_that_is_counted(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b")
    entries = [Entry(path, "image") for path in ("a.png", "b.png")]
    filling(entries)
    files(filling.root, b_png="a")
    assert filling(entries) == Summary(images=1, unchanged=1, removed=1, duplicates=1)
    assert [item.path for item in filling.catalogue.list()] == ["a.png"]


def test_what_can_not_be_used_is_listed_and_the_rest_goes_on(filling: Filling, tmp_path: Path) -> None:
    files(filling.root, bad_png="bad", good_png="good", odd_png="odd", first_png="1", second_png="2")
    files(tmp_path, outside_png="outside")
    (filling.root / "link.png").symlink_to(tmp_path / "nothing.png")
    entries = [
        Entry("bad.png", "image"),
        Entry("../outside.png", "image"),
        Entry("odd.png", "image", id="not an id"),
        Entry("first.png", "image", id="same"),
        Entry("second.png", "image", id="same"),
        Entry("gone.png", "image"),
        Entry("link.png", "image"),
        Entry("good.png", "image"),
    ]
    summary = filling(entries)
    assert filling.paths == ["first.png", "good.png"]
    assert (summary.images, summary.sounds) == (2, 0)
    write_unreadable(tmp_path / "unreadable.csv", summary.unreadable)
    with (tmp_path / "unreadable.csv").open(newline="") as stream:
        reasons = {row["file"]: row["reason"] for row in csv.DictReader(stream)}
    assert reasons.keys() == {"bad.png", "../outside.png", "odd.png", "second.png", "gone.png", "link.png"}
    assert all(reason.startswith(file) for file, reason in reasons.items())
    assert "lies outside the folder" in reasons["../outside.png"]
    assert reasons["link.png"] == reasons["gone.png"].replace("gone", "link")  # whose target is not there
    assert "'not an id' can't be an id; use" in reasons["odd.png"]
    assert "the id 'same' that first.png has; give each row an id of its own" in reasons["second.png"]
    assert [file.name for file in tmp_path.glob(".unreadable*")] == []


def test_a_name_that_is_no_text_is_listed_and_the_rest_goes_on(filling: Filling, tmp_path: Path) -> None:
    files(filling.root, good_png="1", better_png="2")
    names = ["good.png", os.fsdecode(b"caf\xe9.png"), "better.png", os.fsdecode(b"t\xf6ne\n.wav")]
    summary = filling([Entry(name, "sound" if name.endswith("wav") else "image") for name in names])
    assert filling.paths == ["better.png", "good.png"]
    assert [unreadable.path for unreadable in summary.unreadable] == [r"caf\udce9.png", r"t\udcf6ne\n.wav"]
    assert all("not UTF-8; rename it" in unreadable.reason for unreadable in summary.unreadable)
    assert all(unreadable.reason.isprintable() for unreadable in summary.unreadable)
    write_unreadable(tmp_path / "unreadable.csv", summary.unreadable)
    assert r"caf\udce9.png" in (tmp_path / "unreadable.csv").read_text(encoding="utf-8")


def test_files_that_are_alike_and_unreadable_each_have_their_reason(filling: Filling) -> None:
    files(filling.root, a_png="bad", b_png="bad", b_wav="bad")
    summary = filling()
    assert sorted(unreadable.path for unreadable in summary.unreadable) == ["a.png", "b.png", "b.wav"]
    assert summary.duplicates == 0


def test_a_catalogue_of_before_there_were_stamps_is_taken_over(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b", c_wav="c", d_png="d")
    piece = Entry("c.wav", "sound", metadata={"start": 1.0}, start=1.0)
    entries = [Entry("a.png", "image"), Entry("b.png", "image", "1:image"), piece, Entry("d.png", "image")]
    filling(entries)
    for item in list(filling.catalogue.list()):
        filling.catalogue.delete([item.id])
        id = "0" * 64 if item.modality == "sound" else item.id  # these were made in another way
        plain = Item(id, item.modality, item.path, item.media_type, metadata=item.metadata)
        filling.catalogue.put([plain], vector((filling.root / item.path).read_bytes())[None])
    (filling.root / "d.png").rename(filling.root / "e.png")
    entries[3] = Entry("e.png", "image")
    summary = filling(entries)
    assert filling.embedded == ["b.png", "c.wav"]  # of the others the id says what they are
    assert (summary.updated, summary.changed) == (2, 2)
    assert filling(entries).unchanged == 4
    assert len(list(filling.catalogue.list())) == 4


def test_finished_batches_stay_when_the_build_breaks(filling: Filling) -> None:
    count = ITEMS + 10
    files(filling.root, **{f"{n}_png": str(n) for n in range(count)})

    def breaks(entries: Iterable[tuple[int, Entry]]) -> Iterator[tuple[int, Embedded | Unreadable]]:
        yield from Model(filling.root)(entries)
        raise KeyboardInterrupt

    entries = [Entry(f"{n}.png", "image") for n in range(count)]
    with pytest.raises(KeyboardInterrupt):
        build(filling.catalogue, Source(filling.root, entries), breaks)
    assert filling.catalogue.count()["image"] >= ITEMS
    filling(entries)
    assert len(filling.embedded) <= 10
    assert filling.catalogue.count()["image"] == count


SLOW = """
import sys, time
from pathlib import Path
from index import batch
from index.build import build
from index.local import LocalCatalogue
from index.source import Source
from tests.index.fake import Model, entries_of

batch.SECONDS, batch.ITEMS = 0.02, 3

class Slow(Model):
    def __call__(self, entries):
        for result in super().__call__(entries):
            time.sleep(0.003)
            yield result

folder, root, copy = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "copy"
catalogue = LocalCatalogue.open(folder, writable=True)
print("begun", flush=True)
model = Slow(root)
build(catalogue, Source(root, entries_of(root)), model, copy=copy, remove=True)
print(len(model.seen), flush=True)
"""


@pytest.mark.parametrize("how", ["copy", "reference"])
def test_killed_again_and_again_it_does_only_the_rest(tmp_path: Path, how: str) -> None:
    root, folder, count = tmp_path / "media", tmp_path / "index", 150
    files(root, **{f"{n:03}_png": f"{n % 140}" for n in range(count)})
    LocalCatalogue.create(folder, "f", DIMENSION, root).close()
    command = [sys.executable, "-c", SLOW, str(folder), str(root), how]
    done, rounds = 0, 0
    while done < 140 and rounds < 40:
        rounds += 1
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.02 * rounds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        catalogue = LocalCatalogue.open(folder, writable=True)
        before, done = done, sum(catalogue.count().values())
        catalogue.close()
        assert check(folder, True) == []
        assert done >= before
        if rounds == 5:
            (root / "000.png").write_text("other")
    rest = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(rest.stdout.split()[1]) <= max(0, 140 - done) + 4
    catalogue = LocalCatalogue.open(folder, writable=True)
    filling = Filling(catalogue, root)
    summary = filling(copy=how == "copy")
    assert (summary.unchanged, summary.duplicates, filling.embedded) == (141, 9, [])
    assert rounds > 3
    catalogue.close()


def test_vectors_are_those_of_the_content(filling: Filling) -> None:
    files(filling.root, a_png="a", b_png="b")
    filling()
    vectors = filling.catalogue.vectors([item.id for item in filling.catalogue.list()])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
