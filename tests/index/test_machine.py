"""Any history of a catalogue, beside a dict and numpy: items and vectors added, replaced, changed, removed, found with
and without filters, the catalogue closed and opened, its index made anew as another kind."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from index.catalogue import MODALITIES, Item, Modality
from index.check import check
from index.filter import Filter
from index.local import LocalCatalogue
from index.tuning import Tuning

D = 8
ALL = 2.0  # a recall that no measurement reaches: all lists are read
EXACT = Tuning(exact=1000, recall=ALL, background=False)
LISTS = Tuning(exact=8, recall=ALL, background=False)
CODES = Tuning(exact=8, recall=ALL, memory=500, background=False)  # too little for whole vectors of many items
IDS = st.integers(0, 30).map(str)
INDICES = st.lists(st.integers(0, 39), min_size=1, max_size=5)
KINDS: st.SearchStrategy[Modality] = st.sampled_from(MODALITIES)
Vector = npt.NDArray[np.float32]

_random = np.random.default_rng(0).normal(size=(40, D)).astype(np.float32)
VECTORS = _random / np.linalg.norm(_random, axis=1, keepdims=True)  # few, so that ties are common
FILTERS: list[Filter | None] = [
    None,
    Filter(labels=("x",)),
    Filter(labels=("x", "y"), tags=("even",)),
    Filter(equal={"n": 3}),
    Filter(equal={"n": "3"}),
    Filter(bounds={"n": {"gte": 5, "lt": 20}}),
    Filter(ids=("1", "2", "3", "none")),
]


def passes(item: Item, filter: Filter | None) -> bool:
    if filter is None:
        return True
    n: Any = item.metadata["n"]
    limits = filter.bounds.get("n", {})
    return (
        (filter.labels is None or item.label in filter.labels)
        and set(filter.tags) <= set(item.tags)
        and (filter.ids is None or item.id in filter.ids)
        and all(n == value and type(n) is type(value) for value in filter.equal.values())
        and limits.get("gte", -1) <= n
        and n < limits.get("lt", 10**9)
    )


class History(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "a.jpg").write_bytes(b"a")
        self.tuning, self.steps = EXACT, 0
        self.catalogue = LocalCatalogue.create(self.folder / "index", "f", D, self.folder, self.tuning)
        self.truth: dict[str, tuple[Item, int]] = {}  # in the order of the last put

    @rule(ids=st.lists(IDS, max_size=25), modality=KINDS, label=st.sampled_from("xyz"), data=st.data())
    def put(self, ids: list[str], modality: Modality, label: str, data: st.DataObject) -> None:
        drawn = [data.draw(st.integers(0, len(VECTORS) - 1)) for _ in ids]
        items = [
            Item(id, modality, "a.jpg", "image/jpeg", label, ("even",) if int(id) % 2 == 0 else (), {"n": int(id)})
            for id in ids
        ]
        self.catalogue.put(items, VECTORS[drawn].reshape(-1, D))
        for item, vector in zip(items, drawn, strict=True):
            self.truth.pop(item.id, None)
            self.truth[item.id] = (item, vector)

    @rule(ids=st.lists(IDS, max_size=10))
    def delete(self, ids: list[str]) -> None:
        there = [id for id in dict.fromkeys(ids) if self.truth.pop(id, None)]
        assert self.catalogue.delete(ids) == there

    @rule(id=IDS, label=st.sampled_from("xyz"))
    def change(self, id: str, label: str) -> None:
        if id in self.truth:
            item, vector = self.truth[id]
            changed = Item(**{**vars(item), "label": label, "tags": ("even",)})
            self.catalogue.update([changed])
            self.truth[id] = (changed, vector)

    @rule(tuning=st.sampled_from([LISTS, LISTS, CODES, EXACT]))
    def reopen(self, tuning: Tuning) -> None:
        self.catalogue.close()
        self.tuning = tuning
        self.catalogue = LocalCatalogue.open(self.folder / "index", writable=True, tuning=tuning)

    @rule(tuning=st.sampled_from([LISTS, CODES]), ids=st.lists(IDS, min_size=15, unique=True), data=st.data())
    def grow(self, tuning: Tuning, ids: list[str], data: st.DataObject) -> None:
        """Past the limit, into lists."""
        self.put(ids, "image", "y", data)
        if self.tuning != tuning:
            self.reopen(tuning)
        self.catalogue.upkeep.finish()
        assert not self.catalogue.neighbours("image").is_exact

    @rule()
    def upkeep(self) -> None:
        self.catalogue.upkeep.finish()

    @rule(queries=INDICES, modality=KINDS, k=st.integers(1, 30), by=st.sampled_from(FILTERS))
    def search(self, queries: list[int], modality: Modality, k: int, by: Filter | None) -> None:
        hits = self.catalogue.search(VECTORS[queries], modality, k, by)
        compressed = self.catalogue.neighbours(modality).plan.kind in ("ivf-sq8", "ivf-pq")
        for query, row in zip(queries, hits, strict=True):
            matching = [(i, v) for i, v in self.truth.values() if i.modality == modality and passes(i, by)]
            scored = [(item.id, float(VECTORS[vector] @ VECTORS[query])) for item, vector in matching]
            expected = sorted(scored, key=lambda pair: -round(pair[1], 5))[:k]  # stable: ties as they came
            assert len(row) == len(expected)
            by_id = dict(scored)
            assert all(abs(hit.score - by_id[hit.item.id]) < 1e-5 for hit in row)
            if compressed:  # candidates come by codes, which are as good as what they were trained on
                assert [hit.score for hit in row] == sorted((hit.score for hit in row), reverse=True)
            else:
                assert [hit.item.id for hit in row] == [id for id, _ in expected]

    @rule(limit=st.integers(1, 10), by=st.sampled_from(FILTERS))
    def pages(self, limit: int, by: Filter | None) -> None:
        ids: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.catalogue.page(limit, cursor, by)
            ids += [item.id for item in page.items]
            cursor = page.cursor
        assert ids == [item.id for item, _ in self.truth.values() if passes(item, by)]

    @invariant()
    def finds(self) -> None:
        """A search after each step: the kind of index changes with some of them, and drawn ones would rarely follow."""
        self.steps += 1
        for modality in MODALITIES:
            for by in (None, FILTERS[self.steps % len(FILTERS)]):
                self.search([self.steps % len(VECTORS)], modality, 1 + 7 * self.steps % 30, by)

    @invariant()
    def counts(self) -> None:
        found = self.catalogue.count()
        for modality in MODALITIES:
            assert found[modality] == sum(item.modality == modality for item, _ in self.truth.values())

    def teardown(self) -> None:
        self.catalogue.close()
        try:
            assert check(self.folder / "index") == []
        finally:
            shutil.rmtree(self.folder)


History.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistory = History.TestCase
