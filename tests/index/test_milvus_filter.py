"""Filters in Milvus select exactly what SQLite selects, and no text of anyone's stands in an expression."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.catalogue import Item
from index.filter import Filter
from index.local import LocalCatalogue
from index.milvus import MilvusCatalogue
from index.milvus_address import Address
from index.milvus_filter import among, expression, sortable

NASTY = [
    "' or id != '",
    '"] or number > 0 or id in ["',
    "\\",
    '\\"',
    "{x}",
    "$meta",
    "a\nb",
    "%",
    "é",
    "𝄞",
    "1",
    "true",
]
texts = st.sampled_from(["dog", "cat", "", "Dog", "n", *NASTY])
keys = st.sampled_from(["x", "", *NASTY[:2]])  # few, so that filters meet items
whole = st.one_of(st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1]))
numbers = st.one_of(whole, st.sampled_from([0.5, -0.0, 2.0, -2.5, 1e300, 5e-324, float(2**53)]))
scalars = st.one_of(texts, numbers, st.booleans())
items: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        modality=st.sampled_from(["image", "sound"]),
        label=texts,
        tags=st.lists(texts, max_size=3),
        metadata=st.dictionaries(keys, st.one_of(scalars, st.none(), st.lists(scalars, max_size=2)), max_size=3),
    ),
    min_size=1,
    max_size=10,
)
bounds = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), st.one_of(texts, numbers), min_size=1)
filters = st.fixed_dictionaries(
    {},
    optional={
        "label": st.one_of(texts, st.lists(texts, max_size=3)),
        "tags": st.one_of(texts, st.lists(texts, max_size=2)),
        "ids": st.lists(st.sampled_from(["0", "1", "2", "x", *NASTY]), max_size=3),
        "metadata": st.dictionaries(keys, st.one_of(scalars, bounds), max_size=2),
    },
)


@pytest.fixture(scope="module")
def pair(milvus_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalCatalogue, MilvusCatalogue]]:
    folder = tmp_path_factory.mktemp("filter")
    local = LocalCatalogue.create(folder, "f", 2, Path("/"))
    milvus = MilvusCatalogue.create(Address.parse(f"milvus+{milvus_uri}/filter?index=FLAT"), "f", 2)
    yield local, milvus
    local.close()
    milvus.close()


def fill(pair: tuple[LocalCatalogue, MilvusCatalogue], contents: list[dict[str, Any]]) -> None:
    put = [
        Item(str(n), given["modality"], "a", "image/png", given["label"], tuple(given["tags"]), given["metadata"])
        for n, given in enumerate(contents)
    ]
    vectors = np.tile(np.array([1, 0], np.float32), (len(put), 1))
    for catalogue in pair:
        catalogue.delete([str(n) for n in range(10)])
        catalogue.put(put, vectors)


@settings(max_examples=150, deadline=None)
@given(contents=items, conditions=st.lists(filters, min_size=1, max_size=8))
def test_both_stores_select_the_same(
    pair: tuple[LocalCatalogue, MilvusCatalogue], contents: list[dict[str, Any]], conditions: list[dict[str, Any]]
) -> None:
    fill(pair, contents)
    local, milvus = pair
    query = np.array([[0.6, 0.8]], np.float32)
    for condition in conditions:
        filter = Filter.parse(json.dumps(condition))
        assert [item.id for item in milvus.list(filter)] == [item.id for item in local.list(filter)]
        for modality in ("image", "sound"):
            ours, theirs = (each.search(query, modality, 4, filter)[0] for each in (milvus, local))
            assert [hit.item.id for hit in ours] == [hit.item.id for hit in theirs]


SAME = ["1", 1, 1.0, True, "true", 0, -0.0, False, "", 2**53, 2**53 + 1, float(2**53), "0"]


def test_types_are_apart_and_numbers_are_not(pair: tuple[LocalCatalogue, MilvusCatalogue]) -> None:
    fill(pair, [{"modality": "image", "label": "", "tags": [], "metadata": {"x": value}} for value in SAME[:10]])
    for wanted in SAME:
        for condition in ({"x": wanted}, {"x": {"gte": wanted}}, {"x": {"gt": wanted}}, {"x": {"lte": wanted}}):
            if isinstance(wanted, bool) and condition != {"x": wanted}:
                continue
            filter = Filter.parse(json.dumps({"metadata": condition}))
            ours, theirs = ([item.id for item in each.list(filter)] for each in pair)
            assert ours == theirs, condition
    true = [item.id for item in pair[1].list(Filter(equal={"x": True}))]
    one = [item.id for item in pair[1].list(Filter(equal={"x": 1}))]
    assert (true, one) == (["3"], ["1", "2"])


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_is_data(pair: tuple[LocalCatalogue, MilvusCatalogue], text: str) -> None:
    fields: list[dict[str, Any]] = [
        {"label": "", "tags": [], "metadata": {"": text}},
        {"label": text, "tags": [text], "metadata": {text: "a"}},
    ]
    fill(pair, [{"modality": "image", **given} for given in fields])
    _, milvus = pair
    stored = milvus.get("1")
    assert stored is not None
    assert (stored.label, stored.tags, stored.metadata) == (text, (text,), {text: "a"})
    for condition in ({"label": [text], "tags": text}, {"metadata": {text: "a"}}, {"metadata": {text: {"gte": "a"}}}):
        assert "1" in [item.id for item in milvus.list(Filter.parse(json.dumps(condition)))]
    assert "0" in [item.id for item in milvus.list(Filter.parse(json.dumps({"metadata": {"": {"lte": text}}})))]


@settings(max_examples=300, deadline=None)
@given(condition=filters, text=st.text())
def test_an_expression_holds_digests_and_ids_alone(condition: dict[str, Any], text: str) -> None:
    for key in ("label", "tags", "ids"):
        condition = {**condition, key: [text, *NASTY]}
    condition = {**condition, "metadata": {**condition.get("metadata", {}), text: text, text + "'": {"gt": text}}}
    try:
        said = expression(Filter.parse(json.dumps(condition)))
    except ValueError:  # half a surrogate pair, U+0000
        return
    allowed = r"ARRAY_CONTAINS_(ALL|ANY)\(terms, L\)|id in L|ranges\[T\] (<|<=|>|>=) T"
    shape = re.sub(r"\[T(, T)*\](?! [<>])", "L", re.sub(r'"[A-Za-z0-9._:-]*"', "T", said or ""))
    assert all(re.fullmatch(allowed, part) for part in shape.split(" and ") if part)


@pytest.mark.parametrize("text", NASTY)
def test_injections_find_nothing(pair: tuple[LocalCatalogue, MilvusCatalogue], text: str) -> None:
    fill(pair, [{"modality": "image", "label": "dog", "tags": ["a"], "metadata": {"year": 1}}])
    _, milvus = pair
    for condition in (
        {"label": text},
        {"tags": text},
        {"ids": text},
        {"metadata": {text: 1}},
        {"metadata": {"year": text}},
        {"metadata": {text: {"gte": text}}},
        {"metadata": {"year": {"gte": text}}},
    ):
        assert list(milvus.list(Filter.parse(json.dumps(condition)))) == []
    assert milvus.get(text) is None
    assert milvus.at([text]) == []
    assert milvus.delete([text]) == []
    assert milvus.count() == {"image": 1, "sound": 0}


def test_only_ids_and_digests_are_let_into_a_list() -> None:
    with pytest.raises(ValueError, match="only digests and ids"):
        among("id", ['a"] or id != ["'])


@settings(max_examples=500)
@given(
    one=st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
    other=st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
    near=st.integers(-3, 3),
)
def test_numbers_sort_as_they_do(one: float, other: float, near: int) -> None:
    close = int(one) + near if math.isfinite(one) and abs(one) < 2**62 else other
    for second in (other, close, float(close)):
        assert (sortable(one) < sortable(second)) == (one < second)
        assert (sortable(one) == sortable(second)) == (one == second)


@given(one=st.text(), other=st.text())
def test_texts_sort_by_their_bytes(one: str, other: str) -> None:
    as_bytes = [text.encode("utf-8", "surrogatepass") for text in (one, other)]
    assert (sortable(one) < sortable(other)) == (as_bytes[0] < as_bytes[1])


def test_whole_numbers_too_large_for_sqlite_are_fractions() -> None:
    assert sortable(2**70 + 1) == sortable(2.0**70)
    assert sortable(10**400) == sortable(float("inf"))
    assert sortable(-(10**400)) == sortable(float("-inf"))
