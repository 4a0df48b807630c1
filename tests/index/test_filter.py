from __future__ import annotations

import json
import operator
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.catalogue import Item
from index.database import DATABASE
from index.filter import CONDITIONS, Filter, FilterError
from index.local import LocalCatalogue

COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}

texts = st.sampled_from(["dog", "cat", "", "Dog", "é", "a'b", '"', "%", "_", "a\\b", "\n", "𝄞", "1", "true"])
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -0.0, 2.0, 1e300, 2**53 + 1, -(2**63), 2**63 - 1]))
scalars = st.one_of(texts, numbers, st.booleans())
items: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        label=texts,
        tags=st.lists(texts, max_size=3),
        metadata=st.dictionaries(texts, st.one_of(scalars, st.none(), st.lists(scalars, max_size=2)), max_size=3),
    ),
    min_size=1,
    max_size=8,
)
bounds = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), st.one_of(texts, numbers), min_size=1)
filters = st.fixed_dictionaries(
    {},
    optional={
        "label": st.one_of(texts, st.lists(texts, max_size=3)),
        "tags": st.one_of(texts, st.lists(texts, max_size=2)),
        "ids": st.lists(st.sampled_from(["0", "1", "2", "x"]), max_size=3),
        "metadata": st.dictionaries(texts, st.one_of(scalars, bounds), max_size=2),
    },
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCatalogue]:
    catalogue = LocalCatalogue.create(tmp_path_factory.mktemp("filter"), "f", 2, Path("/"))
    yield catalogue
    catalogue.close()


def fill(catalogue: LocalCatalogue, contents: list[dict[str, Any]]) -> None:
    for item in list(catalogue.list()):
        catalogue.delete(item.id)
    put = [
        Item(str(number), "image", "a", "image/png", content["label"], tuple(content["tags"]), content["metadata"])
        for number, content in enumerate(contents)
    ]
    catalogue.put(put, np.tile(np.array([1, 0], np.float32), (len(put), 1)))


def passes(item: Item, condition: dict[str, Any]) -> bool:
    """The reference, in plain Python."""

    def several(key: str) -> list[str]:
        value = condition[key]
        return [value] if isinstance(value, str) else value

    return (
        ("label" not in condition or item.label in several("label"))
        and ("ids" not in condition or item.id in several("ids"))
        and ("tags" not in condition or set(several("tags")) <= set(item.tags))
        and all(
            key in item.metadata and holds(item.metadata[key], wanted)
            for key, wanted in condition.get("metadata", {}).items()
        )
    )


def holds(value: Any, wanted: Any) -> bool:
    def kind(x: Any) -> str:
        if isinstance(x, bool):
            return "truth"
        return "number" if isinstance(x, int | float) else type(x).__name__

    if not isinstance(wanted, dict):
        return kind(value) == kind(wanted) and bool(value == wanted)
    return all(kind(value) == kind(limit) and COMPARE[name](value, limit) for name, limit in wanted.items())


@settings(max_examples=150, deadline=None)
@given(contents=items, condition=filters)
def test_the_sql_selects_what_a_plain_reading_of_the_filter_does(
    catalogue: LocalCatalogue, contents: list[dict[str, Any]], condition: dict[str, Any]
) -> None:
    fill(catalogue, contents)
    expected = [item.id for item in catalogue.list() if passes(item, condition)]
    assert [item.id for item in catalogue.list(Filter.parse(json.dumps(condition)))] == expected


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_is_data_never_sql(catalogue: LocalCatalogue, text: str) -> None:
    fill(
        catalogue, [{"label": "", "tags": [], "metadata": {"": text}}, {"label": text, "tags": [text], "metadata": {}}]
    )
    for condition in ({"label": [text]}, {"tags": text}):
        assert "1" in [item.id for item in catalogue.list(Filter.parse(json.dumps(condition)))]
    assert [item.id for item in catalogue.list(Filter.parse(json.dumps({"metadata": {"": text}})))] == ["0"]
    catalogue.list(Filter.parse(json.dumps({"metadata": {text: {"gt": text}}})))


@pytest.mark.parametrize("text", ["' OR 1 --", '") OR 1 --', "'; DROP TABLE items; --", "$.label", "*"])
def test_injections_find_nothing_and_harm_nothing(catalogue: LocalCatalogue, text: str) -> None:
    fill(catalogue, [{"label": "dog", "tags": ["a"], "metadata": {"year": 1}}])
    for condition in (
        {"label": text},
        {"tags": text},
        {"ids": text},
        {"metadata": {text: 1}},
        {"metadata": {"year": text}},
    ):
        assert list(catalogue.list(Filter.parse(json.dumps(condition)))) == []
    with sqlite3.connect(catalogue.folder / DATABASE) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (1,)


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(
        st.text(),
        st.recursive(st.one_of(st.none(), scalars), lambda inner: st.dictionaries(texts, inner) | st.lists(inner)).map(
            json.dumps
        ),
        filters.map(lambda condition: json.dumps({**condition, "tags": ["\ud800"]})),
    )
)
def test_whatever_comes_is_a_filter_that_runs_or_one_sentence(catalogue: LocalCatalogue, text: str) -> None:
    sentence = "filter"
    try:
        list(catalogue.list(Filter.parse(text)))
    except FilterError as error:
        sentence = str(error)
    assert sentence.startswith("filter")
    assert sentence.isprintable()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "JSON object"),
        ('{"lable": "dog"}', "knows no 'lable'; it takes label, tags, ids, metadata"),
        ('{"label": 3}', "'label' takes a text or a list of texts"),
        ('{"tags": "\\ud800"}', "not valid JSON"),
        ('{"label": "a\\u0000"}', "U+0000"),
        ('{"metadata": 3}', "takes an object"),
        ('{"metadata": {"year": null}}', "'year' takes a value"),
        ('{"metadata": {"year": {"above": 3}}}', "gt, gte, lt, lte"),
        ('{"metadata": {"year": {"gt": true}}}', "'year' take numbers or texts"),
        ('{"metadata": {"year": NaN}}', "'year' is not a number"),
        ('{"metadata": {"year": 9223372036854775808}}', "'year' is too large"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(text: str, says: str) -> None:
    with pytest.raises(FilterError, match="filter") as caught:
        Filter.parse(text)
    assert says in str(caught.value)


def test_many_conditions_run_and_too_many_are_refused(catalogue: LocalCatalogue) -> None:
    fill(catalogue, [{"label": "", "tags": [str(n) for n in range(CONDITIONS)], "metadata": {}}])
    tags = [str(n) for n in range(CONDITIONS)]
    assert len(list(catalogue.list(Filter.parse(json.dumps({"tags": tags}))))) == 1
    with pytest.raises(FilterError, match=f"at most {CONDITIONS}"):
        Filter.parse(json.dumps({"tags": [*tags, "more"]}))
    labels = Filter.parse(json.dumps({"label": [*map(str, range(50_000)), ""]}))
    assert len(list(catalogue.list(labels))) == 1
