"""What may be said of items: limits, odd text, and that it comes back as it went in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.local import LocalCatalogue
from service.limits import Limits
from tests.service.conftest import Serving
from training.model.embedder import Embedder

LIMITS = Limits(label_length=5, tags=3, tag_length=4, metadata_bytes=200, metadata_depth=3)


def a_service(
    serving: Serving, embedder: Embedder, folder: Path, limits: Limits
) -> AbstractContextManager[httpx.Client]:
    dimension = embedder.bundle.model.config.projection_dim
    return serving(LocalCatalogue.create(folder, embedder.bundle.fingerprint, dimension, folder), limits)


@pytest.fixture(scope="module")
def narrow(
    serving: Serving, embedder: Embedder, images: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A service with small limits that holds one item, `there`."""
    with a_service(serving, embedder, tmp_path_factory.mktemp("narrow") / "index", LIMITS) as http:
        assert http.post("/v1/items", files={"image": images[0]}, data={"id": "there"}).status_code == 201
        yield http
        assert [item["id"] for item in http.get("/v1/items").json()["items"]] == ["there"]
        assert http.get("/v1/items/there").json()["metadata"] == {}


@pytest.fixture(scope="module")
def wide(
    serving: Serving, embedder: Embedder, images: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A service with the usual limits that holds one item, `there`."""
    with a_service(serving, embedder, tmp_path_factory.mktemp("wide") / "index", Limits()) as http:
        assert http.post("/v1/items", files={"image": images[0]}, data={"id": "there"}).status_code == 201
        yield http


def refused(answer: httpx.Response) -> tuple[str, Any]:
    assert answer.status_code == 422, answer.text
    document = answer.json()
    assert document["type"] == "urn:bma:problem:invalid-request"
    assert document["detail"].count(".") >= 1
    assert document["detail"].isprintable()
    return document["detail"], document.get("limit")


@pytest.mark.parametrize(
    ("fields", "words", "limit"),
    [
        ({"label": "éèêëē!"}, "field 'label' may have 5 characters, not 6", 5),
        ({"tags": ["a", "b", "c", "d"]}, "An item may have 3 tags, not 4", 3),
        ({"tags": ["ok", "abcde"]}, "field 'tags' may have 4 characters, not 5", 4),
        ({"metadata": json.dumps({"a": "x" * 200})}, "field 'metadata' may hold 200 bytes of JSON, not 209", 200),
        ({"metadata": json.dumps({"a": "é" * 99}, ensure_ascii=False)}, "200 bytes of JSON, not 207", 200),
        ({"metadata": '{"a": {"b": [[]]}}'}, "may be nested 3 deep", 3),
        ({"metadata": "[" * 200}, "", None),
        ({"metadata": "[1]"}, "takes a JSON object such as", None),
        ({"metadata": "null"}, "takes a JSON object", None),
        ({"metadata": "{'a': 1}"}, "is no valid JSON (Expecting property name", None),
        ({"metadata": '{"a": NaN}'}, "NaN, which is no number in JSON", None),
        ({"metadata": '{"a": [-Infinity]}'}, "-Infinity, which is no number", None),
        ({"metadata": '{"a": 1e999}'}, "too large, which is no number", None),
        ({"metadata": '{"a": "x\\u0000y"}'}, "holds the character U+0000", None),
        ({"metadata": '{"\\u0000": 1}'}, "holds the character U+0000", None),
        ({"metadata": '{"a": ["\\ud800"]}'}, "half a surrogate pair", None),
        ({"metadata": '{"\\udfff": 1}'}, "half a surrogate pair", None),
        ({"label": "a\0b"}, "field 'label' holds the character U+0000", None),
        ({"tags": "\0"}, "field 'tags' holds the character U+0000", None),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PUT with a file"])
def test_what_may_be_said_has_limits(
    narrow: httpx.Client, images: list[bytes], method: str, fields: dict[str, Any], words: str, limit: int | None
) -> None:
    files = {"image": images[1]} if method != "PUT" else None
    verb, path = method.split()[0], "/v1/items" if method == "POST" else "/v1/items/there"
    detail, named = refused(narrow.request(verb, path, data=fields, files=files))
    assert words in detail
    assert named == limit


def test_within_the_limits_it_is_taken_and_the_limits_are_told(narrow: httpx.Client) -> None:
    fields = {"label": "éèêëē", "tags": ["abcd", "b", "c", "b", ""], "metadata": '{"a": {"b": [1]}}'}
    answer = narrow.put("/v1/items/there", data=fields)
    assert answer.status_code == 200
    assert answer.json()["tags"] == ["abcd", "b", "c"]
    assert narrow.put("/v1/items/there", data={"label": "", "tags": "", "metadata": "{}"}).status_code == 200
    told = narrow.get("/v1/model").json()["limits"]
    names = ("label_length", "tags", "tag_length", "metadata_bytes", "metadata_depth")
    assert {name: told[name] for name in names} == {name: getattr(LIMITS, name) for name in names}


@pytest.mark.parametrize("id", [".", "..", "a/b", "a b", "é", "x" * 129, "a\0", "a\n", "\u202e", "'; DROP TABLE items"])
def test_an_id_that_can_not_be_one(narrow: httpx.Client, images: list[bytes], id: str) -> None:
    detail, _ = refused(narrow.post("/v1/items", data={"id": id}, files={"image": images[1]}))
    assert "can't be an id; use 1 to 128 of the characters" in detail


@pytest.mark.parametrize("id", ["%2e", "%2e%2e", "a%20b", "%00", "%ff", "x" * 129, "%F0%9F%90%B6"])
def test_such_an_id_in_the_path(narrow: httpx.Client, images: list[bytes], id: str) -> None:
    for body in ({"files": {"image": images[1]}}, {"data": {"label": "x"}}):
        answer = narrow.put(f"/v1/items/{id}", **body)
        assert "can't be an id" in refused(answer)[0]
    assert narrow.delete(f"/v1/items/{id}").status_code == 404


def test_fields_repeat_as_often_as_files(narrow: httpx.Client, images: list[bytes]) -> None:
    two = [("image", images[1]), ("image", images[2])]
    for field in ("id", "label"):
        detail, _ = refused(narrow.post("/v1/items", data={field: "a"}, files=two))
        assert detail.startswith(f"The request has 2 files and gives field '{field}' 1 time; give it once for each")
        detail, _ = refused(narrow.post("/v1/items", data={field: ["a", "b", "c"]}, files=two[:1]))
        assert f"The request has 1 file and gives field '{field}' 3 times" in detail
    detail, _ = refused(narrow.post("/v1/items", data={"id": ["a", "a"]}, files=two))
    assert detail == "The request gives the id 'a' twice; give each file an id of its own."


def test_fields_of_another_kind_are_named(narrow: httpx.Client, images: list[bytes]) -> None:
    for field in ("id", "label", "tags", "metadata"):
        detail, _ = refused(narrow.post("/v1/items", files={"image": images[1], field: ("a.txt", b"x")}))
        assert f"field '{field}': takes a text" in detail
    detail, _ = refused(narrow.post("/v1/items", data={"image": "a.jpg"}))
    assert "field 'image': takes a file" in detail
    answer = narrow.post("/v1/items", data={"label": "x"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:bma:problem:no-file")


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "raw_unicode_escape", "punycode", "rot13", "nonsense"])
def test_a_charset_of_the_clients_own(narrow: httpx.Client, images: list[bytes], charset: str) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    body = part % (b"label", b"", b"\\ud800+2AA-") + part % (b"image", b'; filename="a"', images[1]) + b"--x--\r\n"
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    assert 400 <= narrow.post("/v1/items", content=body, headers=headers).status_code < 500


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.integers() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(texts, st.lists(texts, max_size=6), st.dictionaries(texts, values, max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_said_comes_back(wide: httpx.Client, label: str, tags: list[str], metadata: dict[str, Any]) -> None:
    written = json.dumps(metadata, ensure_ascii=False)
    answer = wide.put("/v1/items/there", data={"label": label, "tags": tags or "", "metadata": written})
    if len(written.encode()) > Limits().metadata_bytes:
        assert answer.status_code == 422
        return
    assert answer.status_code == 200, answer.text
    there = wide.get("/v1/items/there").json()
    assert there["label"] == label
    assert there["tags"] == list(dict.fromkeys(tag for tag in tags if tag))
    assert json.dumps(there["metadata"]) == json.dumps(metadata)  # -0.0 is not 0.0, nor 1.0 the same as 1 or true
    for condition in ({"label": label}, {"tags": there["tags"]}):
        listed = wide.get("/v1/items", params={"filter": json.dumps(condition)}).json()["items"]
        assert [item["id"] for item in listed] == ["there"]
