"""Requests made of broken files, and broken requests made of good ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import quote

from tests.service.fuzz.mutation import mutate
from tests.service.fuzz.originals import Original

QUERIES = ("/v1/embed", "/v1/embed?windows=true", "/v1/classify", "/v1/search/images", "/v1/search/sounds?explain=true")
_ODD = (
    "",
    "\x00",
    "🐕" * 50,
    "../../etc/passwd",
    "a" * 10_000,
    '"',
    "\\",
    "%00",
    "ä\udcff",
    "*",
    "-1",
    "1e999",
    "[" * 2000,
)
_BOUNDARY = "frontier"


@dataclass(frozen=True)
class Request:
    """What is posted.

    Attributes:
        method: POST or PUT.
        path: with its query.
        headers: content-type, where there is one.
        body: its bytes.
        what: in a word or two, what was done.
        odd: its headers or its path are none that a client of ours sends, so that what comes back may be another's.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    what: str
    odd: bool = False


@dataclass
class Part:
    """A part of a multipart body, before it is written."""

    headers: list[str]
    content: bytes


def make_request(seed: int, number: int, originals: Sequence[Original]) -> Request:
    """Request `number` of a run; the same seed gives the same one."""
    random = Random(f"{seed}:{number}")
    original = random.choice(originals)
    if random.random() < 0.1:
        return _odd_asking(random, original)
    if random.random() < 0.7:
        broken = mutate(random, original.content, [other.content for other in originals])
        return _around(random, original, broken)
    if random.random() < 0.15:
        document = json.dumps(_openai(original, original.content)).encode()
        body = mutate(random, document, [other.content for other in originals])
        return Request("POST", "/v1/embeddings", {"content-type": "application/json"}, body, "json")
    return _broken_form(random, original, originals)


def good_request(original: Original) -> Request:
    """A good file as a client sends it."""
    parts = [_file_part(original.field, original.name, original.content)]
    return Request("POST", "/v1/embed?include=z", _headers(_BOUNDARY), _written(parts), original.name)


def _odd_asking(random: Random, original: Original) -> Request:
    """A good file with odd headers, or an odd question without a body."""
    headers = dict(random.choices(_ODD_HEADERS, k=random.choice((0, 1, 1, 2, 4))))
    if random.random() < 0.4:
        parts = [_file_part(original.field, original.name, original.content)]
        path = random.choice((*QUERIES, "/v1/items"))
        return Request("POST", path, _headers(_BOUNDARY) | headers, _written(parts), "headers", odd=True)
    odd = quote(random.choice(_ODD), safe="", errors="surrogateescape")
    path = random.choice(_PATHS).format(odd) + random.choice(
        ("", "", "?" + random.choice(_PARAMETERS), f"?cursor={odd}")
    )
    method = random.choice(("GET", "GET", "GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"))
    return Request(method, path, headers, b"", "question", odd=True)


def _around(random: Random, original: Original, content: bytes) -> Request:
    """A good request around a broken file."""
    place = random.random()
    if place < 0.1:
        document = json.dumps(_openai(original, content)).encode()
        return Request("POST", "/v1/embeddings", {"content-type": "application/json"}, document, original.name)
    field = original.field if random.random() < 0.95 else random.choice(("image", "sound"))
    parts = [_file_part(field, random.choice((original.name, "x.jpg", "x.wav")), content)]
    method, path = ("POST", "/v1/items") if place < 0.25 else ("POST", random.choice(QUERIES))
    if place < 0.15:
        method, path = "PUT", f"/v1/items/fuzz-{random.randrange(50)}"
    if method == "POST" and random.random() < 0.1:  # and a good one after it
        parts.append(_file_part(field, "good", original.content))
    return Request(method, path, _headers(_BOUNDARY), _written(parts), original.name)


def _broken_form(random: Random, original: Original, originals: Sequence[Original]) -> Request:
    """A broken request around a good file."""
    parts = [_file_part(original.field, original.name, original.content[:20_000])]
    boundary, headers = _BOUNDARY, _headers(_BOUNDARY)
    path = random.choice((*QUERIES, "/v1/items"))
    for _ in range(random.choice((1, 1, 2))):
        way = random.randrange(6)
        if way == 0:  # fields that are there twice, or have another's content
            parts += random.choice(
                (
                    [parts[0]] * random.choice((1, 3, 70)),
                    [_file_part("image", "other", original.content[:5_000]), _file_part("sound", "other", b"")],
                    [_text_part(random.choice(("image", "sound", "label", "x")), random.choice(_ODD))],
                    [_text_part("tags", str(number)) for number in range(random.choice((2, 100, 1500)))],
                )
            )
            random.shuffle(parts)
        elif way == 1:  # another boundary than the one that is named
            boundary = random.choice(("other", _BOUNDARY[:-1], _BOUNDARY + "-", "", "b" * 5000, "\r\n", "--"))
        elif way == 2:
            headers = {"content-type": random.choice(_CONTENT_TYPES)}
        elif way == 3:
            parts[0] = Part(_odd_headers(random, original.field), parts[0].content)
        elif way == 4:
            path += ("&" if "?" in path else "?") + random.choice(_PARAMETERS)
        else:
            parts.append(_text_part(random.choice(("id", "label", "tags", "metadata")), random.choice(_ODD)))
    body = _written(parts, boundary)
    if random.random() < 0.5:
        body = _broken_ends(random, body)
    if random.random() < 0.3:
        body = mutate(random, body, [other.content for other in originals])
    if random.random() < 0.05:
        headers = {}
    return Request("POST", path, headers, body, "form")


_PATHS = (
    "/", "/page/{}", "/v1/items", "/v1/items/{}", "/v1/items/{}/content", "/v1/items/{}/thumbnail", "/v1/labels",
    "/v1/model", "/v1/models/{}", "/v1/key", "/healthz", "/readyz", "/metrics", "/openapi.json", "/{}", "//",
    "/v1//items", "/v1/items/..%2f..%2f{}",
)  # fmt: skip
_ODD_HEADERS = [
    (name, value)
    for name, values in {
        "x-deadline-ms": ("0", "1", "-1", "600001", "000000000001" + "9" * 5000, "\xb2", "", "1e3"),
        "range": (
            "bytes=0-",
            "bytes=-1",
            "bytes=9999999999-",
            "bytes=0-1,3-4",
            "bytes=",
            "x=1-2",
            "bytes=" + "0-1," * 900,
        ),
        "idempotency-key": ("", "a" * 256, "\xe4", "a b", "k"),
        "x-request-id": ("", "a" * 5000, "\xe4", "../x", "a b"),
        "host": ("evil.example", "", "localhost:99999", "[::1", "127.0.0.1:"),
        "origin": ("null", "http://evil.example", "http://[", ""),
        "sec-fetch-site": ("cross-site", "nonsense", ""),
        "authorization": ("Bearer", "Basic \xe4", "Bearer " + "x" * 5000),
        "traceparent": ("00-0-0-0", "\xff" * 55),
        "if-none-match": ("*", '"'),
        "accept": ("text/nothing", ""),
        "upgrade": ("websocket", "h2c"),
        "connection": ("upgrade", "x"),
        "x-long": ("a" * 70_000,),
    }.items()
    for value in values
]
_CONTENT_TYPES = (
    "", "text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/mixed",
    "multipart/form-data; boundary=", 'multipart/form-data; boundary=""', 'multipart/form-data; boundary="frontier',
    "multipart/form-data; boundary=" + "b" * 3000, "multipart/form-data; charset=utf-16; boundary=frontier",
    "multipart/form-data; charset=nonsense; boundary=frontier", "multipart/form-data; boundary=frontier; boundary=b",
    "multipart/form-data; boundary=fr\xf6ntier", "multipart/form-data;boundary=frontier;;;=;", ";;", "image/jpeg",
    "multipart/form-data; boundary*=utf-8''frontier", "MULTIPART/FORM-DATA; BOUNDARY=frontier",
)  # fmt: skip
_PARAMETERS = (
    "k=0", "k=-1", "k=99999999999999999999", "k=1e3", "k=", "k=1&k=2", "windows=maybe", "explain=true&windows=true",
    "include=", "include=h", "include=%00", "encoding=base64", "filter=", "filter=%7B%7D", "%ff=%fe", "&&&=",
    "filter=%7B%22label%22%3A1%7D", "filter=%7B%22metadata%22%3A%7B%22a%22%3A%7B%22gte%22%3A1e999%7D%7D%7D",
    "filter=" + "%5B" * 2000, "labels=*", "labels=%00", "labels=" + ",".join(map(str, range(300))), "prototypes=none",
)  # fmt: skip


def _odd_headers(random: Random, field: str) -> list[str]:
    """Headers of a part as no client writes them."""
    odd, name = random.choice(_ODD), f'content-disposition: form-data; name="{field}"'
    return random.choice(
        (
            [],
            [""],
            [name],
            [f'{name}; filename="{odd}"'],
            [f'content-disposition: form-data; name="{odd}"; filename="a.jpg"'],
            [f"content-disposition: form-data; name={field}; filename=a.jpg"],
            [f"{name}; filename*=utf-8''%e2%82%ac%ff"],
            [f"{name}; filename*=nonsense''a; filename=b"],
            [f"content-disposition: attachment; name={odd}"],
            ["content-disposition"],
            [f'{name}; filename="a.jpg"'] * 3,
            [f"{name}; filename=a.jpg", "content-type: " + odd, "content-transfer-encoding: base64"],
            [f'{name}; filename="a.jpg"', "content-length: 5", "x: " + odd],
            [f"x-{number}: {number}" for number in range(random.choice((5, 300)))] + [f"{name}; filename=a"],
            [f"{name};\r\n filename=a.jpg"],
        )
    )


def _broken_ends(random: Random, body: bytes) -> bytes:
    """Lines that end otherwise, or not at all."""
    return random.choice(
        (
            body.replace(b"\r\n", b"\n"),
            body.replace(b"\r\n\r\n", b"\r\n", 1),
            body.removesuffix(b"--\r\n"),
            body[: body.rfind(b"\r\n--")],
            body.lstrip(b"-"),
            b"preamble\r\n" + body,
            body + b"epilogue" * 100,
            body + body,
            b"\r\n" * 1000 + body,
            body.replace(b"\r\n--", b"\r\n--\r\n--"),
            b"",
        )
    )


def _openai(original: Original, content: bytes) -> dict[str, str]:
    media_type = "image/jpeg" if original.field == "image" else "audio/wav"
    return {"model": "bma", "input": f"data:{media_type};base64,{base64.b64encode(content).decode()}"}


def _headers(boundary: str) -> dict[str, str]:
    return {"content-type": f"multipart/form-data; boundary={boundary}"}


def _file_part(field: str, name: str, content: bytes) -> Part:
    disposition = f'content-disposition: form-data; name="{field}"; filename="{name}"'
    return Part([disposition, "content-type: application/octet-stream"], content)


def _text_part(field: str, text: str) -> Part:
    return Part([f'content-disposition: form-data; name="{field}"'], text.encode("utf-8", "surrogateescape"))


def _written(parts: Sequence[Part], boundary: str = _BOUNDARY) -> bytes:
    lines = []
    for part in parts:
        head = "\r\n".join([f"--{boundary}", *part.headers, "", ""])
        lines.append(head.encode("utf-8", "surrogateescape") + part.content + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode()
