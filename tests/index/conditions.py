"""Items and filters drawn at random, and a plain reading of what a filter says."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import strategies as st

from index.catalogue import Item

COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
# What would end a text, or begin something else, in SQL, in a path into JSON or in an expression of Milvus's.
NASTY = [
    "' OR 1 --",
    '") OR 1 --',
    "'; DROP TABLE items; --",
    "$.label",
    "*",
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

texts = st.sampled_from(["dog", "cat", "", "Dog", "n", "a'b", '"', "_", "a\\b", "\n", *NASTY])
keys = st.sampled_from(["x", "", "a'b", "é", "1", *NASTY[5:7]])  # few, so that filters meet items
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
bounds = st.dictionaries(st.sampled_from(list(COMPARE)), st.one_of(texts, numbers), min_size=1)
filters = st.fixed_dictionaries(
    {},
    optional={
        "label": st.one_of(texts, st.lists(texts, max_size=3)),
        "tags": st.one_of(texts, st.lists(texts, max_size=2)),
        "ids": st.lists(st.sampled_from(["0", "1", "2", "x", *NASTY]), max_size=3),
        "metadata": st.dictionaries(keys, st.one_of(scalars, bounds), max_size=2),
    },
)


def passes(item: Item, condition: dict[str, Any]) -> bool:
    """Whether a filter, as its JSON object, lets an item pass."""

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
    """Whether a value of an item's metadata is the one wanted, or within the bounds."""

    def kind(x: Any) -> str:
        if isinstance(x, bool):
            return "truth"
        return "number" if isinstance(x, int | float) else type(x).__name__

    if not isinstance(wanted, dict):
        return kind(value) == kind(wanted) and bool(value == wanted)
    return all(kind(value) == kind(limit) and COMPARE[name](value, limit) for name, limit in wanted.items())
