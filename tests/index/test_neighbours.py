"""Indexes that read some of their lists only: what they find, filtered or not, beside all vectors compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import Item
from index.check import check
from index.filter import Filter
from index.local import LocalCatalogue
from index.plan import code_bytes, plan
from index.tuning import Tuning

D, COUNT, CLUSTERS = 32, 6000, 40
Vectors = npt.NDArray[np.float32]


def clustered(count: int, seed: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Unit vectors around a few directions, and the cluster of each."""
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, D))
    random = np.random.default_rng(seed)
    which = random.integers(0, CLUSTERS, count)
    vectors = centres[which] + 0.6 * random.normal(size=(count, D))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), which


VECTORS, CLUSTER = clustered(COUNT, 1)
QUERIES, _ = clustered(100, 2)


@pytest.fixture(scope="module", params=["ivf-flat", "ivf-sq8", "ivf-pq"])
def catalogue(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCatalogue]:
    folder = tmp_path_factory.mktemp("lists")
    memory = {"ivf-flat": 10**9, "ivf-sq8": COUNT * 50, "ivf-pq": 1}[request.param]
    catalogue = LocalCatalogue.create(folder, "f", D, folder, Tuning(exact=1000, memory=memory, background=False))
    items = [
        Item(str(n), "image", "a", "image/png", f"c{CLUSTER[n]}", ("half",) if CLUSTER[n] < CLUSTERS // 2 else ())
        for n in range(COUNT)
    ]
    catalogue.put(items, VECTORS)
    catalogue.upkeep.finish()
    assert catalogue.neighbours("image").plan.kind == request.param
    yield catalogue
    catalogue.close()


def recall(
    catalogue: LocalCatalogue, k: int, filter: Filter | None = None, among: npt.NDArray[np.bool_] | None = None
) -> float:
    """Of the k nearest by all vectors, the share that is found; scores and order are checked on the way."""
    numbers = np.arange(COUNT) if among is None else np.flatnonzero(among)
    found = 0
    for query, row in zip(QUERIES, catalogue.search(QUERIES, "image", k, filter), strict=True):
        assert len(row) == min(k, len(numbers))
        scores = VECTORS[numbers] @ query
        nearest = set(numbers[np.argsort(-scores)[:k]].tolist())
        found += sum(int(hit.item.id) in nearest for hit in row)
        assert [hit.score for hit in row] == sorted((hit.score for hit in row), reverse=True)
        assert all(abs(hit.score - VECTORS[int(hit.item.id)] @ query) < 1e-5 for hit in row)
    return found / (len(QUERIES) * min(k, len(numbers)))


@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_recall_asked_for_is_reached_on_queries_never_seen(catalogue: LocalCatalogue, k: int) -> None:
    assert recall(catalogue, k) >= 0.97


def test_fewer_lists_are_read_where_less_recall_is_asked_for(catalogue: LocalCatalogue) -> None:
    neighbours = catalogue.neighbours("image")
    most = neighbours.plan.lists
    asked = [neighbours.curve.lists(10, recall, most) for recall in (0.3, 0.9, 0.99)]
    assert asked == sorted(asked)
    assert asked[0] < asked[-1] < most
    assert neighbours.curve.lists(10**6, 0.5, most) == most
    assert [recall for _, recall in neighbours.curve.recalls[10]] == sorted(
        recall for _, recall in neighbours.curve.recalls[10]
    )


def test_more_hits_than_the_nearest_lists_hold_still_come(catalogue: LocalCatalogue) -> None:
    assert len(catalogue.search(QUERIES[:3], "image", COUNT)[0]) == COUNT


@pytest.mark.parametrize("few", [True, False])
def test_a_filter_on_a_far_cluster_finds_what_is_nearest_there(
    catalogue: LocalCatalogue, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not few:
        monkeypatch.setattr("index.neighbours.FEW", 10)
    assert recall(catalogue, 10, Filter(labels=("c7",)), CLUSTER == 7) >= 0.97


@pytest.mark.parametrize("passing", [200_000, 100])
def test_a_filter_that_half_of_all_pass(
    catalogue: LocalCatalogue, passing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.neighbours.PASSING", passing)
    assert recall(catalogue, 10, Filter(tags=("half",)), CLUSTER < CLUSTERS // 2) >= 0.97


def test_answers_to_a_filter_are_forgotten_with_the_next_change(catalogue: LocalCatalogue) -> None:
    filter = Filter(labels=("c3",))
    before = catalogue.search(QUERIES[:1], "image", COUNT, filter)[0]
    assert catalogue.search(QUERIES[:1], "image", COUNT, filter)[0] == before
    moved = before[0].item
    catalogue.update([Item(**{**vars(moved), "label": "elsewhere"})])
    after = catalogue.search(QUERIES[:1], "image", COUNT, filter)[0]
    assert [hit.item.id for hit in after] == [hit.item.id for hit in before[1:]]
    catalogue.update([moved])
    assert len(catalogue.search(QUERIES[:1], "image", COUNT, filter)[0]) == len(before)


def test_nothing_is_wrong_with_it(catalogue: LocalCatalogue) -> None:
    assert [finding for finding in check(catalogue.folder) if "without a file in its place" not in finding] == []


def test_the_kind_follows_from_count_and_memory() -> None:
    gigabyte = 2**30
    assert plan(50_000, 128, gigabyte).kind == "flat"
    assert plan(1_000_000, 128, gigabyte).kind == "ivf-flat"
    assert plan(5_000_000, 128, gigabyte).kind == "ivf-sq8"
    assert plan(10_000_000, 128, gigabyte).kind == "ivf-pq"
    assert plan(10**9, 128, 1).kind == "ivf-pq"
    lists = [plan(count, 128, gigabyte).lists for count in (60_000, 10**6, 10**7)]
    assert lists == sorted(lists)
    assert all(count & (count - 1) == 0 for count in lists)


@pytest.mark.parametrize("dimension", [31, 32])
def test_what_a_vector_takes_is_what_faiss_says(dimension: int) -> None:
    for memory, kind in ((10**9, "ivf-flat"), (100_000 * (dimension + 8), "ivf-sq8"), (1, "ivf-pq")):
        made = plan(100_000, dimension, memory)
        assert made.kind == kind
        assert made.make(dimension).code_size == code_bytes(made.kind, dimension)
