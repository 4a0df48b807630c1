"""Query parameters that several paths share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from index.filter import Filter, FilterError
from service.limits import Limits
from service.problems import Problem

K = Annotated[int, Query(ge=1, description="How many hits for each file.", json_schema_extra={"maximum": Limits.k})]
FilterText = Annotated[
    str | None,
    Query(
        description="Conditions on the items, a JSON object with `label`, `tags`, `ids`, `metadata`.",
        examples=['{"label": ["train", "boat"], "metadata": {"year": {"gte": 2020}}}'],
    ),
]


def parse_filter(text: str | None) -> Filter | None:
    """The filter that a client wrote; one that says nothing sensible is a 422."""
    if text is None:
        return None
    try:
        return Filter.parse(text)
    except FilterError as error:
        raise Problem("invalid-request", f"{error}.") from None


def check_k(k: int, limits: Limits) -> None:
    """More hits than the limit are a 422."""
    if k > limits.k:
        raise Problem("invalid-request", f"query 'k': input should be at most {limits.k}.", limit=limits.k)
