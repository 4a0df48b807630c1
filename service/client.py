"""A client for the service; needs httpx alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import httpx

from service.remote import requests
from service.remote.asker import LOCAL, Asker, Filter, Modality, Prototypes
from service.remote.errors import NoAnswer, ServiceError
from service.remote.requests import File, Files, Request, Texts
from service.remote.results import Added, Classified, Embedded, Found, Item, Labels

__all__ = ["Client", "File", "NoAnswer", "ServiceError"]

P = ParamSpec("P")
T = TypeVar("T")


class Client(Asker):
    """Asks a running service.

    Each query takes one file or several (a path, bytes, or a file open for reading bytes) under the modality that it
    is, and gives one result per file, in order. Results have attributes, and are mappings with the JSON's own keys.

    A 429 or 503 is asked again, later each time and not before the service's `Retry-After`.

    Args:
        url: of the service, such as `http://127.0.0.1:8000`.
        api_key: sent as `Authorization: Bearer …`.
        timeout: seconds to wait for an answer.
        retries: how often a request is sent again at most.
        transport: an httpx transport, for tests and proxies.

    Raises:
        ServiceError: any method, where the answer is an error; `NoAnswer`, one of them, where none came.
    """

    def __init__(
        self,
        url: str = LOCAL,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, api_key, timeout, retries)
        with self._told():
            self._http = httpx.Client(base_url=self._url, timeout=timeout, transport=transport, headers=self._headers)

    def search_images(
        self,
        *,
        sound: Files = (),
        image: Files = (),
        k: int = 10,
        filter: Filter | None = None,
        windows: bool = False,
        explain: bool = False,
    ) -> list[Found]:
        """Images that match a sound (or an image), best first.

        Args:
            sound: one or several, or
            image: likewise.
            k: how many hits for each.
            filter: conditions on the items, such as `{"label": "train"}`.
            windows: of sounds, also which second matched each hit.
            explain: also the memory's slots that the answer came through.
        """
        return self._ask(requests.search, "images", image, sound, k, filter, windows, explain)

    def search_sounds(
        self,
        *,
        image: Files = (),
        sound: Files = (),
        k: int = 10,
        filter: Filter | None = None,
        windows: bool = False,
        explain: bool = False,
    ) -> list[Found]:
        """Sounds that match an image (or a sound), best first; as `search_images`."""
        return self._ask(requests.search, "sounds", image, sound, k, filter, windows, explain)

    def classify(
        self,
        *,
        image: Files = (),
        sound: Files = (),
        labels: Texts = (),
        prototypes: Prototypes = "both",
        windows: bool = False,
        explain: bool = False,
    ) -> list[Classified]:
        """Classes, best first: the model's own, or with `labels` (`"*"` for all) those of the catalogue's items.

        `prototypes` says which of their items stand for labels. Of sounds, with `windows` also each window's best.
        """
        return self._ask(requests.classify, image, sound, labels, prototypes, windows, explain)

    def embed(
        self, *, image: Files = (), sound: Files = (), include: str = "h,z", windows: bool = False
    ) -> list[Embedded]:
        """Vectors: the representation `h`, the projection `z`, or both; of sounds also each window's `z`."""
        return self._ask(requests.embed, image, sound, include, windows)

    def item(self, id: str) -> Item:
        """An item of the catalogue."""
        return self._ask(requests.item, id)

    def items(self, *, filter: Filter | None = None, page: int = 100) -> Iterator[Item]:
        """All items in the order in which they came, asked for `page` at a time."""
        cursor: str | None = ""
        while cursor is not None:
            items, cursor = self._ask(requests.page, page, cursor, filter)
            yield from items

    def labels(self, *, modality: Modality | None = None, limit: int = 1000) -> Labels:
        """Labels of the catalogue, or of its images or sounds alone, and how many items have each; `limit` at most."""
        return self._ask(requests.labels, modality, limit)

    def content(self, id: str) -> bytes:
        """An item's file."""
        return self._ask(requests.content, id)

    def add(
        self,
        *,
        image: Files = (),
        sound: Files = (),
        id: Texts = (),
        label: Texts = (),
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> list[Added]:
        """Files as items of the catalogue; a file that failed among others has `error`.

        Args:
            image: one or several, or
            sound: likewise.
            id: one for each file, in order; their SHA-256 where left out.
            label: one for each file, in order.
            tags: of all of them.
            metadata: of all of them.
        """
        return self._ask(requests.add, image, sound, id, label, tags, metadata)

    def replace(
        self,
        id: str,
        *,
        image: File | None = None,
        sound: File | None = None,
        label: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Item:
        """Give an item another file, label, tags or metadata, of which those left out stay; the item.

        A file under an id that is not there becomes a new item.
        """
        return self._ask(requests.replace, id, image, sound, label, tags, metadata)

    def delete(self, id: str) -> None:
        """Remove an item."""
        return self._ask(requests.delete, id)

    def model(self) -> dict[str, Any]:
        """The model that serves, its catalogue and limits."""
        return self._ask(requests.model)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, build: Callable[P, Request[T]], *arguments: P.args, **options: P.kwargs) -> T:
        request, done = build(*arguments, **options), 0
        while True:
            with self._told():
                answer = self._http.request(**request.arguments())
            pause = self._retries.pause(answer, done)
            if pause is None:
                return request.result(answer)
            time.sleep(pause)
            done += 1
