"""The client for programs with an event loop; needs httpx alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import httpx

from service.remote import requests
from service.remote.asker import LOCAL, Asker, Filter, Prototypes
from service.remote.requests import File, Files, Request, Texts
from service.remote.results import Added, Classified, Embedded, Found, Item

P = ParamSpec("P")
T = TypeVar("T")


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
        with self.told():
            self._http = httpx.AsyncClient(base_url=url, timeout=timeout, transport=transport, headers=self._headers)

    async def search_images(
        self,
        *,
        sound: Files = (),
        image: Files = (),
        k: int = 10,
        filter: Filter | None = None,
        windows: bool = False,
        explain: bool = False,
    ) -> list[Found]:
        """As `Client.search_images`."""
        return await self._ask(requests.search, "images", image, sound, k, filter, windows, explain)

    async def search_sounds(
        self,
        *,
        image: Files = (),
        sound: Files = (),
        k: int = 10,
        filter: Filter | None = None,
        windows: bool = False,
        explain: bool = False,
    ) -> list[Found]:
        """As `Client.search_sounds`."""
        return await self._ask(requests.search, "sounds", image, sound, k, filter, windows, explain)

    async def classify(
        self,
        *,
        image: Files = (),
        sound: Files = (),
        labels: Texts = (),
        prototypes: Prototypes = "both",
        explain: bool = False,
    ) -> list[Classified]:
        """As `Client.classify`."""
        return await self._ask(requests.classify, image, sound, labels, prototypes, explain)

    async def embed(
        self, *, image: Files = (), sound: Files = (), include: str = "h,z", windows: bool = False
    ) -> list[Embedded]:
        """As `Client.embed`."""
        return await self._ask(requests.embed, image, sound, include, windows)

    async def item(self, id: str) -> Item:
        """As `Client.item`."""
        return await self._ask(requests.item, id)

    async def items(self, *, filter: Filter | None = None, page: int = 100) -> AsyncIterator[Item]:
        """As `Client.items`, for `async for`."""
        cursor: str | None = ""
        while cursor is not None:
            items, cursor = await self._ask(requests.page, page, cursor, filter)
            for item in items:
                yield item

    async def content(self, id: str) -> bytes:
        """As `Client.content`."""
        return await self._ask(requests.content, id)

    async def add(
        self,
        *,
        image: Files = (),
        sound: Files = (),
        id: Texts = (),
        label: Texts = (),
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> list[Added]:
        """As `Client.add`."""
        return await self._ask(requests.add, image, sound, id, label, tags, metadata)

    async def replace(
        self,
        id: str,
        *,
        image: File | None = None,
        sound: File | None = None,
        label: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Item:
        """As `Client.replace`."""
        return await self._ask(requests.replace, id, image, sound, label, tags, metadata)

    async def delete(self, id: str) -> None:
        """As `Client.delete`."""
        await self._ask(requests.delete, id)

    async def model(self) -> dict[str, Any]:
        """As `Client.model`."""
        return await self._ask(requests.model)

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
            with self.told():
                answer = await self._http.request(**request.arguments())
            pause = self._retries.pause(answer, done)
            if pause is None:
                return request.result(answer)
            await asyncio.sleep(pause)
            done += 1
