"""What the catalogue in a folder does beyond what all do: its files, other processes, kills and damage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.catalogue import CatalogueError, Item, Modality, NotWritable
from index.database import DATABASE
from index.filter import Filter
from index.local import LocalCatalogue

Vectors = npt.NDArray[np.float32]
D = 4
# Few directions, so that ties are common; none of them is a multiple of another.
DIRECTIONS = np.array(
    [[1, 0, 0, 0], [0, 1, 0, 0], [0.6, 0.8, 0, 0], [0, 0.6, 0, 0.8], [0.5, 0.5, 0.5, 0.5]], np.float32
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[LocalCatalogue]:
    catalogue = LocalCatalogue.create(tmp_path / "index", "fingerprint", D, tmp_path)
    yield catalogue
    catalogue.close()


def item(id: str, modality: Modality = "image", label: str = "") -> Item:
    return Item(id, modality, f"{id}.jpg", "image/jpeg", label)


def unit(count: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    normed: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


def found(catalogue: LocalCatalogue, vector: Vectors, k: int = 100, modality: Modality = "image") -> list[str]:
    return [hit.item.id for hit in catalogue.search(vector.reshape(1, -1), modality, k)[0]]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_search_is_numpys_answer_after_any_history(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("search")
    catalogue = LocalCatalogue.create(folder, "f", D, folder)
    truth: dict[str, tuple[Modality, str, int]] = {}  # in the order of the last put
    ids = st.integers(0, 11).map(str)
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.integers(0, 4)) == 0:
            catalogue.close()
            catalogue = LocalCatalogue.open(folder, writable=True)
        gone = data.draw(ids)
        if data.draw(st.booleans()):
            assert bool(catalogue.delete([gone])) == (truth.pop(gone, None) is not None)
        batch = data.draw(
            st.lists(st.tuples(ids, st.sampled_from(["image", "sound"]), st.sampled_from("xy"), st.integers(0, 4)))
        )
        items = [item(id, "image" if modality == "image" else "sound", label) for id, modality, label, _ in batch]
        catalogue.put(items, DIRECTIONS[[row[3] for row in batch]].reshape(-1, D))
        for entry, drawn in zip(items, batch, strict=True):
            truth.pop(entry.id, None)
            truth[entry.id] = (entry.modality, entry.label, drawn[3])
    modality: Modality = data.draw(st.sampled_from(["image", "sound"]))
    label = data.draw(st.sampled_from(["x", None]))
    k = data.draw(st.integers(1, 15))
    queries = DIRECTIONS[data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=25))]
    hits = catalogue.search(queries, modality, k, None if label is None else Filter(labels=(label,)))
    for query, row in zip(queries, hits, strict=True):
        matching = [
            (id, float(DIRECTIONS[direction] @ query))
            for id, (kind, labelled, direction) in truth.items()
            if kind == modality and label in (None, labelled)
        ]
        expected = sorted(matching, key=lambda pair: -round(pair[1], 5))[:k]  # sorting is stable: ties as they came
        assert [hit.item.id for hit in row] == [id for id, _ in expected]
        assert [hit.score for hit in row] == pytest.approx([score for _, score in expected], abs=1e-5)
    catalogue.close()


@pytest.mark.parametrize("count", [30, 700])
@pytest.mark.parametrize("k", [1, 7, 20, 150])
def test_ties_at_the_cut_go_to_what_came_first(catalogue: LocalCatalogue, count: int, k: int) -> None:
    alike, better = DIRECTIONS[0], DIRECTIONS[2]
    vectors = np.stack([better if n % 5 == 4 else alike for n in range(count)])
    catalogue.put([item(f"{n:03d}") for n in range(count)], vectors)
    order = sorted(range(count), key=lambda n: (n % 5 != 4, n))
    for queries in (1, 30):  # FAISS takes another way for many queries
        hits = catalogue.search(np.tile(better, (queries, 1)), "image", k)
        assert all([hit.item.id for hit in row] == [f"{n:03d}" for n in order[:k]] for row in hits)


def test_folder_and_media_may_move_together(tmp_path: Path) -> None:
    (tmp_path / "old" / "media").mkdir(parents=True)
    (tmp_path / "old" / "media" / "a.jpg").write_bytes(b"x")
    catalogue = LocalCatalogue.create(tmp_path / "old" / "index", "f", D, tmp_path / "old" / "media")
    catalogue.put([item("a")], unit(1))
    catalogue.close()
    (tmp_path / "old").rename(tmp_path / "new")
    moved = LocalCatalogue.open(tmp_path / "new" / "index")
    assert moved.file(item("a")).read_bytes() == b"x"
    moved.close()


def test_a_search_sees_what_another_process_changed(catalogue: LocalCatalogue) -> None:
    catalogue.put([item("kept"), item("gone"), item("replaced")], DIRECTIONS[:3])
    catalogue.close()
    reader = LocalCatalogue.open(catalogue.folder)
    assert len(found(reader, DIRECTIONS[1])) == 3
    code = (
        "import sys, numpy as np; from pathlib import Path; from index.catalogue import Item;"
        "from index.local import LocalCatalogue;"
        "catalogue = LocalCatalogue.open(Path(sys.argv[1]), writable=True);"
        "catalogue.delete(['gone']);"
        "items = [Item(id, 'image', 'a', 'image/png') for id in ('replaced', 'new')];"
        "catalogue.put(items, np.array([[0, 0, 1, 0], [0, 0, 0, 1]], np.float32))"
    )
    subprocess.run([sys.executable, "-c", code, catalogue.folder], cwd=Path(__file__).parents[2], check=True)
    assert found(reader, np.array([0, 0, 0.9, 0.1], np.float32)) == ["replaced", "new", "kept"]
    assert reader.count() == {"image": 3, "sound": 0}
    with pytest.raises(NotWritable, match="open for reading only"):
        reader.put([item("mine")], DIRECTIONS[1:2])
    reader.close()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path).close()
    code = (
        "import sys, numpy as np; from pathlib import Path; from index.catalogue import Item;"
        "from index.local import LocalCatalogue;\n"
        "catalogue = LocalCatalogue.open(Path(sys.argv[1]), writable=True)\n"
        "for n in range(10**6):\n"
        "    items = [Item(f'{n}-{part}', 'image', 'a', 'image/png', label=str(n)) for part in range(5)]\n"
        "    catalogue.put(items, np.eye(4, dtype=np.float32)[[n % 4] * 5])\n"
        "    print(n, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "index")]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(40)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().split()]
    catalogue = LocalCatalogue.open(tmp_path / "index", writable=True)
    labels = [entry.label for entry in catalogue.list()]
    batches = dict.fromkeys(map(int, labels))
    assert set(acknowledged) <= set(batches)
    assert len(batches) <= len(acknowledged) + 1
    assert all(labels.count(str(n)) == 5 for n in batches)
    assert catalogue.count()["image"] == len(labels)
    nearest = catalogue.search(np.eye(4, dtype=np.float32)[:1], "image", len(labels))[0]
    assert [hit.score for hit in nearest].count(1.0) == 5 * sum(n % 4 == 0 for n in batches)
    catalogue.put([item("after")], unit(1))
    catalogue.close()


def test_what_can_not_be_opened_says_why_in_one_sentence(tmp_path: Path) -> None:
    def sentence(folder: Path) -> str:
        with pytest.raises(CatalogueError) as caught:
            LocalCatalogue.open(folder)
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "holds no catalogue; make one with 'bma index build" in sentence(tmp_path / "nothing")
    for name, content in (("text", b"hello " * 1000), ("empty", b""), ("header", b"SQLite format 3\0" + bytes(4096))):
        (tmp_path / name).mkdir()
        (tmp_path / name / DATABASE).write_bytes(content)
        assert "build it again" in sentence(tmp_path / name)
    catalogue = LocalCatalogue.create(tmp_path / "cut", "f", D, tmp_path)
    catalogue.put([item(str(n)) for n in range(400)], unit(400))
    catalogue.close()
    content = (tmp_path / "cut" / DATABASE).read_bytes()
    (tmp_path / "cut" / DATABASE).write_bytes(content[: len(content) // 2])
    assert "build it again" in sentence(tmp_path / "cut")
    LocalCatalogue.create(tmp_path / "newer", "f", D, tmp_path).close()
    with sqlite3.connect(tmp_path / "newer" / DATABASE) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert "has schema 99" in sentence(tmp_path / "newer")


def test_what_can_not_be_created_says_why(tmp_path: Path) -> None:
    LocalCatalogue.create(tmp_path / "there", "f", D, tmp_path).close()
    (tmp_path / "file").write_text("x")
    for folder, says in (
        (tmp_path / "there", "already holds a catalogue"),
        (tmp_path / "file" / "x", "can't be written"),
    ):
        with pytest.raises(CatalogueError, match=f"{says}.*; name another folder"):
            LocalCatalogue.create(folder, "f", D, tmp_path)
