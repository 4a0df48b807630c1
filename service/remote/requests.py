"""Requests and how their answers are read, the same for the client that waits and the one that awaits."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from service.remote.errors import ServiceError
from service.remote.results import Added, Classified, Embedded, Found, Item, Labels, Record

File = str | Path | bytes | IO[bytes]
Files = File | Sequence[File]
Texts = str | Sequence[str]

T = TypeVar("T")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Request(Generic[T]):
    """What is asked, and what makes a result of the answer. Files are in memory, so that it can be sent again."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    parameters: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    files: list[tuple[str, tuple[str, bytes]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """For `httpx.Client.request` and `httpx.AsyncClient.request`."""
        arguments: dict[str, Any] = {"method": self.method, "url": self.path, "params": self.parameters}
        if self.fields:
            arguments["data"] = self.fields
        if self.files:
            arguments["files"] = self.files
        if self.headers:
            arguments["headers"] = self.headers
        return arguments

    def result(self, answer: httpx.Response) -> T:
        """What an answer says.

        Raises:
            ServiceError: that it is an error, or that it is no answer of this service.
        """
        if not answer.is_success:
            raise ServiceError(answer.status_code, _problem(answer))
        try:
            return self.read(answer)
        except (ValueError, TypeError, LookupError):
            detail = f"what answers at {answer.url} is not this service; check the address"
            raise ServiceError(answer.status_code, {"detail": detail}) from None


def search(
    target: str, image: Files, sound: Files, k: int, filter: Mapping[str, Any] | None, windows: bool, explain: bool
) -> Request[list[Found]]:
    """Items of a modality that match."""
    parameters = {"k": k, **_filter(filter), **_flags(windows=windows, explain=explain)}
    return Request("POST", f"/v1/search/{target}", _results(Found), parameters, files=_given(image, sound))


def classify(
    image: Files, sound: Files, labels: Texts, prototypes: str, windows: bool, explain: bool
) -> Request[list[Classified]]:
    """Classes."""
    named = {"labels": _several(labels), "prototypes": prototypes} if labels else {}
    parameters = {**named, **_flags(windows=windows, explain=explain)}
    return Request("POST", "/v1/classify", _results(Classified), parameters, files=_given(image, sound))


def embed(image: Files, sound: Files, include: str, windows: bool) -> Request[list[Embedded]]:
    """Vectors."""
    parameters = {"include": include, **_flags(windows=windows)}
    return Request("POST", "/v1/embed", _results(Embedded), parameters, files=_given(image, sound))


def add(
    image: Files, sound: Files, id: Texts, label: Texts, tags: Sequence[str], metadata: Mapping[str, Any] | None
) -> Request[list[Added]]:
    """Files as items; sent again with the same key, they are added once."""
    fields: dict[str, Any] = {"id": _several(id), "label": _several(label), "tags": list(tags)}
    if metadata is not None:
        fields["metadata"] = json.dumps(metadata)
    key = {"Idempotency-Key": f'"{uuid.uuid4()}"'}
    return Request("POST", "/v1/items", _results(Added), fields=fields, files=_given(image, sound), headers=key)


def replace(
    id: str,
    image: File | None,
    sound: File | None,
    label: str | None,
    tags: Sequence[str] | None,
    metadata: Mapping[str, Any] | None,
) -> Request[Item]:
    """An item with another file, label, tags or metadata."""
    fields: dict[str, Any] = {}
    if label is not None:
        fields["label"] = label
    if tags is not None:
        fields["tags"] = list(tags) or [""]
    if metadata is not None:
        fields["metadata"] = json.dumps(metadata)
    files = _parts(() if image is None else image, () if sound is None else sound)
    return Request("PUT", _item(id), _one(Item), fields=fields, files=files)


def delete(id: str) -> Request[None]:
    """An item removed."""
    return Request("DELETE", _item(id), lambda answer: None)


def item(id: str) -> Request[Item]:
    """An item."""
    return Request("GET", _item(id), _one(Item))


def content(id: str) -> Request[bytes]:
    """An item's file."""
    return Request("GET", f"{_item(id)}/content", lambda answer: answer.content)


def page(limit: int, cursor: str, filter: Mapping[str, Any] | None) -> Request[tuple[list[Item], str | None]]:
    """Some items, and the cursor for those after them."""

    def read(answer: httpx.Response) -> tuple[list[Item], str | None]:
        document = _document(answer)
        return [Item.of(dict(entry)) for entry in document["items"]], document.get("cursor")

    return Request("GET", "/v1/items", read, {"limit": limit, "cursor": cursor, **_filter(filter)})


def labels(modality: str | None, limit: int) -> Request[Labels]:
    """Labels, and how many items have them."""
    of = {} if modality is None else {"modality": modality}
    return Request("GET", "/v1/labels", _one(Labels), {"limit": limit, **of})


def model() -> Request[dict[str, Any]]:
    """What serves."""
    return Request("GET", "/v1/model", _document)


def _results(kind: type[R]) -> Callable[[httpx.Response], list[R]]:
    return lambda answer: [kind.of(dict(entry)) for entry in _document(answer)["results"]]


def _one(kind: type[R]) -> Callable[[httpx.Response], R]:
    return lambda answer: kind.of(_document(answer))


def _document(answer: httpx.Response) -> dict[str, Any]:
    document = answer.json()
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    return document


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        return _document(answer)
    except (ValueError, TypeError):
        return {}


def _item(id: str) -> str:
    return f"/v1/items/{quote(id, safe=':')}"


def _filter(filter: Mapping[str, Any] | None) -> dict[str, str]:
    return {} if filter is None else {"filter": json.dumps(filter)}


def _flags(**flags: bool) -> dict[str, str]:
    return {name: "true" for name, wanted in flags.items() if wanted}


def _several(values: Any) -> list[Any]:
    return [values] if isinstance(values, str | Path | bytes) or hasattr(values, "read") else list(values)


def _files(values: Any) -> list[Any]:
    return _several(values) if hasattr(values, "__iter__") else [values]  # of what is no file `_part` says so


def _given(image: Files, sound: Files) -> list[tuple[str, tuple[str, bytes]]]:
    if not (parts := _parts(image, sound)):
        raise ValueError("there is no file; give one or several with image= or sound=")
    return parts


def _parts(image: Files, sound: Files) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", _part(file)) for file in _files(image)] + [("sound", _part(file)) for file in _files(sound)]


def _part(file: File) -> tuple[str, bytes]:
    if isinstance(file, bytes):
        return "the file", file
    if isinstance(file, str | Path):
        path = Path(file)
        return path.name, path.read_bytes()
    if not hasattr(file, "read"):
        raise TypeError(f"a file is a path, bytes, or open for reading bytes, not {type(file).__name__}")
    name = getattr(file, "name", None)
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError("a file must be open for reading bytes; open it with mode 'rb'")
    return Path(name).name if isinstance(name, str) else "the file", data
