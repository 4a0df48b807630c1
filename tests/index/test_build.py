from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from index.build import BATCH, Embedded, Entry, Summary, Unreadable, build
from index.local import LocalCatalogue


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[LocalCatalogue]:
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", 2, tmp_path)
    yield catalogue
    catalogue.close()


class Model:
    """Stands in for a model: unit vectors by file name, and a complaint about names with `bad`."""

    def __init__(self) -> None:
        self.batches: list[list[Entry]] = []

    def __call__(self, entries: Sequence[Entry]) -> list[Embedded | Unreadable]:
        self.batches.append(list(entries))
        return [
            Unreadable(entry.path, f"{entry.path} is damaged; export it again")
            if "bad" in entry.path
            else Embedded(np.array([0, 1], np.float32), "image/png" if entry.modality == "image" else "audio/wav")
            for entry in entries
        ]


def files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).write_bytes(name.encode())


def test_entries_become_items_with_all_they_say(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    files(tmp_path, "a.png", "a.wav")
    entries = [
        Entry("a.png", "image", "1:image", "dog", ("wet",), {"split": "test"}),
        Entry("a.wav", "sound", "1:sound", start=0.5, duration=2.0),
    ]
    assert build(catalogue, tmp_path, entries, Model()) == Summary(images=1, sounds=1)
    image, sound = catalogue.list()
    assert (image.id, image.path, image.label, image.tags) == ("1:image", "a.png", "dog", ("wet",))
    assert (image.media_type, image.metadata, sound.media_type) == ("image/png", {"split": "test"}, "audio/wav")


def test_without_an_id_the_content_names_the_item(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    files(tmp_path, "a.wav", "b.wav")
    (tmp_path / "copy.wav").write_bytes(b"a.wav")
    pieces = [Entry("a.wav", "sound", start=1.0), Entry("a.wav", "sound", duration=1.0)]
    build(catalogue, tmp_path, [*map(sounds, ("a.wav", "b.wav", "copy.wav")), *pieces], Model())
    ids = [item.id for item in catalogue.list()]
    assert len(ids) == 4  # the copy is the same sound
    build(catalogue, tmp_path, [sounds("a.wav")], Model())
    assert sorted(item.id for item in catalogue.list()) == sorted(ids)


def sounds(path: str) -> Entry:
    return Entry(path, "sound")


def test_what_can_not_be_used_is_listed_and_the_rest_goes_on(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    root = tmp_path / "media"
    root.mkdir()
    files(root, "bad.png", "good.png", "odd.png", "first.png", "second.png")
    files(tmp_path, "outside.png")
    entries = [
        Entry("bad.png", "image"),
        Entry("../outside.png", "image"),
        Entry("odd.png", "image", id="not an id"),
        Entry("first.png", "image", id="same"),
        Entry("second.png", "image", id="same"),
        Entry("good.png", "image"),
    ]
    summary = build(catalogue, root, entries, Model())
    assert [item.path for item in catalogue.list()] == ["first.png", "good.png"]
    assert (summary.images, summary.sounds) == (2, 0)
    summary.write_unreadable(tmp_path / "unreadable.csv")
    with (tmp_path / "unreadable.csv").open(newline="") as stream:
        reasons = {row["file"]: row["reason"] for row in csv.DictReader(stream)}
    assert reasons.keys() == {"bad.png", "../outside.png", "odd.png", "second.png"}
    assert all(reason.startswith(file) for file, reason in reasons.items())
    assert "lies outside the folder" in reasons["../outside.png"]
    assert "'not an id' can't be an id; use" in reasons["odd.png"]
    assert "the id 'same' that first.png has; give each row an id of its own" in reasons["second.png"]


def test_a_name_that_is_no_text_is_listed_and_the_rest_goes_on(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    names = ["good.png", os.fsdecode(b"caf\xe9.png"), "better.png", os.fsdecode(b"t\xf6ne\n.wav")]
    files(tmp_path, names[0], names[2])
    entries = [Entry(name, "sound" if name.endswith("wav") else "image") for name in names]
    summary = build(catalogue, tmp_path, entries, Model())
    assert sorted(item.path for item in catalogue.list()) == ["better.png", "good.png"]
    assert [unreadable.path for unreadable in summary.unreadable] == [r"caf\udce9.png", r"t\udcf6ne\n.wav"]
    assert all("not UTF-8; rename it" in unreadable.reason for unreadable in summary.unreadable)
    assert all(unreadable.reason.isprintable() for unreadable in summary.unreadable)
    summary.write_unreadable(tmp_path / "unreadable.csv")
    assert r"caf\udce9.png" in (tmp_path / "unreadable.csv").read_text(encoding="utf-8")


def test_the_model_is_asked_in_batches_of_one_modality(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(BATCH)] + [f"{n}.wav" for n in range(10)]
    files(tmp_path, *names)
    model = Model()
    entries = [Entry(name, "image" if name.endswith("png") else "sound", id=name) for name in sorted(names)]
    build(catalogue, tmp_path, entries, model)
    assert all(len({entry.modality for entry in batch}) == 1 for batch in model.batches)
    assert all(len(batch) <= BATCH for batch in model.batches)
    assert catalogue.count() == {"image": BATCH, "sound": 10}


def test_finished_batches_stay_when_the_build_breaks(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    files(tmp_path, *(f"{n}.png" for n in range(BATCH)))

    def entries() -> Iterator[Entry]:
        yield from (Entry(f"{n}.png", "image", id=str(n)) for n in range(BATCH))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(catalogue, tmp_path, entries(), Model())
    build(catalogue, tmp_path, (Entry(f"{n}.png", "image", id=str(n)) for n in range(BATCH)), Model())
    assert catalogue.count() == {"image": BATCH, "sound": 0}
