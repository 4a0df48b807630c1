"""Requests with a key of their own: one that is sent again is answered as it was the first time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header, Request

from index.content import content_hash
from index.receipts import Receipt, Receipts, UnderWay
from service.engine import Engine, Upload
from service.problems import Problem

REPLAYED = "idempotent-replayed"
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[ -~]*$",
        description="A word of the client's own for this request, new for each, such as a UUID: printable ASCII, "
        "taken as it is. Sent again within a day, the request is answered as it was the first time, with the header "
        "`Idempotent-Replayed: true`; answers that are errors are not kept, as nothing has changed.",
        examples=['"8e03978e-40d5-43e8-bc93-6894a57f9324"'],
    ),
]


@dataclass(frozen=True)
class Mark:
    """What tells a request from others: the key, of whoever sent it, and a hash of what it asks for."""

    key: str
    asked: str

    def keep(self, receipts: Receipts, answer: str) -> None:
        """Note what the request was answered with."""
        receipts.keep(self.key, Receipt(self.asked, answer))


async def mark_of(
    engine: Engine, request: Request, key: str | None, uploads: Sequence[Upload], fields: Sequence[Any]
) -> Mark | None:
    """The mark of a request by its key, its files and its fields (their boundary in the body may be another)."""
    if key is None:
        return None
    owner = getattr(request.state, "key", None)

    def asked() -> str:
        return _hash([[upload.name, content_hash(upload.data)] for upload in uploads], *fields)

    return Mark(_hash(owner.hash if owner else "", key), await engine.call(asked))


@asynccontextmanager
async def once(engine: Engine, receipts: Receipts, mark: Mark | None) -> AsyncIterator[str | None]:
    """Alone with a mark; what the request was answered with before, if it was.

    Raises:
        Problem: it is under way (409), or the key was used for something else (422).
    """
    if mark is None:
        yield None
        return
    try:
        with receipts.claim(mark.key):
            receipt = await engine.call(receipts.find, mark.key)
            if receipt is not None and receipt.asked != mark.asked:
                raise Problem(
                    "idempotency-key-reused",
                    "This Idempotency-Key was sent with another request; give each request a new one.",
                )
            yield None if receipt is None else receipt.answer
    except UnderWay:
        raise Problem(
            "request-under-way",
            "A request with this Idempotency-Key is under way; send it again in a second to get its answer.",
            headers={"retry-after": "1"},
        ) from None


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
