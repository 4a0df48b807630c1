"""Searches beside changes, changes of the index, and other processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import InUse, Item
from index.check import check
from index.gate import Gate
from index.local import LocalCatalogue
from index.tuning import Tuning

D = 16
ROOT = Path(__file__).parents[2]


def unit(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    normed: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


def pair(label: str) -> list[Item]:
    return [Item(id, "image", "a.jpg", "image/jpeg", label) for id in ("left", "right")]


def test_no_search_sees_half_of_a_change_while_indexes_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    tuning = Tuning(exact=300, background=False)
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path, tuning)
    rest = unit(500)
    place = unit(2, seed=1)[:1]
    catalogue.put([Item(f"i{n}", "image", "a.jpg", "image/jpeg") for n in range(500)], rest)
    catalogue.put(pair("0"), np.repeat(place, 2, 0))
    faults: list[str] = []
    searches = 0
    stop = threading.Event()

    def search() -> None:
        nonlocal searches
        last = 0
        while not stop.is_set():
            best = [hit.item for hit in catalogue.search(place, "image", 2)[0]]
            searches += 1
            labels = {item.label for item in best}
            if [item.id for item in best] != ["left", "right"] or len(labels) != 1:
                faults.append(f"saw {[(item.id, item.label) for item in best]}")
            elif int(best[0].label) < last:
                faults.append(f"went back from {last} to {best[0].label}")
            last = int(best[0].label) if labels == {best[0].label} else last

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    changes = 0
    begin = time.monotonic()
    while time.monotonic() - begin < 4 or changes < 20:
        changes += 1
        catalogue.put(pair(str(changes)), np.repeat(place, 2, 0))
        if changes % 10 == 0:
            catalogue.upkeep.make("image")
        if changes % 10 == 5:
            catalogue.delete([f"i{n}" for n in range(changes)])
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert searches > 50
    assert not catalogue.neighbours("image").is_exact
    catalogue.close()
    assert check(tmp_path / "index") == []


def test_a_second_writer_is_refused_in_one_sentence_and_may_read(tmp_path: Path) -> None:
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path)
    catalogue.put([Item("a", "image", "a.jpg", "image/jpeg")], unit(1))
    code = (
        "import sys; from pathlib import Path; from index.local import LocalCatalogue\n"
        "folder = Path(sys.argv[1])\n"
        "reader = LocalCatalogue.open(folder); print(reader.count()['image'])\n"
        "LocalCatalogue.open(folder, writable=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, catalogue.folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n"
    assert "InUse" in done.stderr
    assert "is open for writing elsewhere by process" in done.stderr.splitlines()[-1]
    with pytest.raises(InUse):
        LocalCatalogue.open(tmp_path / "index", writable=True)
    catalogue.close()
    LocalCatalogue.open(tmp_path / "index", writable=True).close()


def test_an_index_is_trained_in_the_background_and_saved(tmp_path: Path) -> None:
    tuning = Tuning(exact=300)
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path, tuning)
    catalogue.put([Item(f"i{n}", "image", "a.jpg", "image/jpeg") for n in range(800)], unit(800))
    begin = time.monotonic()
    while catalogue.neighbours("image").is_exact or not (tmp_path / "index" / "faiss" / "image.json").exists():
        assert catalogue.search(unit(1), "image", 1)[0][0].item.id == "i0"
        assert time.monotonic() - begin < 60
    catalogue.delete([f"i{n}" for n in range(780)])
    while not catalogue.neighbours("image").is_exact:
        assert catalogue.search(unit(800)[-1:], "image", 1)[0][0].item.id == "i799"
        assert time.monotonic() - begin < 60
    catalogue.close()
    catalogue = LocalCatalogue.open(tmp_path / "index", writable=True, tuning=tuning)
    assert catalogue.count()["image"] == 20
    catalogue.close()


def test_closing_does_not_wait_for_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on = threading.Event(), threading.Event()

    def train(self: object) -> None:
        began.set()
        go_on.wait(30)

    monkeypatch.setattr("index.trainer.Trainer.train", train)
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path, Tuning(exact=10))
    catalogue.put([Item(f"i{n}", "image", "a.jpg", "image/jpeg") for n in range(100)], unit(100))
    assert began.wait(30)
    begin = time.monotonic()
    catalogue.close()
    assert time.monotonic() - begin < 5
    go_on.set()


def test_a_gate_lets_readers_in_together_and_a_change_alone() -> None:
    gate = Gate()
    inside: list[str] = []
    both, change_done = threading.Barrier(3), threading.Event()

    def read() -> None:
        with gate.reading():
            both.wait(10)  # passes only when two are inside at once
            inside.append("read")
            both.wait(10)

    def change() -> None:
        with gate.changing():
            inside.append("change")
        change_done.set()

    def come_late() -> None:
        with gate.reading():
            inside.append("late")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    both.wait(10)
    writer = threading.Thread(target=change)
    writer.start()
    assert not change_done.wait(0.1)
    late = threading.Thread(target=come_late)
    late.start()
    assert not [word for word in inside if word in ("change", "late")]
    both.wait(10)
    assert change_done.wait(10)
    late.join(10)
    assert inside.index("change") < inside.index("late")
    for thread in (*readers, writer):
        thread.join()
