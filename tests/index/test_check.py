"""What `check` says of each kind of damage, and that `compact` and `rebuild` mend what they say they mend."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import CatalogueError, Item, Modality
from index.check import check
from index.compact import compact
from index.content import content_hash
from index.database import DATABASE
from index.local import LocalCatalogue
from index.rebuild import rebuild
from index.snapshot import Snapshots
from index.tuning import Tuning

D = 8
TUNING = Tuning(exact=200)


def unit(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    normed: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed catalogue: 600 images by reference in lists, 5 sounds with content."""
    (tmp_path / "a.jpg").write_bytes(b"a")
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path, TUNING)
    items = [Item(f"i{n}", "image", "a.jpg", "image/jpeg", tags=("t",), metadata={"n": n}) for n in range(600)]
    catalogue.put(items, unit(600))
    for n in range(5):
        data = f"sound {n}".encode()
        sound = Item(f"s{n}", "sound", "", "audio/wav", content=content_hash(data))
        catalogue.put([sound], unit(1, n), {content_hash(data): data})
    catalogue.upkeep.finish()
    assert not catalogue.neighbours("image").is_exact
    catalogue.close()
    return tmp_path / "index"


def spoil(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / DATABASE)
    for statement in statements:
        assert connection.execute(statement).rowcount
    connection.commit()
    connection.close()


def only(findings: list[str]) -> str:
    assert len(findings) == 1, findings
    return findings[0]


def test_nothing_is_said_of_what_is_right(folder: Path) -> None:
    assert check(folder, deep=True) == []


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("DELETE FROM vectors WHERE number = 7", "1 items have no vector: i6"),
        ("DELETE FROM tags WHERE number = 3", "1 tags are not those of their items"),
        ("UPDATE fields SET value = 99 WHERE number = 3", "2 metadata fields are not those of their items"),
    ],
)
def test_tables_that_disagree_are_named(folder: Path, statement: str, finding: str) -> None:
    spoil(folder, statement)
    assert finding in "; ".join(check(folder))


def test_a_vector_that_the_index_has_otherwise_is_found(folder: Path) -> None:
    other = unit(1, seed=9)[0].tobytes().hex()
    spoil(folder, f"UPDATE vectors SET z = x'{other}' WHERE number = 12")
    assert "1 images have another vector in the index" in only(check(folder))
    rebuild(folder, TUNING)
    assert check(folder) == []


def test_content_that_is_gone_changed_or_spare_is_found(folder: Path) -> None:
    first, second, *_ = sorted((folder / "content").glob("*/*"))
    first.unlink()
    assert "1 item without a file in its place" in only(check(folder))
    second.write_bytes(b"another")
    assert len(check(folder)) == 1
    assert "not as it was put" in check(folder, deep=True)[1]
    (folder / "content" / "ab").mkdir(exist_ok=True)
    (folder / "content" / "ab" / ("ab" + "0" * 62)).write_bytes(b"x")
    (folder / "content" / "ab" / ".half").write_bytes(b"x")
    assert "2 files of content belong to no item" in check(folder)[1]
    assert compact(folder, TUNING)["contents"] == 2
    assert "without a file in its place" in only(check(folder))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone", "document", "nonsense"])
def test_a_damaged_snapshot_is_made_anew_without_an_error(folder: Path, damage: str) -> None:
    file = next((folder / "faiss").glob("image-*.faiss"))
    document = folder / "faiss" / "image.json"
    data = bytearray(file.read_bytes())
    if damage == "truncated":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif damage == "gone":
        file.unlink()
    elif damage == "document":
        document.write_text(document.read_text().replace('"lists": ', '"lists": 1'))
    else:
        document.write_text("[]")
    assert "the snapshot of images is damaged" in only(check(folder))
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=TUNING)
    vectors = unit(600)
    hits = catalogue.search(vectors[:50], "image", 1)
    assert [row[0].item.id for row in hits] == [f"i{n}" for n in range(50)]
    catalogue.upkeep.finish()
    catalogue.close()
    assert check(folder) == []
    assert [f.name for f in (folder / "faiss").glob("*.faiss")] != [file.name]


def test_an_older_snapshot_is_brought_up_to_date(folder: Path, tmp_path: Path) -> None:
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=TUNING)
    catalogue.delete(["i1", "i2"])
    catalogue.put([Item("new", "image", "a.jpg", "image/jpeg")], unit(1, seed=77))
    catalogue.close()
    again = LocalCatalogue.open(folder, tuning=TUNING)
    assert not again.neighbours("image").is_exact
    assert again.count() == {"image": 599, "sound": 5}
    assert again.search(unit(1, seed=77), "image", 1)[0][0].item.id == "new"
    assert again.search(unit(600)[1:2], "image", 1)[0][0].item.id != "i1"
    again.close()
    assert check(folder) == []


def test_compact_gives_room_back_and_loses_nothing(folder: Path) -> None:
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=TUNING)
    catalogue.delete([f"i{n}" for n in range(500)])
    left = list(catalogue.list())
    catalogue.close()
    sizes = compact(folder, TUNING)
    assert sizes["after"] < 0.7 * sizes["before"]
    catalogue = LocalCatalogue.open(folder)
    assert list(catalogue.list()) == left
    catalogue.close()
    assert check(folder, deep=True) == []


def test_rebuild_makes_the_filters_tables_anew(folder: Path) -> None:
    spoil(folder, "DELETE FROM tags WHERE number < 100", "DELETE FROM fields WHERE number < 50")
    assert len(check(folder)) == 2
    made = rebuild(folder, TUNING)
    assert made["image"] == {"count": 600, "kind": "ivf-flat", "lists": made["image"]["lists"]}
    assert made["sound"] == {"count": 5, "kind": "flat", "lists": 0}
    assert check(folder) == []


def test_a_snapshot_that_is_replaced_while_it_is_read_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Snapshots(folder)
    neighbours = writer.load("image")
    assert neighbours is not None
    read, documents = Snapshots.read, list[str]()

    def overtaken(self: Snapshots, modality: Modality) -> dict[str, Any]:
        document = read(self, modality)
        if not documents:  # the writer saves another between the document and its file
            documents.append(document["file"])
            monkeypatch.setattr(Snapshots, "read", read)
            writer.save("image", neighbours)
            assert not (folder / "faiss" / document["file"]).exists()
        return document

    monkeypatch.setattr(Snapshots, "read", overtaken)
    found = Snapshots(folder).load("image")
    assert found is not None
    assert found.position == neighbours.position
    assert documents
    assert caplog.text == ""


def test_a_catalogue_that_is_open_for_writing_is_neither_compacted_nor_rebuilt(folder: Path) -> None:
    catalogue = LocalCatalogue.open(folder, writable=True)
    for work in (compact, rebuild):
        with pytest.raises(CatalogueError, match="is open for writing elsewhere by process"):
            work(folder)
    assert check(folder) == []
    catalogue.close()


def test_content_lives_as_long_as_an_item_that_has_it(tmp_path: Path) -> None:
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path)
    data, hash = b"shared", content_hash(b"shared")
    both = [Item(id, "image", "", "image/png", content=hash) for id in ("a", "b")]
    catalogue.put(both, unit(2), {hash: data})
    file = catalogue.file(both[0])
    catalogue.delete(["a"])
    assert file.read_bytes() == data
    catalogue.delete(["b"])
    assert not file.exists()
    with pytest.raises(ValueError, match="content of item a is not here"):
        catalogue.put(both[:1], unit(1))
    with pytest.raises(ValueError, match="another SHA-256"):
        catalogue.put(both[:1], unit(1), {hash: b"other"})
    with pytest.raises(ValueError, match="unit length"):
        catalogue.put(both[:1], 2 * unit(1), {hash: data})
    bad = Item("c", "image", "", "image/png", content=hash, metadata={"x": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        catalogue.put([bad], unit(1), {hash: data})
    assert not file.exists()
    assert check(catalogue.folder) == []
    catalogue.close()
