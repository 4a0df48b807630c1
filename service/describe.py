"""What the OpenAPI document says of every call: how keys are sent, and what the guards answer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from service.problems import OPENAI_PATHS
from service.schemas import ProblemDocument

_GUARDS = {
    "401": "A key is missing, or is not known",
    "403": "The key does not allow this, or a page of another site asks",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "421": "The service does not go by the name that it was called",
    "429": "Too many requests; `Retry-After` says when to come again",
    "503": "The service is not ready, or a part of it crashed and starts again",
    "504": "The request's time is over",
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def describe_guards(app: FastAPI) -> None:
    """Add to an application's document what is not in its routes."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = _SCHEMES
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _describe(path, operation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(path: str, operation: dict[str, Any]) -> None:
    if path.startswith(OPENAI_PATHS):
        media, schema = "application/json", {"$ref": "#/components/schemas/OpenAIErrorDocument"}
    else:
        media, schema = "application/problem+json", ProblemDocument.model_json_schema()
    guards = _GUARDS if path.startswith("/v1/") else {"421": _GUARDS["421"]}
    for status, what in guards.items():
        operation["responses"].setdefault(status, {"description": what, "content": {media: {"schema": schema}}})
    if path.startswith("/v1/"):
        operation["security"] = [{}, {"bearer": []}, {"header": []}]
