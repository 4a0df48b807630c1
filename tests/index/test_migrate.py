from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import Catalogue, CatalogueError, Item, Modality
from index.content import content_hash
from index.local import LocalCatalogue
from index.migrate import Migration, migrate
from index.milvus import MilvusCatalogue
from index.milvus_address import Address
from index.stores import create_catalogue, is_catalogue, open_catalogue

D = 16
N = 150


def unit(count: int) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(0).normal(size=(count, D)).astype(np.float32)
    normed: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


@pytest.fixture
def source(tmp_path: Path) -> LocalCatalogue:
    """Files by reference and contents, tags, metadata, ties."""
    catalogue = LocalCatalogue.create(tmp_path / "source", "f", D, tmp_path)
    items, contents = [], {}
    for n in range(N):
        data = f"bytes {n % 40}".encode()
        modality = "sound" if n % 3 else "image"
        if n % 2:
            contents[content_hash(data)] = data
            item = Item(f"i{n}", modality, "", "audio/wav", content=content_hash(data))  # type: ignore[arg-type]
        else:
            (tmp_path / f"{n}.jpg").write_bytes(data)
            item = Item(f"i{n}", modality, f"{n}.jpg", "image/jpeg")  # type: ignore[arg-type]
        items.append(replace(item, label="ab"[n % 2], tags=("t",) * (n % 4 == 0), metadata={"n": n, "x": [n % 5 == 0]}))
    catalogue.put(items, unit(N)[np.arange(N) % 100], contents)
    return catalogue


def known(catalogue: Catalogue) -> list[Item]:
    return [replace(item, created="", updated="") for item in catalogue.list()]


def equal(one: Catalogue, other: Catalogue) -> bool:
    ids = [item.id for item in one.list()]
    return known(one) == known(other) and one.vectors(ids).tobytes() == other.vectors(ids).tobytes()


def test_there_and_back_everything_is_equal(
    source: LocalCatalogue, milvus_address: Callable[..., Address], tmp_path: Path
) -> None:
    told: list[tuple[str, int]] = []

    def track(items: Iterable[Any], what: str, total: int) -> Iterable[Any]:
        told.append((what, total))
        return items

    middle = MilvusCatalogue.create(milvus_address(), "f", D)
    there = migrate(source, middle, batch=40, sample=50, track=track)
    counts: dict[Modality, int] = {"image": 50, "sound": 100}
    assert replace(there, difference=0.0) == Migration(N, 0, 20, counts, counts, 50, 1.0, 0.0, 50, (), 0.99)
    assert there.difference < 1e-6
    assert there.faults == []
    assert told == [("migrating", N)]
    assert equal(source, middle)
    assert [item.created for item in middle.list()] == [item.created for item in source.list()]
    back = LocalCatalogue.create(tmp_path / "back", "f", D, tmp_path)
    again = migrate(middle, back, sample=50)
    assert (again.moved, again.contents, again.faults) == (N, 20, [])
    assert equal(source, back)
    assert [item.created for item in back.list()] == [item.created for item in source.list()]
    assert sorted(back.content.hashes()) == sorted(source.content.hashes())
    for catalogue in (source, middle, back):
        catalogue.close()


def test_a_migration_that_was_stopped_goes_on(
    source: LocalCatalogue, milvus_address: Callable[..., Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = MilvusCatalogue.create(milvus_address(), "f", D)
    put, rounds = target.put, []

    def stops(*arguments: object) -> None:
        rounds.append(arguments)
        if len(rounds) == 3:
            raise KeyboardInterrupt
        put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(target, "put", stops)
    with pytest.raises(KeyboardInterrupt):
        migrate(source, target, batch=40)
    monkeypatch.undo()
    assert sum(target.count().values()) == 80
    source.update([replace(item, label="changed") for item in source.list() if item.id == "i5"])
    report = migrate(source, target, batch=40)
    assert (report.moved, report.kept, report.faults) == (71, 79, [])
    assert sorted(item.id for item in target.list()) == sorted(item.id for item in source.list())
    assert [item.label for item in target.list() if item.id == "i5"] == ["changed"]
    assert migrate(source, target).moved == 0
    source.close()
    target.close()


def test_an_approximate_index_is_measured(source: LocalCatalogue, milvus_address: Callable[..., Address]) -> None:
    with_graph = MilvusCatalogue.create(milvus_address("HNSW"), "f", D)
    assert migrate(source, with_graph).recall >= 0.99
    source.close()
    with_graph.close()


def test_what_is_not_equal_is_said(source: LocalCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = LocalCatalogue.create(tmp_path / "deep" / "target", "f", D, tmp_path / "deep")
    stray = Item("stray", "image", "x.jpg", "image/jpeg")
    elsewhere.put([stray], -unit(1))
    report = migrate(source, elsewhere, sample=N)
    assert len(report.missing) == N // 2
    assert [fault.partition(":")[0] for fault in report.faults] == [
        "the target holds 51 images and the source 50",
        f"75 of {N} sampled files are not in their place for the target, such as that of {report.missing[0]}",
    ]
    search = elsewhere.search

    def poor(vectors: npt.NDArray[np.float32], *arguments: object) -> object:
        return search(np.roll(vectors, 1, axis=1), *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(elsewhere, "search", poor)
    faults = " ".join(migrate(source, elsewhere).faults)
    assert "of the source's neighbours, less than 0.99" in faults
    assert "scores differ" in faults
    source.close()
    elsewhere.close()


def test_vectors_of_another_model_are_refused(source: LocalCatalogue, tmp_path: Path) -> None:
    for number, (fingerprint, dimension) in enumerate((("other", D), ("f", D + 1))):
        target = LocalCatalogue.create(tmp_path / f"other{number}", fingerprint, dimension, tmp_path)
        with pytest.raises(CatalogueError, match="vectors of another model"):
            migrate(source, target)
        target.close()
    source.close()


def test_an_empty_catalogue_and_a_lost_content(tmp_path: Path, milvus_address: Callable[..., Address]) -> None:
    empty = LocalCatalogue.create(tmp_path / "empty", "f", D, tmp_path)
    with closing(MilvusCatalogue.create(milvus_address(), "f", D)) as target:
        assert migrate(empty, target).faults == []
        hash = content_hash(b"x")
        empty.put([Item("a", "image", "", "image/png", content=hash)], unit(1), {hash: b"x"})
        shutil.rmtree(tmp_path / "empty" / "content")
        with pytest.raises(CatalogueError, match="the file of item a"):
            migrate(empty, target)
    empty.close()


def test_stores_are_opened_by_their_place(tmp_path: Path, milvus_address: Callable[..., Address]) -> None:
    address = milvus_address()
    text = f"{address}?root={tmp_path}"
    for place in (text, Path(text), tmp_path / "folder", str(tmp_path / "other")):
        if place != Path(text):
            assert not is_catalogue(place)
            create_catalogue(place, "f", D, tmp_path).close()
        assert is_catalogue(place)
        opened = open_catalogue(place)
        assert (opened.fingerprint, opened.dimension, opened.writable) == ("f", D, False)
        assert opened.root == tmp_path
        opened.close()


def test_the_command_migrates_proves_and_says_what_is_wrong(
    source: LocalCatalogue, milvus_address: Callable[..., Address], tmp_path: Path, bma: Callable[..., Any]
) -> None:
    source.close()
    address = milvus_address()
    place = f"{address}?root={tmp_path}&content={address.content}&index=FLAT"
    done = bma("index", "migrate", str(tmp_path / "source"), place, "--json")
    report = json.loads(done.stdout)
    assert (report["moved"], report["kept"], report["recall"], report["faults"]) == (N, 0, 1.0, [])
    assert "is the same as" in bma("index", "migrate", place, str(tmp_path / "back")).stdout
    with closing(open_catalogue(tmp_path / "back")) as back, closing(open_catalogue(tmp_path / "source")) as first:
        assert equal(first, back)
        assert back.root == tmp_path
    for file in tmp_path.glob("*.jpg"):
        file.unlink()
    with closing(open_catalogue(tmp_path / "back", writable=True)) as back:
        back.put([Item("stray", "image", "x.jpg", "image/jpeg")], unit(1))
    wrong = bma("index", "migrate", place, str(tmp_path / "back"), "--json")
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["faults"] == ["the target holds 51 images and the source 50: it held others before"]
