"""The client for programs with an event loop; needs httpx alone."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from service.client import Client
from service.remote import requests
from service.remote.asker import LOCAL, Asker, Filter
from service.remote.requests import Request
from service.remote.results import Item

P = ParamSpec("P")
T = TypeVar("T")


def awaited(
    method: Callable[Concatenate[Client, P], T],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """A method of `Client` that only hands its arguments to `_ask`, for a client whose `_ask` is awaited."""

    @functools.wraps(method)
    async def ask(client: AsyncClient, *arguments: P.args, **options: P.kwargs) -> T:
        return await cast(Any, method)(client, *arguments, **options)

    return ask


class AsyncClient(Asker):
    """`Client` for programs with an event loop: the same methods, to be awaited; `items` is an async iterator.

    Args: as `Client`'s, but for
        transport: an httpx transport for async.

    Raises:
        ServiceError: as `Client`'s.
    """

    def __init__(
        self,
        url: str = LOCAL,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, api_key, timeout, retries)
        with self._told():
            self._http = httpx.AsyncClient(
                base_url=self._url, timeout=timeout, transport=transport, headers=self._headers
            )

    search_images = awaited(Client.search_images)
    search_sounds = awaited(Client.search_sounds)
    classify = awaited(Client.classify)
    embed = awaited(Client.embed)
    item = awaited(Client.item)
    labels = awaited(Client.labels)
    content = awaited(Client.content)
    add = awaited(Client.add)
    replace = awaited(Client.replace)
    delete = awaited(Client.delete)
    model = awaited(Client.model)

    async def items(self, *, filter: Filter | None = None, page: int = 100) -> AsyncIterator[Item]:
        """As `Client.items`, for `async for`."""
        cursor: str | None = ""
        while cursor is not None:
            items, cursor = await self._ask(requests.page, page, cursor, filter)
            for item in items:
                yield item

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, build: Callable[P, Request[T]], *arguments: P.args, **options: P.kwargs) -> T:
        request, done = await asyncio.to_thread(build, *arguments, **options), 0  # it reads files
        while True:
            with self._told():
                answer = await self._http.request(**request.arguments())
            pause = self._retries.pause(answer, done)
            if pause is None:
                return request.result(answer)
            await asyncio.sleep(pause)
            done += 1
