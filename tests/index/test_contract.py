"""What every store does alike: each test runs on a catalogue in a folder and on one in Milvus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import BadCursor, Catalogue, FileGone, Item, Modality, NoSuchItem, NotWritable
from index.content import content_hash
from index.filter import Filter
from index.local import LocalCatalogue
from index.milvus import MilvusCatalogue
from index.milvus_address import Address

D = 8
Vectors = npt.NDArray[np.float32]
Store = LocalCatalogue | MilvusCatalogue


@pytest.fixture(params=["local", "FLAT", "HNSW"])
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new catalogue whose files lie below the test's folder."""
    made: Store
    if request.param == "local":
        made = LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path)
    else:
        address: Callable[..., Address] = request.getfixturevalue("milvus_address")
        made = MilvusCatalogue.create(address(request.param), "f", D)
    yield made
    made.close()


def item(id: str, modality: Modality = "image", label: str = "", path: str = "a.jpg") -> Item:
    return Item(id, modality, path, "image/jpeg", label)


def unit(count: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    normed: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


def reader(catalogue: Store) -> Store:
    """The same catalogue, opened once more for reading."""
    if isinstance(catalogue, LocalCatalogue):
        return LocalCatalogue.open(catalogue.folder)
    return MilvusCatalogue.open(catalogue.address)


def found(catalogue: Catalogue, vector: Vectors, k: int = 100, modality: Modality = "image") -> list[str]:
    return [hit.item.id for hit in catalogue.search(vector.reshape(1, -1), modality, k)[0]]


def test_what_was_put_comes_back_whole(catalogue: Catalogue) -> None:
    metadata = {"year": 2024, "no": None, "deep": [{"é\"'\\": -0.5}], "large": 2**80, "edge": 2**53 + 1, "": "𝄞\n"}
    whole = Item("a:image", "image", "x/é'\".jpg", "image/jpeg", "dog\\", ("wet", "two words"), metadata, stamp="1 2")
    catalogue.put([whole], unit(1))
    got = catalogue.get("a:image")
    assert got is not None
    assert got.created == got.updated
    assert got.created.endswith("+00:00")
    assert {**vars(got), "created": "", "updated": ""} == vars(whole)
    assert list(catalogue.list()) == [got]
    assert catalogue.at(["x/é'\".jpg", "b.jpg", ""]) == [got]
    assert catalogue.count() == {"image": 1, "sound": 0}
    assert catalogue.get("b") is None
    assert catalogue.get("'] or id != ['") is None
    assert catalogue.vectors(["a:image"]).tobytes() == unit(1).tobytes()
    with pytest.raises(NoSuchItem, match="there is no item b"):
        catalogue.vectors(["a:image", "b"])


def test_every_change_is_told_to_readers_where_it_can_be(catalogue: Store) -> None:
    with closing(reader(catalogue)) as other:
        seen = [other.changes()]
        if seen == [None]:
            assert isinstance(catalogue, MilvusCatalogue)
            return
        catalogue.put([item("a"), item("b")], unit(2))
        seen.append(other.changes())
        assert other.changes() == seen[-1]
        catalogue.update([item("a", label="dog")])
        seen.append(other.changes())
        catalogue.delete(["b"])
        seen.append(other.changes())
        assert len(set(seen)) == 4
        assert catalogue.changes() == seen[-1]


def test_labels_are_counted(catalogue: Catalogue) -> None:
    assert catalogue.labels() == {}
    labels = ["dog", "cat", "dog", "", "dog", "'é\" 1", "DOG"]
    items = [item(str(number), "sound" if number == 4 else "image", label) for number, label in enumerate(labels)]
    catalogue.put(items, unit(len(items)))
    assert catalogue.labels() == {"dog": 3, "cat": 1, "'é\" 1": 1, "DOG": 1}
    assert catalogue.labels("image") == {"dog": 2, "cat": 1, "'é\" 1": 1, "DOG": 1}
    assert catalogue.labels("sound") == {"dog": 1}
    catalogue.update([item("1", "image", "dog")])
    catalogue.delete(["4", "6"])
    assert catalogue.labels() == {"dog": 3, "'é\" 1": 1}
    assert catalogue.labels("sound") == {}


def test_putting_an_id_again_replaces_it_keeps_its_birth_and_moves_it_to_the_end(catalogue: Catalogue) -> None:
    first, second = unit(2)
    catalogue.put([item("a"), item("b")], np.stack([first, second]))
    born = catalogue.get("a")
    catalogue.put([item("a", label="new")], -first.reshape(1, -1))
    again = catalogue.get("a")
    assert born is not None
    assert again is not None
    assert (again.label, again.created) == ("new", born.created)
    assert catalogue.count() == {"image": 2, "sound": 0}
    assert [entry.id for entry in catalogue.list()] == ["b", "a"]
    assert catalogue.search(first.reshape(1, -1), "image", 5)[0][-1].score == pytest.approx(-1, abs=1e-5)


def test_ids_are_one_namespace(catalogue: Catalogue) -> None:
    catalogue.put([item("a"), item("a", "sound"), item("a", "sound", "last")], unit(3))
    assert catalogue.count() == {"image": 0, "sound": 1}
    assert [entry.label for entry in catalogue.list()] == ["last"]
    assert found(catalogue, unit(3)[2], modality="sound") == ["a"]
    catalogue.put([item("a", "image", "moved")], unit(1))
    assert catalogue.count() == {"image": 1, "sound": 0}
    assert catalogue.delete(["a", "a", "b"]) == ["a"]
    assert catalogue.count() == {"image": 0, "sound": 0}


def test_update_replaces_all_but_the_vector(catalogue: Catalogue) -> None:
    catalogue.put([item("a"), item("b")], unit(2))
    catalogue.update([Item("a", "image", "c.jpg", "image/png", "new", ("t",), {"x": 1})])
    assert [(entry.id, entry.label, entry.path) for entry in catalogue.list()] == [
        ("a", "new", "c.jpg"),
        ("b", "", "a.jpg"),
    ]
    assert [entry.id for entry in catalogue.list(Filter(tags=("t",), equal={"x": 1.0}))] == ["a"]
    assert catalogue.vectors(["a"]).tobytes() == unit(2)[:1].tobytes()
    for wrong in (item("c"), item("a", "sound")):
        with pytest.raises(NoSuchItem, match="there is no item"):
            catalogue.update([item("b", label="half"), wrong])
    assert [entry.label for entry in catalogue.list()] == ["new", ""]


def test_what_can_not_be_put_changes_nothing(catalogue: Catalogue) -> None:
    catalogue.put([item("a", label="old")], unit(1))
    bad = Item("b", "image", "b.jpg", "image/jpeg", metadata={"x": float("nan")})
    lost = Item("b", "image", "", "image/jpeg", content="0" * 64)
    with pytest.raises(ValueError, match="JSON"):
        catalogue.put([item("a", label="new"), bad], unit(2))
    with pytest.raises(ValueError, match="the content of item b is not here"):
        catalogue.put([item("a", label="new"), lost], unit(2))
    for vectors in (unit(2), unit(1)[:, :3], unit(1) * 2, np.full((1, D), np.nan, np.float32)):
        with pytest.raises(ValueError, match="vectors must"):
            catalogue.put([item("b")], vectors)
    assert [(entry.id, entry.label) for entry in catalogue.list()] == [("a", "old")]
    assert found(catalogue, unit(1)[0]) == ["a"]


def test_pages_are_the_list_in_pieces(catalogue: Catalogue) -> None:
    for start in range(0, 60, 20):
        numbers = range(start, start + 20)
        items = [item(f"i{n}", "image" if n % 3 else "sound", "xy"[n % 2]) for n in numbers]
        catalogue.put(items, unit(20))
    catalogue.delete(["i7", "i8"])
    catalogue.put([item("i5", label="y")], unit(1))
    for filter in (None, Filter(labels=("y",)), Filter(labels=()), Filter(ids=("i3", "i5", "i40", "' or 1"))):
        whole = [entry.id for entry in catalogue.list(filter)]
        cursor: str | None = ""
        pieces: list[list[str]] = []
        while cursor is not None:
            page = catalogue.page(7, cursor, filter)
            pieces.append([entry.id for entry in page.items])
            cursor = page.cursor
        assert [id for piece in pieces for id in piece] == whole
        assert all(len(piece) == 7 for piece in pieces[:-1])
    assert whole == ["i3", "i40", "i5"]
    for cursor in ("x", str(2**63), f"{2**63}.i3", "7.", ".i3", "7.i/3", "²", "-1", "7\n"):
        with pytest.raises(BadCursor, match="take the one that came with the page before"):
            catalogue.page(7, cursor)


def test_search_gives_cosines_and_ties_to_what_came_first(catalogue: Catalogue) -> None:
    vectors = unit(5)
    ids = [f"i{n}" for n in np.random.default_rng(1).permutation(100)]
    catalogue.put([item(id, label=id[-1]) for id in ids], vectors[np.arange(100) % 5])
    queries = unit(3, seed=2)
    for k in (1, 7, 30, 100, 500):
        for query, hits in zip(queries, catalogue.search(queries, "image", k), strict=True):
            order = sorted(range(100), key=lambda n: (-float(vectors[n % 5] @ query), n))[:k]
            assert [hit.item.id for hit in hits] == [ids[n] for n in order]
            assert [hit.score for hit in hits] == pytest.approx(
                [float(vectors[n % 5] @ query) for n in order], abs=1e-6
            )
    labelled = catalogue.search(queries[:1], "image", 50, Filter(labels=("3", "4")))[0]
    assert sorted(hit.item.id for hit in labelled) == sorted(id for id in ids if id[-1] in "34")
    assert catalogue.search(queries, "sound", 5) == [[], [], []]
    assert catalogue.search(queries, "image", 5, Filter(ids=())) == [[], [], []]
    for wrong in (unit(1)[:, :3], unit(1)[0]):
        with pytest.raises(ValueError, match="vectors must be"):
            catalogue.search(wrong, "image", 5)
    with pytest.raises(ValueError, match=r"k must be (at least 1|1 to 16384), not 0"):
        catalogue.search(queries, "image", 0)


def test_contents_are_held_and_files_stay_below_the_root(catalogue: Catalogue, tmp_path: Path) -> None:
    hash = content_hash(b"sound")
    held = Item("held", "sound", "", "audio/wav", content=hash)
    (tmp_path / "a.jpg").write_bytes(b"image")
    outside = item("outside", path="../../../../../../../../etc/hostname")
    gone = item("gone", path="b.jpg")
    catalogue.put([held, item("a"), outside, gone], unit(4), {hash: b"sound"})
    assert catalogue.file(held).read_bytes() == b"sound"
    assert catalogue.file(item("a")).read_bytes() == b"image"
    for wrong in (outside, gone):
        with pytest.raises(FileGone, match="in its place"):
            catalogue.file(wrong)
    catalogue.put([Item("again", "sound", "", "audio/wav", content=hash)], unit(1))
    with pytest.raises(ValueError, match="SHA-256"):
        catalogue.put([held], unit(1), {hash: b"other"})


def test_reading_changes_nothing(catalogue: Store) -> None:
    catalogue.put([item("a")], unit(1))
    other = reader(catalogue)
    for change in (
        lambda: other.put([item("b")], unit(1)),
        lambda: other.update([item("a")]),
        lambda: other.delete(["a"]),
    ):
        with pytest.raises(NotWritable):
            change()
    assert (other.writable, other.fingerprint, other.dimension) == (False, "f", D)
    assert [entry.id for entry in other.list()] == ["a"]
    other.close()


def test_deleted_items_are_found_no_more(catalogue: Catalogue) -> None:
    catalogue.put([item("a"), item("b")], unit(2))
    assert catalogue.delete(["a"]) == ["a"]
    assert catalogue.delete(["a"]) == []
    assert found(catalogue, unit(1)[0]) == ["b"]
    assert catalogue.count()["image"] == 1


def test_more_hits_than_items_and_none_at_all(catalogue: Catalogue) -> None:
    assert catalogue.search(unit(2), "image", 3) == [[], []]
    catalogue.put([item("a"), item("b", "sound")], unit(2))
    assert found(catalogue, unit(1)[0], k=1000) == ["a"]
    assert catalogue.search(unit(1), "image", 3, Filter(labels=("nothing",))) == [[]]
    assert catalogue.search(unit(0), "image", 3) == []


def test_a_filter_never_costs_hits(catalogue: Catalogue) -> None:
    """k hits come back where k match, however far down they lie."""
    vectors = unit(500)
    catalogue.put([item(f"{n}", label="rare" if n % 50 == 0 else "common") for n in range(500)], vectors)
    hits = catalogue.search(vectors[1:2], "image", 10, Filter(labels=("rare",)))[0]
    assert sorted(int(hit.item.id) for hit in hits) == list(range(0, 500, 50))


def test_closed_and_reopened_it_is_the_same(catalogue: Store, tmp_path: Path) -> None:
    catalogue.put([item(str(n)) for n in range(20)], unit(20))
    before = (list(catalogue.list()), catalogue.search(unit(3, seed=1), "image", 7))
    catalogue.close()
    again = reader(catalogue)
    assert (list(again.list()), again.search(unit(3, seed=1), "image", 7)) == before
    assert (again.fingerprint, again.dimension, again.root) == ("f", D, tmp_path.resolve())
    again.close()


@pytest.mark.parametrize("path", ["gone.jpg", "../outside/a.jpg", "/etc/hostname", "link.jpg", "."])
def test_no_file_outside_the_root_is_handed_out(catalogue: Catalogue, tmp_path: Path, path: str) -> None:
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"secret")
    (tmp_path / "link.jpg").symlink_to(outside / "a.jpg")
    says = "item a is (no longer|not) in its place; put it back, or (build the index again|correct the folders in the)"
    with pytest.raises(FileGone, match=says):
        catalogue.file(item("a", path=path.replace("outside", outside.name)))


def test_threads_may_put_and_search_at_once(catalogue: Catalogue) -> None:
    vectors, failures = unit(160), []

    def work(part: int) -> None:
        try:
            for n in range(part, 160, 4):
                catalogue.put([item(str(n))], vectors[n : n + 1])
                assert found(catalogue, vectors[n], k=1) == [str(n)]
        except Exception as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert catalogue.count()["image"] == 160
