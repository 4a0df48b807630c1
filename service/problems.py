"""Errors over HTTP: RFC 9457 problem documents, one table from kind to status."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from index.catalogue import CatalogueError, FileGone, ItemTooLarge, NoSuchItem, Unreachable
from training.model.media.source import (
    DamagedMedia,
    EmptyMedia,
    MediaError,
    MediaTooLarge,
    MissingMedia,
    UnsupportedMedia,
)

MEDIA_TYPE = "application/problem+json"
URN = "urn:bma:problem:"
OPENAI_PATHS = ("/v1/embeddings", "/v1/models")  # and what is below them: errors in OpenAI's shape
AGAIN = 5  # seconds after which a catalogue that can't be reached may be asked again

# kind: status and title; the kind is the stable end of a problem's `type`
KINDS: dict[str, tuple[int, str]] = {
    "empty-media": (422, "The file is empty"),
    "damaged-media": (422, "The file is damaged"),
    "unsupported-media": (415, "The file's format is not supported"),
    "media-too-large": (413, "The file is too large to decode"),
    "upload-too-large": (413, "The upload is too large"),
    "too-many-files": (413, "Too many files in one request"),
    "no-file": (422, "No file was sent"),
    "invalid-request": (422, "The request is not valid"),
    "malformed-body": (400, "The body can't be parsed"),
    "no-such-range": (416, "The file has no such range"),
    "no-key": (401, "An API key is needed"),
    "wrong-key": (401, "The API key is not known"),
    "scope-missing": (403, "The API key does not allow this"),
    "rate-limited": (429, "The API key asks too often"),
    "other-site": (403, "The request comes from a page of another site"),
    "unknown-host": (421, "The service is not known by this name"),
    "not-http": (400, "The request is not HTTP"),
    "head-too-large": (431, "The request's headers are too large"),
    "too-slow": (408, "The request came too slowly"),
    "idempotency-key-reused": (422, "The key belongs to another request"),
    "request-under-way": (409, "The same request is under way"),
    "reload-failed": (409, "The service goes on with what it had"),
    "not-found": (404, "There is nothing here"),
    "no-such-item": (404, "There is no such item"),
    "content-gone": (404, "The item's file is gone"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "id-taken": (409, "The id belongs to another item"),
    "modality-clash": (409, "The item is of the other modality"),
    "read-only": (409, "The catalogue may only be read"),
    "model-not-found": (404, "The service has no such model"),
    "no-memory": (409, "The model has no memory"),
    "no-class-head": (409, "The model has no class head"),
    "no-catalogue": (409, "The service has no catalogue"),
    "not-computable": (422, "The model has no answer for the file"),
    "overloaded": (429, "The service has all the work that it may take on"),
    "deadline-exceeded": (504, "The request's time is over"),
    "stage-crashed": (503, "A part of the service crashed"),
    "not-ready": (503, "The service is not ready"),
    "insufficient-storage": (507, "The catalogue has no room"),
    "internal": (500, "Something went wrong inside the service"),
}

_MEDIA_KINDS: dict[type[MediaError], str] = {
    EmptyMedia: "empty-media",
    DamagedMedia: "damaged-media",
    UnsupportedMedia: "unsupported-media",
    MediaTooLarge: "media-too-large",
    MissingMedia: "content-gone",
}

# these name an item and nothing of the catalogue's
_CATALOGUE_KINDS: dict[type[CatalogueError], str] = {
    FileGone: "content-gone",
    NoSuchItem: "no-such-item",
    ItemTooLarge: "invalid-request",
}

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

_A_FILE = "takes a file; with curl write -F field=@path"
_TAKES = {"image": _A_FILE, "sound": _A_FILE}

log = logging.getLogger("bma.service")


class Problem(Exception):
    """An answer that is an error.

    Args:
        kind: one of `KINDS`.
        detail: one sentence: what is wrong and what to do.
        headers: of the answer, such as `retry-after`.
        extra: further members of the document.
    """

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.detail = detail if detail.isprintable() else "".join(c if c.isprintable() else "?" for c in detail)
        self.kind, self.extra = kind, extra
        self.status, self.title = KINDS[kind]

    def having(self, **extra: Any) -> Problem:
        """The same with further members. Itself stays as it is: a batch's may be that of several requests."""
        return Problem(self.kind, self.detail, headers=self.headers, **{**self.extra, **extra})

    def document(self) -> dict[str, Any]:
        """The problem document."""
        return {
            "type": URN + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }

    def response(self, path: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """The whole answer, in the dialect of the request's path."""
        return error_answer(path, self.document(), {**self.headers, **(headers or {})})


def error_answer(path: str, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem document as an answer; on OpenAI's paths in the shape that its clients read.

    Args:
        path: of the request.
        document: `type`, `title`, `status`, `detail` and what else there is to say.
        headers: of the answer.
    """
    status = document["status"]
    if not any(path == openai or path.startswith(f"{openai}/") for openai in OPENAI_PATHS):
        return JSONResponse(document, status, headers, MEDIA_TYPE)
    status = 400 if status in (415, 422) else status  # its clients know one status for what can't be read
    error = {
        "message": document["detail"],
        "type": _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": document.get("param"),
        "code": document["type"].removeprefix(URN).replace("-", "_"),
    }
    return JSONResponse({"error": error}, status, headers)


def media_problem(error: MediaError) -> Problem:
    """What is wrong with a file, as a problem."""
    limit = error.limit if isinstance(error, MediaTooLarge) else None
    extra: dict[str, Any] = {} if limit is None else {"limit": limit}
    return Problem(_MEDIA_KINDS.get(type(error), "damaged-media"), _sentence(str(error)), **extra)


def catalogue_problem(error: CatalogueError) -> Problem:
    """What is told of a catalogue that fails, as a problem; what it says of itself (where it lies) goes to the log."""
    for told, kind in _CATALOGUE_KINDS.items():
        if isinstance(error, told):
            said = _sentence(str(error))
            return Problem(kind, said[:1].upper() + said[1:])
    log.error("the catalogue has failed: %s", error)
    if isinstance(error, Unreachable):
        return Problem(
            "not-ready",
            f"The service's catalogue can't be reached at the moment; send this again in {AGAIN} s.",
            headers={"retry-after": str(AGAIN)},
        )
    return Problem("internal", "The catalogue failed on this request; the service's log says why. Try again later.")


def install(app: FastAPI) -> None:
    """Turn every error of an application into a problem document."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        _forget_frames(error)
        return error.response(request.url.path)

    @app.exception_handler(CatalogueError)
    async def catalogue(request: Request, error: CatalogueError) -> JSONResponse:
        return catalogue_problem(error).response(request.url.path)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return Problem("invalid-request", _explain(error), errors=[_where(entry) for entry in error.errors()]).response(
            request.url.path
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        _forget_frames(error)
        headers = dict(error.headers) if error.headers else None
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = f"There is no {request.url.path} here; /docs lists every path."
            return Problem("not-found", detail).response(request.url.path, headers)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = _methods(app, request.url.path) or Headers(error.headers).get("allow", "").split(", ")
            allowed = ", ".join(sorted(methods))
            detail = f"{request.method} is not allowed on {request.url.path}; use {allowed or 'another method'}."
            return Problem("method-not-allowed", detail).response(request.url.path, {"allow": allowed})
        if error.status_code == HTTPStatus.BAD_REQUEST and isinstance(error.__cause__, OSError):
            log.error("uploads can't be kept in %s while they come: %s", tempfile.gettempdir(), error.__cause__)
            detail = "The service has no room for uploads of this size at the moment; its log says where to make some."
            return Problem("not-ready", detail, headers={"retry-after": str(AGAIN)}).response(request.url.path)
        if error.status_code == HTTPStatus.BAD_REQUEST:
            detail = f"The body can't be parsed ({error.detail}); send multipart/form-data with files in fields."
            return Problem("malformed-body", detail).response(request.url.path, headers)
        document = {"type": "about:blank", "title": HTTPStatus(error.status_code).phrase, "status": error.status_code}
        return error_answer(request.url.path, {**document, "detail": str(error.detail)}, headers)

    @app.exception_handler(Exception)
    async def internal(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        problem = Problem("internal", "The service failed on this request; its log says why. Try again later.")
        return problem.response(request.url.path)


def _methods(app: FastAPI, path: str) -> set[str]:
    """What a path of the API may be asked with; each of its methods is a route, and the router knows but the first."""
    operations = (of for template, of in app.openapi()["paths"].items() if compile_path(template)[0].fullmatch(path))
    methods = {method.upper() for of in operations for method in of}
    return methods | ({"HEAD"} if "GET" in methods else set())


def _forget_frames(error: BaseException) -> None:
    """Some of them hold the error, which holds them: what came of the body would be kept for long."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        seen.add(id(one))
        one.__traceback__ = None
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None and id(other) not in seen]


def _explain(error: RequestValidationError) -> str:
    parts = [f"{place['in']} '{place['name']}': {place['message']}" for place in map(_where, error.errors())]
    return _sentence("; ".join(dict.fromkeys(parts)))


def _where(entry: Any) -> dict[str, str]:
    location = [str(part) for part in entry["loc"]]
    message = str(entry["msg"])
    if location[0] == "body" and entry["type"] != "missing":
        message = _TAKES.get(
            str(location[1]) if len(location) > 1 else "", "takes a text; with curl write -F field=text"
        )
    return {
        "in": "field" if location[0] == "body" else location[0],
        "name": location[1] if len(location) > 1 else "",
        "message": message[:1].lower() + message[1:],
    }


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."
