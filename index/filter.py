"""Filters over items: a JSON object, checked, and its SQL."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Scalar = str | int | float | bool
BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
KEYS = ("label", "tags", "ids", "metadata")
CONDITIONS = 100  # SQLite bounds the depth of an expression


class FilterError(ValueError):
    """A filter that makes no sense; `str()` is one sentence, whatever the filter held."""

    def __init__(self, sentence: str) -> None:
        super().__init__("".join(character if character.isprintable() else "?" for character in sentence)[:300])


@dataclass(frozen=True)
class Filter:
    """Conditions that all must hold.

    Attributes:
        labels: the label is one of these.
        tags: the item has all of these.
        ids: the id is one of these.
        equal: metadata keys with the value they must have.
        bounds: metadata keys with `gt`, `gte`, `lt`, `lte` and the number or text on the other side.
    """

    labels: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    ids: tuple[str, ...] | None = None
    equal: dict[str, Scalar] = field(default_factory=dict)
    bounds: dict[str, dict[str, str | int | float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, read: Callable[[str], Any] = json.loads) -> Filter:
        """Read a filter such as `{"label": "dog", "tags": ["park"], "metadata": {"year": {"gte": 2020}}}`.

        Args:
            text: JSON.
            read: what reads it; raises `ValueError` where it is none.

        Raises:
            FilterError: not JSON, or not of this form.
        """
        try:
            value = read(text)
            plain = json.dumps(value, ensure_ascii=False).encode()  # fails on half a surrogate pair, which is no text
        except (ValueError, RecursionError):
            raise FilterError('filter is not valid JSON; it takes an object such as {"label": "dog"}') from None
        if b"\\u0000" in plain:  # where SQLite's JSON functions end a text
            raise FilterError("filter holds the character U+0000; leave it out")
        if not isinstance(value, dict):
            raise FilterError('filter takes a JSON object such as {"label": "dog"}')
        for key in value:
            if key not in KEYS:
                raise FilterError(f"filter knows no '{key}'; it takes {', '.join(KEYS)}")
        equal, bounds = _metadata(value.get("metadata", {}))
        tags = tuple(dict.fromkeys(_texts("tags", value.get("tags", ()))))
        conditions = len(tags) + len(equal) + sum(map(len, bounds.values()))
        if conditions > CONDITIONS:
            raise FilterError(f"filter has {conditions} conditions; use at most {CONDITIONS}")
        return cls(
            labels=_texts("label", value["label"]) if "label" in value else None,
            tags=tags,
            ids=_texts("ids", value["ids"]) if "ids" in value else None,
            equal=equal,
            bounds=bounds,
        )

    def sql(self) -> tuple[str, list[Any]]:
        """A condition over the table `items`, with its parameters."""
        conditions: list[str] = ["1"]
        values: list[Any] = []
        for column, wanted in (("label", self.labels), ("id", self.ids)):
            if wanted is not None:
                conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
                values.append(json.dumps(wanted))
        for tag in self.tags:
            conditions.append("number IN (SELECT number FROM tags WHERE tag = ?)")
            values.append(tag)
        for key, scalar in self.equal.items():
            conditions.append("number IN (SELECT number FROM fields WHERE key = ? AND type = ? AND value = ?)")
            values += [key, _type(scalar), scalar]
        for key, limits in self.bounds.items():
            for type, among in _by_type(limits).items():
                compared = " AND ".join(f"value {BOUNDS[name]} ?" for name in among)
                conditions.append(f"number IN (SELECT number FROM fields WHERE key = ? AND type = ? AND {compared})")
                values += [key, type, *among.values()]
        return " AND ".join(conditions), values


def _type(scalar: Scalar) -> str:
    """What may be compared with a value, so that no text ever equals or outranks a number."""
    if isinstance(scalar, bool):
        return "bool"
    return "text" if isinstance(scalar, str) else "number"


def _by_type(limits: dict[str, str | int | float]) -> dict[str, dict[str, str | int | float]]:
    grouped: dict[str, dict[str, str | int | float]] = {}
    for name, limit in limits.items():
        grouped.setdefault(_type(limit), {})[name] = limit
    return grouped


def _texts(key: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(text, str) for text in values):
        raise FilterError(f"filter: '{key}' takes a text or a list of texts")
    return tuple(values)


def _metadata(value: Any) -> tuple[dict[str, Scalar], dict[str, dict[str, str | int | float]]]:
    if not isinstance(value, dict):
        raise FilterError('filter: \'metadata\' takes an object such as {"year": 2024} or {"year": {"gte": 2020}}')
    equal: dict[str, Scalar] = {}
    bounds: dict[str, dict[str, str | int | float]] = {}
    for key, wanted in value.items():
        if isinstance(wanted, str | int | float):
            _in_range(key, wanted)
            equal[key] = wanted
        elif isinstance(wanted, dict) and wanted and set(wanted) <= set(BOUNDS):
            for limit in wanted.values():
                if not isinstance(limit, str | int | float) or isinstance(limit, bool):
                    raise FilterError(f"filter: the bounds of '{key}' take numbers or texts")
                _in_range(key, limit)
            bounds[key] = wanted
        else:
            raise FilterError(f"filter: '{key}' takes a value, or an object with some of {', '.join(BOUNDS)}")
    return equal, bounds


def _in_range(key: str, value: Scalar) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise FilterError(f"filter: the number for '{key}' is too large; use at most 63 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise FilterError(f"filter: '{key}' is not a number")
