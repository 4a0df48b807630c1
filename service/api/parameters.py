"""Query parameters that several paths share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from index.filter import Filter, FilterError
from service.problems import Problem

K = Annotated[int, Query(ge=1, le=1000, description="How many hits for each file.")]
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
