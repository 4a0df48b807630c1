"""What schemathesis sends where the OpenAPI document asks for files: real ones too, which it could not make up."""

from __future__ import annotations

import base64
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import HookContext

from tests.service.fuzz.originals import originals

FILES = [original for original in originals() if original.name in ("jpeg", "png", "flac", "mp3")]
KIND = {"image": "image/jpeg", "sound": "audio/wav"}  # the bytes say the rest
PATIENCE = 60_000  # milliseconds


@schemathesis.hook
def flatmap_body(context: HookContext, body: Any) -> st.SearchStrategy[Any]:
    """Every other form has files in one of its two fields, and of what OpenAI's clients send every other input."""
    if not isinstance(body, dict) or context.operation is None:
        return st.just(body)
    if context.operation.path == "/v1/embeddings":
        uris = [f"data:{KIND[file.field]};base64,{base64.b64encode(file.content).decode()}" for file in FILES]
        return st.just(body) | st.sampled_from([{**body, "model": "bma", "input": given} for given in (*uris, uris)])
    others = {key: value for key, value in body.items() if key not in ("image", "sound")}
    given = [{**others, file.field: [file.content] * count} for file in FILES for count in (1, 2)]
    broken = [{**others, file.field: [file.content[:300]]} for file in FILES]
    return st.just(body) | st.sampled_from([*given, *broken])


@schemathesis.hook
def before_call(context: HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Time enough for an answer, where a request gives itself any."""
    given: dict[str, Any] = dict(case.headers or {})
    deadline = str(given["X-Deadline-Ms"]) if "X-Deadline-Ms" in given else ""
    if deadline.isdecimal() and int(deadline) < PATIENCE:
        case.headers["X-Deadline-Ms"] = str(PATIENCE)
