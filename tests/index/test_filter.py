"""Whatever a client writes is a filter that runs, or one sentence that says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.catalogue import Item
from index.filter import CONDITIONS, Filter, FilterError
from index.local import LocalCatalogue
from tests.index.conditions import filters, scalars, texts


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCatalogue]:
    catalogue = LocalCatalogue.create(tmp_path_factory.mktemp("filter"), "f", 2, Path("/"))
    yield catalogue
    catalogue.close()


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
    tags = [str(n) for n in range(CONDITIONS)]
    catalogue.put([Item("0", "image", "a", "image/png", tags=tuple(tags))], np.array([[1, 0]], np.float32))
    assert len(list(catalogue.list(Filter.parse(json.dumps({"tags": tags}))))) == 1
    with pytest.raises(FilterError, match=f"at most {CONDITIONS}"):
        Filter.parse(json.dumps({"tags": [*tags, "more"]}))
    labels = Filter.parse(json.dumps({"label": [*map(str, range(50_000)), ""]}))
    assert len(list(catalogue.list(labels))) == 1
