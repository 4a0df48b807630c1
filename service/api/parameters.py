"""Query parameters that several paths share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from index.filter import Filter, FilterError
from service.api.fields import check_text
from service.api.nesting import read_json
from service.limits import Limits
from service.problems import Problem
from training.model.memory import Modality

K = Annotated[int, Query(ge=1, description="How many hits for each file.", json_schema_extra={"maximum": Limits.k})]
FilterText = Annotated[
    str | None,
    Query(
        description="Conditions on the items, a JSON object with `label`, `tags`, `ids`, `metadata`.",
        examples=['{"label": ["train", "boat"], "metadata": {"year": {"gte": 2020}}}'],
    ),
]

Windows = Annotated[bool, Query(description="Of sounds, each window's answer too: which second it was.")]
Explain = Annotated[bool, Query(description="The memory's slots that the answer came through.")]
Labels = Annotated[
    list[str],
    Query(
        description="Labels of the catalogue to choose from, repeatable or with commas between them; `*` for all.",
        examples=[["train", "boat"]],
    ),
]


def parse_filter(text: str | None, limits: Limits) -> Filter | None:
    """The filter that a client wrote; one that says nothing sensible, or is nested too deep, is a 422."""
    if text is None:
        return None
    try:
        return Filter.parse(text, lambda json: read_json(json, "query 'filter'", limits))
    except FilterError as error:
        raise Problem("invalid-request", f"{error}.") from None


def check_named(labels: Sequence[str], limits: Limits) -> list[str]:
    """Labels that the catalogue may have; each text may be several, with commas between them."""
    for label in ",".join(labels).split(","):
        check_text("query 'labels'", label, limits.label_length)
    return [label for label in labels if label]


def check_windows(windows: bool, modality: Modality) -> None:
    """Windows of an image are a 422."""
    if windows and modality == "image":
        raise Problem("invalid-request", "query 'windows': images have no windows; leave it out, or send sounds.")


def check_k(k: int, limits: Limits, detailed: bool = False) -> None:
    """More hits than the limit are a 422, also where each is `detailed` by windows or slots."""
    if detailed and k > limits.detailed_k:
        raise Problem(
            "invalid-request",
            f"query 'k': with windows or explain, input should be less than or equal to {limits.detailed_k}.",
            limit=limits.detailed_k,
        )
    if k > limits.k:
        raise Problem(
            "invalid-request", f"query 'k': input should be less than or equal to {limits.k}.", limit=limits.k
        )
