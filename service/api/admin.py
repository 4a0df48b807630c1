"""What a key may do, and the model and catalogue loaded anew."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from service.access.keys import SCOPES
from service.api.origin import refuse_other_sites
from service.engines import Engines, ReloadError
from service.problems import Problem
from service.schemas import Schema, problems

router = APIRouter(prefix="/v1", tags=["administration"])


class KeyAnswer(Schema):
    """What the one who asks may do."""

    name: str | None
    scopes: list[str]


class ReloadAnswer(Schema):
    """What answers from now on."""

    model: str
    fingerprint: str


@router.head("/key", include_in_schema=False)
@router.get("/key", summary="What the key that was sent may do")
async def key(request: Request) -> KeyAnswer:
    """Its name and scopes; a service without keys lets everyone do everything."""
    key = getattr(request.state, "key", None)
    if key is None:
        return KeyAnswer(name=None, scopes=list(SCOPES))
    return KeyAnswer(name=key.name, scopes=[scope for scope in SCOPES if key.allows(scope)])


@router.post(
    "/admin/reload",
    summary="Load the model and the catalogue anew",
    dependencies=[Depends(refuse_other_sites)],
    responses=problems({409: "They can't be loaded, and the service goes on with those it had"}),
)
async def reload(request: Request) -> ReloadAnswer:
    """From the places that the service was started with; requests that are under way end with what they began with."""
    engines: Engines = request.app.state.engines
    try:
        engine = await engines.reload()
    except ReloadError as error:
        raise Problem("reload-failed", f"{error}.") from None
    return ReloadAnswer(model=engine.embedder.bundle.name, fingerprint=engine.embedder.bundle.fingerprint)
