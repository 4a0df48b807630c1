"""The FastAPI application around a trained model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.types import ASGIApp

from service import problems
from service.api import items, queries, status
from service.engine import Engine
from service.limits import UploadLimit

PAGE = Path(__file__).parent / "page"
_PAGE_FILES = {
    "index.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_PAGE_POLICY = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def create_app(engine: Engine) -> ASGIApp:
    """The whole application, its uploads bounded by the engine's limits."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await engine.self_test()
        yield
        engine.close()

    app = FastAPI(
        title="BMA-Memory",
        summary="Sound and image find each other.",
        description="Send a sound, get matching images; send an image, get its class; vectors `h` and `z` for both. "
        "The path says what comes back, the form field says what you gave. Errors are `application/problem+json`.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.engine = engine
    problems.install(app)
    for router in (queries.router, items.router, status.router):
        app.include_router(router)
    for name, media_type in _PAGE_FILES.items():
        _serve_page_file(app, "/" if name == "index.html" else f"/{name}", PAGE / name, media_type)
    return UploadLimit(app, engine.limits.upload_bytes)


def _serve_page_file(app: FastAPI, path: str, file: Path, media_type: str) -> None:
    @app.get(path, include_in_schema=False)
    async def page_file() -> FileResponse:
        return FileResponse(file, media_type=media_type, headers=_PAGE_POLICY)
