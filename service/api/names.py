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


async def check_names(request: Request) -> None:
    """A query parameter or a form field that the request's path does not have is a 422, which names the nearest; so is
    one that is given twice, unless it takes a list."""
    dependant = request.scope["route"].dependant
    _check("query parameter", request.query_params, dependant.query_params, ("form field", dependant.body_params))
    if dependant.body_params:
        form = await request.form()  # FastAPI has read it
        known = [field.alias for field in dependant.body_params]
        if request.headers.get("content-type", "").startswith(MULTIPART) or not form.keys().isdisjoint(known):
            _check(
                "form field", form, dependant.body_params, ("query parameter", dependant.query_params)
            )  # else it may be a file, sent as if it were a form


def _check(
    what: str, sent: ImmutableMultiDict[str, Any], fields: Sequence[Any], elsewhere: tuple[str, Sequence[Any]]
) -> None:
    known = {field.alias: field for field in fields}
    for name, times in Counter(name for name, _ in sent.multi_items()).items():
        if name not in known:
            if any(name == field.alias for field in elsewhere[1]):
                raise Problem("invalid-request", f"'{name}' is no {what} here; send it as a {elsewhere[0]}.")
            near = next(iter(difflib.get_close_matches(name, known, 1)), None)
            listed = ", ".join(f"'{one}'" for one in known)
            remedy = f"perhaps '{near}' is meant." if near else f"it takes {listed}." if known else "leave it out."
            raise Problem("invalid-request", f"There is no {what} '{name[:80]}' here; {remedy}")
        if times > 1 and get_origin(known[name].field_info.annotation) is not list:
            raise Problem("invalid-request", f"The {what} '{name}' is given {times} times; give it once.")
