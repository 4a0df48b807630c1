from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import CatalogueError, Item
from index.check import check
from index.local import LocalCatalogue
from index.reembed import ReEmbedding
from index.tuning import Tuning

TUNING = Tuning(exact=100)


def unit(count: int, d: int, seed: int = 0) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, d)).astype(np.float32)
    normed: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"a")
    catalogue = LocalCatalogue.create(tmp_path / "index", "old", 4, tmp_path, TUNING)
    catalogue.put([Item(f"i{n}", "image", "a.jpg", "image/jpeg") for n in range(600)], unit(600, 4))
    catalogue.upkeep.finish()
    catalogue.close()
    return tmp_path / "index"


def test_new_vectors_take_the_place_of_the_old_ones_at_once(folder: Path) -> None:
    new = unit(600, 8, seed=1)
    work = ReEmbedding(folder, "new", 8)
    for batch in work.remaining():
        work.stage(batch, new[[int(item.id[1:]) for item in batch]])
        reader = LocalCatalogue.open(folder)
        assert (reader.fingerprint, reader.dimension) == ("old", 4)
        assert reader.search(unit(1, 4), "image", 1)[0][0].item.id == "i0"
        reader.close()
    work.finish()
    catalogue = LocalCatalogue.open(folder, tuning=TUNING)
    assert (catalogue.fingerprint, catalogue.dimension) == ("new", 8)
    assert [row[0].item.id for row in catalogue.search(new[:20], "image", 1)] == [f"i{n}" for n in range(20)]
    catalogue.close()
    assert check(folder) == []


def test_what_was_interrupted_goes_on_and_another_model_begins_anew(folder: Path) -> None:
    work = ReEmbedding(folder, "new", 8)
    first = next(work.remaining())
    work.stage(first, unit(len(first), 8))
    work.close()
    work = ReEmbedding(folder, "new", 8)
    assert work.count() == 600 - len(first)
    assert next(work.remaining())[0].id == f"i{len(first)}"
    with pytest.raises(CatalogueError, match=f"{600 - len(first)} items have no new vector"):
        work.finish()
    work.close()
    work = ReEmbedding(folder, "newer", 8)
    assert work.count() == 600
    work.catalogue.delete([f"i{n}" for n in range(10)])
    assert work.count() == 590
    with pytest.raises(ValueError, match="unit length"):
        work.stage(first[10:11], 2 * unit(1, 8))
    work.close()
    assert check(folder) == []


def test_a_reader_of_the_old_vectors_sees_that_they_have_gone(folder: Path) -> None:
    reader = LocalCatalogue.open(folder, tuning=Tuning(background=False))
    work = ReEmbedding(folder, "new", 8)
    for batch in work.remaining():
        work.stage(batch, unit(len(batch), 8))
    work.finish()
    with pytest.raises(CatalogueError, match="made anew by another model"):
        reader.search(unit(1, 4), "image", 1)
    reader.close()
