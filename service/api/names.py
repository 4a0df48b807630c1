"""The names of what a request may carry: one that is misspelt, or given twice, would have no effect, unheard."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_origin

from fastapi import Request
from starlette.datastructures import ImmutableMultiDict

from service.problems import Problem

MULTIPART = "multipart/form-data"

Fields = tuple[str, Sequence[Any]]  # what they are called, and FastAPI's


async def check_names(request: Request) -> None:
    """A query parameter or a form field that the request's path does not have is a 422, which names the nearest; so is
    one that is given twice, unless it takes a list."""
    dependant = request.scope["route"].dependant
    query, body = ("query parameter", dependant.query_params), ("form field", dependant.body_params)
    _check(request.query_params, query, body)
    if dependant.body_params:
        form = await request.form()  # FastAPI has read it
        known = [field.alias for field in dependant.body_params]
        if request.headers.get("content-type", "").startswith(MULTIPART) or not form.keys().isdisjoint(known):
            _check(form, body, query)  # else it may be a file, sent as if it were a form


def _check(sent: ImmutableMultiDict[str, Any], own: Fields, others: Fields) -> None:
    """Refuse what is not among a request's own fields of a kind; the others are where it may belong."""
    what, fields = own
    elsewhere, strangers = others
    known = {field.alias: field for field in fields}
    for name, times in Counter(name for name, _ in sent.multi_items()).items():
        if name not in known:
            if any(name == field.alias for field in strangers):
                raise Problem("invalid-request", f"'{name}' is no {what} here; send it as a {elsewhere}.")
            near = next(iter(difflib.get_close_matches(name, known, 1)), None)
            listed = ", ".join(f"'{one}'" for one in known)
            remedy = f"perhaps '{near}' is meant." if near else f"it takes {listed}." if known else "leave it out."
            raise Problem("invalid-request", f"There is no {what} '{name[:80]}' here; {remedy}")
        if times > 1 and get_origin(known[name].field_info.annotation) is not list:
            raise Problem("invalid-request", f"The {what} '{name}' is given {times} times; give it once.")
