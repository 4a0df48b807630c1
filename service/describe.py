"""What the OpenAPI document says of every call: how keys are sent, and what the guards answer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from service.access.guard import OPEN, scope_of
from service.pipeline.capacity import Capacity
from service.problems import OPENAI_PATHS
from service.schemas import ProblemDocument

_ANY = {  # of any call
    "400": "What was sent is not HTTP",
    "413": "The body is too large",
    "421": "The service does not go by the name that it was called",
    "422": "A header that makes no sense",
    "429": "Too many requests; `Retry-After` says when to come again",
    "431": "The headers are too large",
    "500": "The service failed on this request; its log says why",
}
_GUARDED = {  # of calls that need a key, where keys are asked for
    "401": "A key is missing, or is not known",
    "503": "The service is not ready, its catalogue can't be reached, or a part of it crashed and starts again",
    "504": "The request's time is over",
}
_WRITES = {"403": "The key does not allow this, or a page of another site asks"}
_READS_BODY = {"408": "The body came too slowly"}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_FORM = "Body_"  # how FastAPI calls what a form holds
_DEADLINE = {
    "name": "X-Deadline-Ms",
    "in": "header",
    "required": False,
    "description": "Milliseconds that an answer is of use for; one that would be late is a 504.",
    "schema": {"type": "integer", "minimum": 1, "maximum": round(1000 * Capacity.longest_deadline)},
    "example": 5000,
}


def describe_guards(app: FastAPI) -> None:
    """Add to an application's document what is not in its routes."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = _SCHEMES
        for name, schema in document["components"].get("schemas", {}).items():
            if name.startswith(_FORM):
                schema["additionalProperties"] = False  # see `service.api.names`
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _describe(path, method.upper(), operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(path: str, method: str, operation: dict[str, Any]) -> None:
    openai, guarded = path.startswith(OPENAI_PATHS), path not in OPEN
    if openai:
        media, schema = "application/json", {"$ref": "#/components/schemas/OpenAIErrorDocument"}
    else:
        media, schema = "application/problem+json", ProblemDocument.model_json_schema()
    met = {
        **_ANY,
        **(_GUARDED if guarded else {}),
        **(_WRITES if scope_of(method, path) == "write" else {}),
        **(_READS_BODY if "requestBody" in operation else {}),
    }
    for status, what in met.items():
        status = "400" if openai and status == "422" else status
        operation["responses"].setdefault(status, {"description": what, "content": {media: {"schema": schema}}})
    operation.setdefault("parameters", []).append(_DEADLINE)
    if guarded:
        operation["security"] = [{}, {"bearer": []}, {"header": []}]
