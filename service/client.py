"""A client for the service; needs httpx alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

File = str | Path | bytes


class ServiceError(Exception):
    """An answer that is an error: `status`, and the problem document in `problem`."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"the service answered {status}"))
        self.status = status
        self.problem = dict(problem)


class Client:
    """Asks a running service.

    Each query takes one file or several (a path, or bytes) under the modality that it is, and returns the answer's
    `results`, one per file, in order.

    Args:
        url: of the service, such as `http://127.0.0.1:8000`.
        timeout: seconds to wait for an answer.
        transport: an httpx transport, for tests and proxies.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, timeout: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)

    def search_images(
        self,
        *,
        sound: File | Sequence[File] = (),
        image: File | Sequence[File] = (),
        k: int = 10,
        filter: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Images that match a sound (or an image): `[{"name", "hits": [{"id", "score", …}]}]`."""
        return self._query("/v1/search/images", image, sound, {"k": k, **_filter(filter)})

    def search_sounds(
        self,
        *,
        image: File | Sequence[File] = (),
        sound: File | Sequence[File] = (),
        k: int = 10,
        filter: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Sounds that match an image (or a sound)."""
        return self._query("/v1/search/sounds", image, sound, {"k": k, **_filter(filter)})

    def classify(self, *, image: File | Sequence[File] = (), sound: File | Sequence[File] = ()) -> list[dict[str, Any]]:
        """Classes, best first: `[{"name", "classes": [{"label", "probability"}]}]`."""
        return self._query("/v1/classify", image, sound, {})

    def embed(
        self, *, image: File | Sequence[File] = (), sound: File | Sequence[File] = (), include: str = "h,z"
    ) -> list[dict[str, Any]]:
        """Vectors: `[{"name", "h": […], "z": […]}]`."""
        return self._query("/v1/embed", image, sound, {"include": include})

    def item(self, id: str) -> dict[str, Any]:
        """An item of the catalogue."""
        return self._get(_path(id))

    def content(self, id: str) -> bytes:
        """An item's file."""
        return self._checked(self._http.get(f"{_path(id)}/content")).content

    def add(
        self,
        *,
        image: File | Sequence[File] = (),
        sound: File | Sequence[File] = (),
        id: str | Sequence[str] = (),
        label: str | Sequence[str] = (),
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Files as items of the catalogue: `[{"name", "created", "item": {"id", …}}]`, `error` where one failed.

        Args:
            image: one or several, or
            sound: likewise.
            id: one for each file, in order; their SHA-256 where left out.
            label: one for each file, in order.
            tags: of all of them.
            metadata: of all of them.

        Raises:
            ServiceError: all files failed.
        """
        fields: dict[str, Any] = {"id": _several(id), "label": _several(label), "tags": list(tags)}
        if metadata is not None:
            fields["metadata"] = json.dumps(metadata)
        answer = self._checked(self._http.post("/v1/items", data=fields, files=_parts(image, sound)))
        results: list[dict[str, Any]] = _document(answer, "results")["results"]
        return results

    def replace(
        self,
        id: str,
        *,
        image: File | None = None,
        sound: File | None = None,
        label: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Give an item another file, label, tags or metadata, of which those left out stay; the item.

        A file under an id that is not there becomes a new item.
        """
        fields: dict[str, Any] = {}
        if label is not None:
            fields["label"] = label
        if tags is not None:
            fields["tags"] = list(tags) or [""]
        if metadata is not None:
            fields["metadata"] = json.dumps(metadata)
        files = _parts(() if image is None else image, () if sound is None else sound)
        return _document(self._checked(self._http.put(_path(id), data=fields, files=files)))

    def delete(self, id: str) -> None:
        """Remove an item."""
        self._checked(self._http.delete(_path(id)))

    def model(self) -> dict[str, Any]:
        """The model that serves, its catalogue and limits."""
        return self._get("/v1/model")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _get(self, path: str) -> dict[str, Any]:
        return _document(self._checked(self._http.get(path)))

    def _query(
        self, path: str, image: File | Sequence[File], sound: File | Sequence[File], parameters: dict[str, Any]
    ) -> list[dict[str, Any]]:
        answer = self._checked(self._http.post(path, params=parameters, files=_parts(image, sound)))
        results: list[dict[str, Any]] = _document(answer, "results")["results"]
        return results

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        try:
            problem = answer.json()
        except ValueError:
            problem = {}
        raise ServiceError(answer.status_code, problem if isinstance(problem, dict) else {})


def _document(answer: httpx.Response, key: str = "") -> dict[str, Any]:
    """An answer's JSON object; something else at the address answers otherwise."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or (key and key not in document):
        detail = f"what answers at {answer.url} is not this service; check the address"
        raise ServiceError(answer.status_code, {"detail": detail})
    return document


def _path(id: str) -> str:
    return f"/v1/items/{quote(id, safe=':')}"


def _several(values: Any) -> list[Any]:
    return [values] if isinstance(values, str | Path | bytes) else list(values)


def _parts(image: File | Sequence[File], sound: File | Sequence[File]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", _part(file)) for file in _several(image)] + [("sound", _part(file)) for file in _several(sound)]


def _part(file: File) -> tuple[str, bytes]:
    if isinstance(file, bytes):
        return "the file", file
    path = Path(file)
    return path.name, path.read_bytes()


def _filter(filter: Mapping[str, Any] | None) -> dict[str, str]:
    return {} if filter is None else {"filter": json.dumps(filter)}
