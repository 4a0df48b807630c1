"""The FastAPI application around a trained model."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service import problems
from service.access.guard import HostGuard, KeyGuard
from service.access.policy import Access
from service.access.rate import Rates
from service.api import admin, changes, embeddings, items, labels, queries, searches, status
from service.api.names import check_names
from service.describe import describe_guards
from service.engines import Engines, Leases, ReloadError
from service.hangup import reload_on_hangup
from service.intake import Intake
from service.logs import RequestLog
from service.pipeline.entrance import Entrance
from service.pipeline.gate import Gate

if TYPE_CHECKING:  # an extra
    from service.tracing import Tracing

PAGE = Path(__file__).parent / "page"
SWAGGER = ("fastapi_offline", "static")  # a package with Swagger UI's files, so that /docs needs no CDN
_PAGE_POLICY = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # a browser asks each time and hears 304 where nothing has changed
}
# Swagger UI styles its elements inline and draws its icons from data URIs.
_DOCS_POLICY = {
    **_PAGE_POLICY,
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


log = logging.getLogger("bma.service")


def create_app(engines: Engines, access: Access | None = None, tracing: Tracing | None = None) -> ASGIApp:
    """The whole application.

    Args:
        engines: the engine that answers, by whose limits what comes in is bounded.
        access: who may ask; without it everyone who reaches the service.
        tracing: traces the requests; without it none are.
    """
    access = access or Access()

    async def reload() -> None:
        log.info("SIGHUP: reloading")
        with suppress(ReloadError):  # it is in the log
            await engines.reload()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await engines.current.self_test()
            reload_on_hangup(reload)
            yield
        finally:
            await engines.close()

    app = FastAPI(
        title="BMA-Memory",
        summary="Sound and image find each other.",
        description="Send a sound, get matching images; send an image, get its class; vectors `h` and `z` for both. "
        "The path says what comes back, the form field says what you gave. Errors are `application/problem+json`.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a path that is not there is a 404, which says where all are
        telemetry={"tracing": False, "metrics": False, "logs": False},  # its own, which tell paths and query strings
    )
    app.state.engines, app.state.origins = engines, access.origins
    problems.install(app)
    for part in (queries, searches, items, labels, changes):
        app.include_router(part.router, dependencies=[Depends(check_names)])
    for part in (embeddings, status, admin):
        app.include_router(part.router)
    _serve_page(app, "/", PAGE / "index.html", _PAGE_POLICY)
    _serve_page(app, "/docs", PAGE / "docs.html", _DOCS_POLICY)
    app.mount("/page", _PageFiles(directory=PAGE, packages=[SWAGGER]))
    describe_guards(app)
    return _guarded(app, engines, access, tracing)


def _guarded(app: FastAPI, engines: Engines, access: Access, tracing: Tracing | None) -> ASGIApp:
    """The guards around an application; the last one here is the first to see a request."""
    guarded: ASGIApp = Intake(Leases(app, engines), engines.current.limits)
    guarded = Gate(guarded, lambda: engines.current.capacity, lambda: engines.current.metrics)
    if access.keys is not None:
        guarded = KeyGuard(guarded, access.keys, Rates(access.rate, access.burst))
    if access.origins:  # before the keys, as a browser asks without one whether it may ask
        guarded = CORSMiddleware(
            guarded,
            allow_origins=access.origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[
                "authorization",
                "x-api-key",
                "x-request-id",
                "content-type",
                "idempotency-key",
                "x-deadline-ms",
            ],
            expose_headers=["x-request-id", "retry-after", "idempotent-replayed"],
        )
    if access.check_host:
        guarded = HostGuard(guarded, access.hosts)

    def templates() -> list[str]:
        return [*app.openapi()["paths"], "/page/{file:path}"]

    guarded = Entrance(guarded, lambda: engines.current.capacity, lambda: engines.current.metrics, templates)
    guarded = RequestLog(guarded, templates)
    return guarded if tracing is None else tracing.around(guarded, templates)


def _serve_page(app: FastAPI, path: str, file: Path, headers: dict[str, str]) -> None:
    @app.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)
    async def page() -> FileResponse:
        return _Page(file, media_type="text/html", headers=headers)


class _Page(FileResponse):
    """A page, which comes whole: what is wrong with a range would be said in plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(_whole(scope), receive, send)


def _whole(scope: Scope) -> Scope:
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}


class _PageFiles(StaticFiles):
    """Scripts, styles and drawings of the pages, under the pages' policy, each whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The file."""
        await super().__call__(_whole(scope), receive, send)

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """The file, or 304 where the browser has it."""
        response = super().file_response(*arguments, **options)
        response.headers.update(_PAGE_POLICY)
        return response
