"""Filters as Milvus's expressions, and what an item carries so that they find it.

No text of anyone's ever stands in an expression. Labels, tags, paths and metadata are compared by what is made of them
here, which is hexadecimal: a digest for equality, and for what is larger or smaller a text that sorts as the value
does. So nothing needs quoting, no key is too strange for a path, and numbers compare as SQLite compares them, to the
last bit of a whole number and of a fraction.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable

from index.catalogue import ID, Item
from index.filter import BOUNDS, Filter, Scalar

WHOLE = range(-(2**63), 2**63)  # a whole number outside is a fraction to SQLite


def terms_of(item: Item) -> list[str]:
    """What an item equals: digests of its label, tags, path and each value in its metadata."""
    terms = [term("label", item.label), *(term("tag", tag) for tag in item.tags)]
    terms += [term("path", item.path)] if item.path else []
    terms += [_equals(key, value) for key, value in item.metadata.items() if isinstance(value, str | int | float)]
    return list(dict.fromkeys(terms))


def ranges_of(item: Item) -> dict[str, str]:
    """What an item's metadata is larger or smaller than: by key and type, texts that sort as the values do."""
    return {
        _range(key, value): sortable(value)
        for key, value in item.metadata.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def term(kind: str, *parts: Scalar) -> str:
    """A digest that stands for a kind of condition and what it compares with: 32 hexadecimal digits."""
    return hashlib.blake2b(json.dumps([kind, *parts]).encode(), digest_size=16).hexdigest()


def sortable(value: str | int | float) -> str:
    """Hexadecimal that sorts as the value does: texts by their UTF-8, numbers by size whatever their type."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").hex()
    try:
        near = float(value) + 0.0  # no negative zero
    except OverflowError:
        near = float("inf") if value > 0 else float("-inf")
    rest = int(value) - int(near) if isinstance(value, int) and value in WHOLE else 0  # what a double can't hold
    (bits,) = struct.unpack(">Q", struct.pack(">d", near))
    ordered = bits ^ (2**64 - 1) if bits >> 63 else bits | 1 << 63
    return f"{ordered:016x}{rest + 2**15:04x}"


def expression(filter: Filter | None) -> str | None:
    """A filter as Milvus's expression; empty where everything passes, None where nothing can."""
    if filter is None:
        return ""
    conditions = []
    if filter.labels is not None:
        if not filter.labels:
            return None
        conditions.append(any_of(term("label", label) for label in filter.labels))
    if filter.ids is not None:
        ids = [id for id in filter.ids if ID.fullmatch(id)]
        if not ids:
            return None
        conditions.append(among("id", ids))
    needed = [term("tag", tag) for tag in filter.tags] + [_equals(key, value) for key, value in filter.equal.items()]
    if needed:
        conditions.append(f"ARRAY_CONTAINS_ALL(terms, {_listed(needed)})")
    for key, limits in filter.bounds.items():
        for name, limit in limits.items():
            conditions.append(f'ranges["{_range(key, limit)}"] {BOUNDS[name]} "{sortable(limit)}"')
    return " and ".join(conditions)


def any_of(terms: Iterable[str]) -> str:
    """Items that have at least one of some terms."""
    return f"ARRAY_CONTAINS_ANY(terms, {_listed(terms)})"


def among(field: str, names: Iterable[str]) -> str:
    """Items of which a field is one of some ids or digests."""
    return f"{field} in {_listed(names)}"


def _equals(key: str, value: Scalar) -> str:
    if isinstance(value, bool):
        return term("value", key, "bool", value)
    if isinstance(value, str):
        return term("value", key, "text", value)
    return term("value", key, "number", sortable(value))


def _range(key: str, value: str | int | float) -> str:
    return ("t" if isinstance(value, str) else "n") + term("key", key)


def _listed(names: Iterable[str]) -> str:
    """A list of names that are digests or ids, and so hold nothing that could end a text."""
    names = list(names)
    if not all(ID.fullmatch(name) for name in names):
        raise ValueError("only digests and ids stand in an expression")
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
