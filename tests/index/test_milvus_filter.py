"""No text of anyone's stands in an expression of Milvus's, and what stands for it sorts as it does."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.filter import Filter
from index.milvus_filter import among, expression, sortable
from tests.index.conditions import NASTY, filters


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
