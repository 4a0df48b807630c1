"""What clients send wrong: a problem document that says what to do, never a 5xx, and the service goes on."""

from __future__ import annotations

import io
import json
import socket
import struct
import tempfile
import wave
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

QUERIES = ("/v1/embed", "/v1/classify", "/v1/search/images", "/v1/search/sounds")


@pytest.fixture(autouse=True)
def goes_on(http: httpx.Client) -> Iterator[None]:
    """After whatever a test sends, the service still answers."""
    yield
    assert http.get("/readyz").json() == {"status": "ready"}


def problem(answer: httpx.Response, status: int, kind: str) -> str:
    """Check a problem document; its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:bma:problem:{kind}"
    assert document["status"] == status
    assert document["title"]
    detail: str = document["detail"]
    assert detail.endswith(".")
    assert detail.isprintable()
    assert "Traceback" not in detail
    return detail


@pytest.fixture(scope="module")
def jpeg(demo_folder: Path) -> bytes:
    return sorted(demo_folder.glob("images/*.jpg"))[0].read_bytes()


@pytest.fixture(scope="module")
def wav(demo_folder: Path) -> bytes:
    return sorted(demo_folder.glob("sounds/*.wav"))[0].read_bytes()


def png(width: int, height: int) -> bytes:
    """A PNG that declares any size over hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def silence(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(1)
        stream.setframerate(8000)
        stream.writeframes(bytes(8000 * seconds))
    return out.getvalue()


def bad_files(jpeg: bytes, wav: bytes) -> list[tuple[str, str, bytes, int, str, str]]:
    """Field, name, content; status, kind and a word of the remedy."""
    text = b"It was a dark and stormy night. " * 20
    return [
        ("image", "notes.txt", text, 415, "unsupported-media", "send JPEG"),
        ("sound", "notes.txt", text, 415, "unsupported-media", "send WAV"),
        ("image", "cut.jpg", jpeg[: len(jpeg) // 2], 422, "damaged-media", "again"),
        ("image", "empty.jpg", b"", 422, "empty-media", "send the file again"),
        ("sound", "empty.wav", b"", 422, "empty-media", "send the file again"),
        ("image", "bark.wav", wav, 415, "unsupported-media", "send JPEG"),
        ("sound", "dog.jpg", jpeg, 415, "unsupported-media", "send"),
        ("image", "huge.png", png(100_000, 100_000), 413, "media-too-large", "scale it down"),
        ("image", "large.png", png(20_000, 20_000), 413, "media-too-large", "scale it down"),
        ("sound", "long.wav", silence(601), 413, "media-too-large", "cut it"),
        ("sound", "silent.wav", silence(0), 422, "empty-media", "check how it was recorded"),
        (
            "image",
            "picture.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
            415,
            "unsupported-media",
            "send",
        ),
        ("image", "zero.png", png(0, 10), 415, "unsupported-media", "send"),
        ("image", "zeros.jpg", bytes(5000), 415, "unsupported-media", "send"),
        ("sound", "list.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", 415, "unsupported-media", "send"),
    ]


@pytest.mark.parametrize("number", range(15))
@pytest.mark.parametrize("path", QUERIES)
def test_a_file_that_can_not_be_used_is_named_with_the_remedy(
    http: httpx.Client, jpeg: bytes, wav: bytes, path: str, number: int
) -> None:
    field, name, content, status, kind, remedy = bad_files(jpeg, wav)[number]
    detail = problem(http.post(path, files={field: (name, content)}), status, kind)
    assert detail.startswith(f"{name} ")
    assert remedy in detail


def test_when_all_of_several_files_fail_each_is_explained(http: httpx.Client) -> None:
    files = [("image", ("a.jpg", b"")), ("image", ("b.jpg", b"text")), ("image", ("c.jpg", b""))]
    answer = http.post("/v1/embed", files=files)
    assert problem(answer, 422, "empty-media").startswith("a.jpg ")
    assert [error["detail"].split()[0] for error in answer.json()["errors"]] == ["b.jpg", "c.jpg"]


@pytest.mark.parametrize("path", QUERIES)
def test_a_request_without_a_usable_field_says_which_to_send(
    http: httpx.Client, jpeg: bytes, wav: bytes, path: str
) -> None:
    options: dict[str, Any]
    for options in ({}, {"json": {"image": "x"}}, {"content": jpeg}):
        detail = problem(http.post(path, **options), 422, "no-file")
        assert "'image' or 'sound'" in detail
    both = {"image": ("a.jpg", jpeg), "sound": ("a.wav", wav)}
    assert "one kind" in problem(http.post(path, files=both), 422, "invalid-request")
    for options in ({"data": {"image": "a.jpg"}}, {"files": {"image": (None, "text")}}):
        assert "takes a file" in problem(http.post(path, **options), 422, "invalid-request")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"garbage", "multipart/form-data; boundary=x"),
        (b"--x\r\ngarbage", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data"),
        (b"", "multipart/form-data; boundary="),
        (
            b"--x\r\nContent-Disposition: form-data; name=image; filename=a.jpg\r\n\r\nhalf",
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_a_body_that_can_not_be_parsed_is_a_4xx(http: httpx.Client, body: bytes, content_type: str) -> None:
    answer = http.post("/v1/embed", content=body, headers={"content-type": content_type})
    assert 400 <= answer.status_code < 500, answer.text
    problem(answer, answer.status_code, answer.json()["type"].rpartition(":")[2])


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"k": 0}, "'k'"),
        ({"k": -1}, "'k'"),
        ({"k": 1001}, "'k'"),
        ({"k": "abc"}, "'k'"),
        ({"k": "9" * 5000}, "'k'"),
        ({"filter": "{"}, "filter is not valid JSON"),
        ({"filter": ""}, "filter is not valid JSON"),
        ({"filter": "[1]"}, "filter takes a JSON object"),
        ({"filter": '{"colour": "red"}'}, "filter knows no 'colour'"),
        ({"filter": '{"tags": "\\ud800"}'}, "filter is not valid JSON"),
        ({"filter": '{"label": "\\u0000"}'}, "U+0000"),
        ({"filter": json.dumps({"tags": [str(n) for n in range(3000)]})}, "use at most 100"),
        ({"filter": "[" * 30}, "filter is not valid JSON"),
        ({"filter": "[" * 20_000}, "query 'filter' may be nested 32 deep; flatten it."),
        ({"filter": "[" * 32 + "]" * 32}, "filter takes a JSON object"),
        ({"filter": "[" * 33 + "]" * 33}, "query 'filter' may be nested 32 deep; flatten it."),
        ({"filter": '{"metadata":' * 32 + "{}" + "}" * 32}, "query 'filter' may be nested 32 deep; flatten it."),
        ({"filter": '{"metadata": {"year": 1' + "0" * 5000 + "}}"}, "filter"),
    ],
)
@pytest.mark.parametrize("path", QUERIES[2:])
def test_a_parameter_out_of_range_is_named(
    http: httpx.Client, wav: bytes, path: str, parameters: dict[str, Any], names: str
) -> None:
    answer = http.post(path, params=parameters, files={"sound": ("a.wav", wav)})
    assert names in problem(answer, 422, "invalid-request")


def test_embeds_parameters_name_their_choices(http: httpx.Client, wav: bytes) -> None:
    for key, choices in (("include", "'h', 'z', 'h,z' or 'z,h'"), ("encoding", "'float' or 'base64'")):
        answer = http.post("/v1/embed", params={key: "x"}, files={"sound": ("a.wav", wav)})
        assert choices in problem(answer, 422, "invalid-request")


def test_too_many_files_are_counted(http: httpx.Client) -> None:
    answer = http.post("/v1/embed", files=[("image", ("a.jpg", b"x"))] * 65)
    assert "65 files, the limit is 64; send them in several requests" in problem(answer, 413, "too-many-files")
    answer = http.post("/v1/embed", files=[("image", ("a.jpg", b"x"))] * 1500)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_unknown_paths_and_methods(http: httpx.Client) -> None:
    assert "/docs lists every path" in problem(http.get("/v1/nothing"), 404, "not-found")
    problem(http.get("/v1/items/a%2f..%2fb"), 404, "not-found")
    problem(http.get("/v1/items/"), 404, "not-found")  # and no redirect
    answer = http.get("/v1/embed")
    assert "use POST" in problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
    assert "use GET" in problem(http.delete("/healthz"), 405, "method-not-allowed")


def test_a_method_that_is_not_allowed_hears_of_all_that_are(http: httpx.Client) -> None:
    allowed = {"/v1/items": "GET, HEAD, POST", "/v1/items/x": "DELETE, GET, HEAD, PUT", "/v1/embed": "POST"}
    for path, methods in (allowed | {"/docs": "GET, HEAD"}).items():
        answer = http.patch(path)
        assert problem(answer, 405, "method-not-allowed") == f"PATCH is not allowed on {path}; use {methods}."
        assert answer.headers["allow"] == methods


def test_what_counts_once_is_given_once(http: httpx.Client, shelf: httpx.Client, wav: bytes) -> None:
    answer = http.post("/v1/search/images", params={"k": ["1", "2"]}, files={"sound": wav})
    assert problem(answer, 422, "invalid-request") == "The query parameter 'k' is given 2 times; give it once."
    answer = shelf.post("/v1/items", data={"metadata": ["{}", "{}", "{}"]}, files={"sound": wav})
    assert problem(answer, 422, "invalid-request") == "The form field 'metadata' is given 3 times; give it once."
    assert shelf.get("/v1/items").json()["items"] == []


def test_no_room_for_uploads_is_the_services_fault(
    shelf: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    answer = shelf.post("/v1/embed", files={"image": bytes(3_000_000)})
    said = problem(answer, 503, "not-ready")
    assert said.startswith("The service has no room for uploads of this size")
    assert answer.headers["retry-after"] == "5"
    assert "uploads can't be kept in /proc/nowhere while they come" in caplog.text


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("POST /v1/classify?lables=boat", "query parameter 'lables' here; perhaps 'labels' is meant."),
        ("POST /v1/search/images?k=1&explian=true", "query parameter 'explian' here; perhaps 'explain' is meant."),
        ("POST /v1/embed?%00zz=1", "query parameter '?zz' here; it takes 'include', 'encoding', 'windows'."),
        ("GET /v1/items?tag=sea", "query parameter 'tag' here; it takes 'filter', 'limit', 'cursor'."),
        ("GET /v1/items/test-0000:image?x", "query parameter 'x' here; leave it out."),
    ],
)
def test_a_name_that_a_path_does_not_have_is_told(
    http: httpx.Client, images: list[bytes], asked: str, told: str
) -> None:
    method, path = asked.split()
    answer = http.request(method, path, files={"image": images[0]} if method == "POST" else None)
    assert problem(answer, 422, "invalid-request") == f"There is no {told}"


def test_a_field_that_a_path_does_not_have_is_told_and_nothing_added(shelf: httpx.Client, images: list[bytes]) -> None:
    answer = shelf.post("/v1/items", files={"image": images[0]}, data={"lable": "boat"})
    assert problem(answer, 422, "invalid-request") == "There is no form field 'lable' here; perhaps 'label' is meant."
    assert shelf.get("/v1/items").json()["items"] == []
    answer = shelf.post("/v1/embed", files={"file": images[0]})
    assert problem(answer, 422, "invalid-request") == "There is no form field 'file' here; it takes 'image', 'sound'."


def test_a_parameter_in_the_wrong_place_is_told_the_right_one(http: httpx.Client, images: list[bytes]) -> None:
    answer = http.post("/v1/classify", files={"image": images[0]}, data={"labels": "boat"})
    told = "'labels' is no form field here; send it as a query parameter."
    assert problem(answer, 422, "invalid-request") == told
    answer = http.post("/v1/items?label=boat", files={"image": images[0]})
    told = "'label' is no query parameter here; send it as a form field."
    assert problem(answer, 422, "invalid-request") == told


def test_a_cursor_of_nobody_says_where_there_are_some(http: httpx.Client) -> None:
    told = problem(http.get("/v1/items?cursor=bad"), 422, "invalid-request")
    assert told == "query 'cursor': is not one of this catalogue; take the one of the answer before, or leave it out."


@pytest.mark.parametrize(
    "id", ["nope", "a b", "a%00b", "%ff", "%F0%9F%90%B6", "x" * 5000, "..", "%2e%2e", "'; DROP TABLE items"]
)
@pytest.mark.parametrize("rest", ["", "/content", "/thumbnail"])
def test_ids_that_name_nothing_are_a_404(http: httpx.Client, id: str, rest: str) -> None:
    answer = http.get(f"/v1/items/{id}{rest}")
    assert answer.status_code == 404
    problem(answer, 404, answer.json()["type"].rpartition(":")[2])
    if id == "nope":
        assert "'nope'" in problem(answer, 404, "no-such-item")


def test_a_range_that_is_not_there(http: httpx.Client) -> None:
    answer = http.get("/v1/items/test-0000:image/content", headers={"range": "bytes=99999999-"})
    problem(answer, 416, "no-such-range")
    assert answer.headers["content-range"].startswith("*/") or answer.headers["content-range"].startswith("bytes */")


def test_a_name_is_shown_without_path_and_control_characters(http: httpx.Client) -> None:
    body = (
        '--x\r\nContent-Disposition: form-data; name="image"; filename="C:\\docs\\\u202edog\x1b[31m.jpg"\r\n\r\n'
        "\r\n--x--\r\n"
    ).encode()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert problem(http.post("/v1/embed", content=body, headers=headers), 422, "empty-media").startswith("dog[31m.jpg ")


def test_a_client_that_hangs_up_half_way_harms_nobody(service_url: str) -> None:
    url = httpx.URL(service_url)
    for sent in (b"", b"--x\r\nContent-Disposition: form-data; name=image; filename=a.jpg\r\n\r\n" + bytes(100_000)):
        for length in (b"Content-Length: 1000000", b"Transfer-Encoding: chunked"):
            with socket.create_connection((url.host, url.port)) as connection:
                connection.sendall(
                    b"POST /v1/embed HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                    + length
                    + b"\r\n\r\n"
                    + (sent if b"Length" in length else b"%x\r\n" % len(sent) + sent)
                )
