"""Items of the catalogue: what they are, their content, their thumbnails."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path as File
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from index.catalogue import BadCursor, Catalogue, Item
from service.api.parameters import FilterText, parse_filter
from service.api.uploads import engine_of
from service.engine import Engine
from service.problems import Problem, media_problem
from service.schemas import ItemAnswer, ItemsAnswer, problems
from training.model.media.source import MediaError

CURSOR = r"^[0-9]{0,19}(\.[A-Za-z0-9._:-]{1,128})?$"  # a number, of a catalogue in Milvus with an id
NO_CATALOGUE = {409: "The service has no catalogue"}
INVALID = {422: "A parameter that makes no sense"}
NOT_FOUND = {404: "No such item, or its file is gone"}

router = APIRouter(prefix="/v1/items", tags=["items"], responses=problems(NO_CATALOGUE | INVALID))

EngineDependency = Annotated[Engine, Depends(engine_of)]
IfNoneMatch = Annotated[str, Header(description="`ETag` of what is there already.")]
Id = Annotated[str, Path(description="The item's id.", examples=["test-0042:image"])]
# The browser may show pictures and play sounds, and nothing else: no scripts in an SVG or HTML that calls itself a
# picture.
_GUARD = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; media-src 'self'; sandbox",
    "cache-control": "private, no-cache",  # an item may be replaced or deleted at any time
}
# What is served as itself; whatever else a catalogue says of a file, such as SVG, is only bytes.
_MEDIA = re.compile(r"(image/(?!svg)|audio/|video/)[\w.+-]+")

_FILE: dict[str, Any] = {"image/*": {}, "audio/*": {}, "video/*": {}, "application/octet-stream": {}}
_RANGE = {
    "name": "Range",
    "in": "header",
    "required": False,
    "description": "Which bytes of it; without it the whole.",
    "schema": {"type": "string"},
    "example": "bytes=0-1023",
}


# Another unit, or what is none, is passed over (RFC 9110, 14.2).
_BYTES = re.compile(r"bytes=\s*([0-9]+-[0-9]*|-[0-9]+)(\s*,\s*([0-9]+-[0-9]*|-[0-9]+))*\s*")


@router.head("", include_in_schema=False)
@router.get("", summary="Items, in the order in which they came")
async def list_items(
    engine: EngineDependency,
    filter: FilterText = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    cursor: Annotated[
        str, Query(description="`cursor` of the answer before.", json_schema_extra={"pattern": CURSOR})
    ] = "",
) -> ItemsAnswer:
    """What the catalogue holds, page by page; the last page has no `cursor`."""
    try:
        page = await engine.call(catalogue_of(engine).page, limit, cursor, parse_filter(filter, engine.limits))
    except BadCursor:
        raise Problem(
            "invalid-request",
            "query 'cursor': is not one of this catalogue; take the one of the answer before, or leave it out.",
        ) from None
    return ItemsAnswer(items=list(map(item_answer, page.items)), cursor=page.cursor)


@router.head("/{id}", include_in_schema=False)
@router.get("/{id}", summary="An item", responses=problems(NOT_FOUND))
async def get_item(engine: EngineDependency, id: Id) -> ItemAnswer:
    """What the catalogue knows of an item."""
    return item_answer(await _find(engine, id))


@router.head("/{id}/content", include_in_schema=False)
@router.get(
    "/{id}/content",
    summary="An item's file",
    response_class=FileResponse,
    responses={
        200: {"description": "The file as it is", "content": _FILE},
        206: {"description": "The range of it that was asked for", "content": {**_FILE, "multipart/byteranges": {}}},
        304: {"description": "It is the one that `If-None-Match` names"},
        **problems(NOT_FOUND | {416: "The file has no such range"}),
    },
    openapi_extra={"parameters": [_RANGE]},
)
async def get_content(engine: EngineDependency, id: Id, if_none_match: IfNoneMatch = "") -> Response:
    """The image or sound itself, with its own media type; ranges are answered, so players can seek."""
    item = await _find(engine, id)
    file = await engine.call(catalogue_of(engine).file, item)
    try:
        status = await engine.call(file.stat)
    except OSError:
        raise _gone() from None
    media_type = item.media_type if _MEDIA.fullmatch(item.media_type) else "application/octet-stream"
    content = _Content(file, media_type=media_type, headers=_GUARD, stat_result=status)
    if _is_named(content.headers["etag"], if_none_match):
        return Response(status_code=304, headers={**_GUARD, "etag": content.headers["etag"]})
    return content


@router.head("/{id}/thumbnail", include_in_schema=False)
@router.get(
    "/{id}/thumbnail",
    summary="A small picture of an item",
    response_class=Response,
    responses={
        200: {"description": "JPEG or PNG of at most 320 pixels", "content": {"image/jpeg": {}, "image/png": {}}},
        304: {"description": "It is the one that `If-None-Match` names"},
        **problems(NOT_FOUND),
    },
)
async def get_thumbnail(
    engine: EngineDependency,
    id: Id,
    if_none_match: IfNoneMatch = "",
) -> Response:
    """The image scaled down, or the spectrogram of the sound: of the stretch that the item is."""
    item = await _find(engine, id)
    stretch = stretch_of(item)
    file = await engine.call(catalogue_of(engine).file, item)
    headers = {**_GUARD, "etag": await engine.call(_etag, file, stretch)}
    if _is_named(headers["etag"], if_none_match):
        return Response(status_code=304, headers=headers)
    try:
        picture = await engine.thumbnail(file, item.id, item.modality, stretch)
    except MediaError as error:
        raise Problem("content-gone", media_problem(error).detail) from None
    return Response(picture, media_type="image/jpeg" if item.modality == "image" else "image/png", headers=headers)


class _Content(FileResponse):
    """A file whose errors (a range that it does not have, or no file) are problem documents as everywhere."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Message | None = None
        start: Message | None = None
        begun = False
        if not _BYTES.fullmatch(Headers(scope=scope).get("range", "")):
            scope = {**scope, "headers": [entry for entry in scope["headers"] if entry[0] != b"range"]}

        async def guarded(message: Message) -> None:
            nonlocal refused, start, begun
            if message["type"] == "http.response.start":
                start = message
                refused = message if message["status"] >= 400 else None
            elif refused is None:
                if start is not None and not begun:  # only now is the file open, and stays so if it is deleted
                    begun = True
                    await send(start)
                await send(message)

        try:
            await super().__call__(scope, receive, guarded)
        except (OSError, RuntimeError):  # how FileResponse says that there is no file
            if begun:
                raise
            await _gone().response(scope["path"])(scope, receive, send)
            return
        if refused is not None:
            extent = Headers(raw=refused["headers"]).get("content-range")
            problem = Problem(
                "no-such-range", "The file does not have the range of bytes asked for; ask for bytes that it has."
            )
            await problem.response(scope["path"], {"content-range": extent} if extent else None)(scope, receive, send)


def _etag(file: File, stretch: dict[str, float]) -> str:
    """What stays the same as long as a thumbnail does."""
    try:
        status = file.stat()
    except OSError:
        return '""'
    parts = f"{file} {status.st_mtime_ns} {status.st_size} {stretch}"
    return f'"{hashlib.sha256(parts.encode()).hexdigest()[:32]}"'


def _is_named(etag: str, if_none_match: str) -> bool:
    """Whether a client says that it has what this is the tag of (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in if_none_match


def _gone() -> Problem:
    return Problem("content-gone", "The item was replaced or deleted just now; ask again.")


def described(item: Item) -> dict[str, Any]:
    """What every answer says of an item, and where its content and thumbnail are."""
    return {
        "id": item.id,
        "modality": item.modality,
        "media_type": item.media_type,
        "label": item.label,
        "tags": list(item.tags),
        "metadata": item.metadata,
        "content": f"/v1/items/{item.id}/content",
        "thumbnail": f"/v1/items/{item.id}/thumbnail",
    }


def item_answer(item: Item) -> ItemAnswer:
    """An item as an answer."""
    return ItemAnswer(**described(item), created=item.created, updated=item.updated)


def stretch_of(item: Item) -> dict[str, float]:
    """`start` and `duration` of a sound item that is a part of its file; metadata is free, so they may be anything.

    Stored content is the item's own, and so the whole of it is meant.
    """
    if item.content:
        return {}
    given = {key: item.metadata.get(key) for key in ("start", "duration")}
    return {key: float(value) for key, value in given.items() if isinstance(value, int | float) and 0 < value < 1e6}


def catalogue_of(engine: Engine) -> Catalogue:
    """The service's catalogue; without one a 409."""
    if engine.catalogue is None:
        raise Problem("no-catalogue", "This service was started without a catalogue; start it with --index.")
    return engine.catalogue


async def _find(engine: Engine, id: str) -> Item:
    item = await engine.call(catalogue_of(engine).get, id)
    if item is None:
        raise no_such_item(id)
    return item


def no_such_item(id: str) -> Problem:
    """What is said of an id that no item has."""
    return Problem(
        "no-such-item", f"There is no item '{id[:140]}'; ids come with search results, and PUT with a file makes one."
    )
