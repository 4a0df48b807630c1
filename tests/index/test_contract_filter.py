"""Filters select the same in every store, whatever texts they hold: what a plain reading of them says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.catalogue import Catalogue, Item, Modality
from index.filter import Filter
from index.local import LocalCatalogue
from index.milvus import MilvusCatalogue
from index.milvus_address import Address
from tests.index.conditions import NASTY, filters, holds, items, passes

pytestmark = pytest.mark.long

QUERY = np.array([[0.6, 0.8]], np.float32)
MODALITIES: tuple[Modality, ...] = ("image", "sound")


@pytest.fixture(scope="module", params=["local", "milvus"])
def catalogue(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    made: Catalogue
    if request.param == "local":
        made = LocalCatalogue.create(tmp_path_factory.mktemp("filter"), "f", 2, Path("/"))
    else:
        uri = request.getfixturevalue("milvus_uri")
        made = MilvusCatalogue.create(Address.parse(f"milvus+{uri}/filter?index=FLAT"), "f", 2)
    yield made
    made.close()


def fill(catalogue: Catalogue, contents: list[dict[str, Any]]) -> list[Item]:
    """The catalogue holds these items and no others, all with one vector."""
    catalogue.delete([str(n) for n in range(20)])
    put = [
        Item(
            str(n),
            given.get("modality", "image"),
            "a",
            "image/png",
            given.get("label", ""),
            tuple(given.get("tags", ())),
            given.get("metadata", {}),
        )
        for n, given in enumerate(contents)
    ]
    catalogue.put(put, np.tile(np.array([1, 0], np.float32), (len(put), 1)))
    return put


def selected(catalogue: Catalogue, condition: dict[str, Any]) -> list[str]:
    return [item.id for item in catalogue.list(Filter.parse(json.dumps(condition)))]


@settings(max_examples=150, deadline=None)
@given(contents=items, conditions=st.lists(filters, min_size=1, max_size=8))
def test_a_filter_selects_what_a_plain_reading_of_it_does(
    catalogue: Catalogue, contents: list[dict[str, Any]], conditions: list[dict[str, Any]]
) -> None:
    there = fill(catalogue, contents)
    for condition in conditions:
        passing = [item for item in there if passes(item, condition)]
        assert selected(catalogue, condition) == [item.id for item in passing]
        for modality in MODALITIES:
            (hits,) = catalogue.search(QUERY, modality, 4, Filter.parse(json.dumps(condition)))
            assert [hit.item.id for hit in hits] == [item.id for item in passing if item.modality == modality][:4]


SAME = ["1", 1, 1.0, True, "true", 0, -0.0, False, "", 2**53, 2**53 + 1, float(2**53), "0"]


def test_types_are_apart_and_numbers_are_not(catalogue: Catalogue) -> None:
    fill(catalogue, [{"metadata": {"x": value}} for value in SAME])
    for wanted in SAME:
        for condition in (wanted, {"gte": wanted}, {"gt": wanted}, {"lte": wanted}):
            if isinstance(wanted, bool) and condition is not wanted:
                continue
            expected = [str(n) for n, value in enumerate(SAME) if holds(value, condition)]
            assert selected(catalogue, {"metadata": {"x": condition}}) == expected, condition
    assert selected(catalogue, {"metadata": {"x": True}}) == ["3"]
    assert selected(catalogue, {"metadata": {"x": 1}}) == ["1", "2"]


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_is_data(catalogue: Catalogue, text: str) -> None:
    fill(catalogue, [{"metadata": {"": text}}, {"label": text, "tags": [text], "metadata": {text: "a"}}])
    stored = catalogue.get("1")
    assert stored is not None
    assert (stored.label, stored.tags, stored.metadata) == (text, (text,), {text: "a"})
    for condition in (
        {"label": [text]},
        {"tags": text},
        {"label": [text], "tags": text},
        {"metadata": {text: "a"}},
        {"metadata": {text: {"gte": "a"}}},
    ):
        assert "1" in selected(catalogue, condition)
    assert selected(catalogue, {"metadata": {"": text}}) == ["0"]
    assert "0" in selected(catalogue, {"metadata": {"": {"lte": text}}})
    assert ("1" in selected(catalogue, {"metadata": {text: {"gt": text}}})) == (text < "a")


@pytest.mark.parametrize("text", NASTY)
def test_injections_find_nothing_and_harm_nothing(catalogue: Catalogue, text: str) -> None:
    fill(catalogue, [{"label": "dog", "tags": ["a"], "metadata": {"year": 1}}])
    for condition in (
        {"label": text},
        {"tags": text},
        {"ids": text},
        {"metadata": {text: 1}},
        {"metadata": {"year": text}},
        {"metadata": {text: {"gte": text}}},
        {"metadata": {"year": {"gte": text}}},
    ):
        assert selected(catalogue, condition) == []
    assert catalogue.get(text) is None
    assert catalogue.at([text]) == []
    assert catalogue.delete([text]) == []
    assert catalogue.count() == {"image": 1, "sound": 0}
    assert selected(catalogue, {}) == ["0"]
