"""The FastAPI application around a trained model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from service import problems
from service.api import changes, embeddings, items, queries, searches, status
from service.engine import Engine
from service.limits import UploadLimit

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


def create_app(engine: Engine) -> ASGIApp:
    """The whole application, its uploads bounded by the engine's limits."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await engine.self_test()
            yield
        finally:
            engine.close()

    app = FastAPI(
        title="BMA-Memory",
        summary="Sound and image find each other.",
        description="Send a sound, get matching images; send an image, get its class; vectors `h` and `z` for both. "
        "The path says what comes back, the form field says what you gave. Errors are `application/problem+json`.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.engine = engine
    problems.install(app)
    for router in (queries.router, searches.router, embeddings.router, items.router, changes.router, status.router):
        app.include_router(router)
    _serve_page(app, "/", PAGE / "index.html", _PAGE_POLICY)
    _serve_page(app, "/docs", PAGE / "docs.html", _DOCS_POLICY)
    app.mount("/page", _PageFiles(directory=PAGE, packages=[SWAGGER]))
    return UploadLimit(app, engine.limits.upload_bytes)


def _serve_page(app: FastAPI, path: str, file: Path, headers: dict[str, str]) -> None:
    @app.get(path, include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(file, media_type="text/html", headers=headers)


class _PageFiles(StaticFiles):
    """Scripts, styles and drawings of the pages, under the pages' policy."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """The file, or 304 where the browser has it."""
        response = super().file_response(*arguments, **options)
        response.headers.update(_PAGE_POLICY)
        return response
