"""The names of what a request may carry: one that is misspelt would have no effect, and nobody would hear of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from fastapi import Request

from service.problems import Problem

MULTIPART = "multipart/form-data"


async def check_names(request: Request) -> None:
    """A query parameter or a form field that the request's path does not have is a 422, which names the nearest."""
    dependant = request.scope["route"].dependant
    _check("query parameter", request.query_params, [field.alias for field in dependant.query_params])
    if dependant.body_params:
        form = await request.form()  # FastAPI has read it
        known = [field.alias for field in dependant.body_params]
        if request.headers.get("content-type", "").startswith(MULTIPART) or not form.keys().isdisjoint(known):
            _check("form field", form, known)  # else it may be a file, sent as if it were a form


def _check(what: str, sent: Iterable[str], known: Sequence[str]) -> None:
    for name in sent:
        if name not in known:
            near = next(iter(difflib.get_close_matches(name, known, 1)), None)
            listed = ", ".join(f"'{one}'" for one in known)
            remedy = f"perhaps '{near}' is meant." if near else f"it takes {listed}." if known else "leave it out."
            raise Problem("invalid-request", f"There is no {what} '{name[:80]}' here; {remedy}")
