"""OpenAI's dialect: its own client works unchanged, and mistakes come back as its API says them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from tests.service.conftest import Serving
from training.model.embedder import Embedder, Embedding


@pytest.fixture
def client(service_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service_url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def image(demo_folder: Path) -> Path:
    return sorted(demo_folder.glob("images/*_test-0000.jpg"))[0]


@pytest.fixture(scope="module")
def sound(demo_folder: Path) -> Path:
    return sorted(demo_folder.glob("sounds/*_test-0000.wav"))[0]


def data_uri(file: Path, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(file.read_bytes()).decode()}"


def z_of(http: httpx.Client, modality: str, file: Path) -> list[float]:
    vector: list[float] = http.post("/v1/embed", files={modality: file.read_bytes()}).json()["results"][0]["z"]
    return vector


def test_the_official_client_gets_z(client: openai.OpenAI, http: httpx.Client, image: Path, sound: Path) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == [http.get("/v1/model").json()["name"], "bma"]
    assert client.models.retrieve("bma").object == "model"
    picture, noise = data_uri(image, "image/jpeg"), data_uri(sound, "audio/wav")
    alone = client.embeddings.create(model=listed[0], input=picture)  # its client asks for base64 by itself
    assert (alone.model, alone.object, alone.usage.total_tokens) == (listed[0], "list", 0)
    assert np.dot(alone.data[0].embedding, z_of(http, "image", image)) > 0.999
    assert np.linalg.norm(alone.data[0].embedding) == pytest.approx(1, abs=1e-4)
    mixed = client.embeddings.create(model="bma", input=[noise, picture, noise], encoding_format="float")
    assert [entry.index for entry in mixed.data] == [0, 1, 2]
    for entry, (modality, file) in zip(mixed.data, [("sound", sound), ("image", image), ("sound", sound)], strict=True):
        assert np.dot(entry.embedding, z_of(http, modality, file)) > 0.999


@pytest.mark.parametrize(("modality", "said"), [("image", "image"), ("sound", "sound"), ("sound", "audio")])
def test_modality_says_what_the_data_uri_does_not(
    client: openai.OpenAI, http: httpx.Client, image: Path, sound: Path, modality: str, said: str
) -> None:
    file = image if modality == "image" else sound
    for media_type in ("", "application/octet-stream"):
        answer = client.embeddings.create(
            model="bma", input=data_uri(file, media_type), dimensions=128, extra_body={"modality": said}
        )
        assert np.dot(answer.data[0].embedding, z_of(http, modality, file)) > 0.999


def test_the_official_client_raises_its_own_errors(client: openai.OpenAI, image: Path) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="text-embedding-3-small", input=data_uri(image, "image/jpeg"))
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt")
    with pytest.raises(openai.BadRequestError, match="have 128 numbers") as refused:
        client.embeddings.create(model="bma", input=data_uri(image, "image/jpeg"), dimensions=64)
    assert (refused.value.type, refused.value.param) == ("invalid_request_error", "dimensions")


PNG = "data:image/png;base64,"
REFUSED: list[tuple[Any, str, str | None]] = [
    (b"", "not JSON", None),
    (b"{", "not JSON", None),
    (b"\xff\xfe", "not JSON", None),
    (b"[" * 30, "not JSON", None),
    (b"[" * 100_000, "The body may be nested 32 deep; flatten it.", None),
    (b'{"input": ' + b"[" * 31 + b"]" * 31 + b', "model": "bma"}', "not a text", "input[0]"),
    (b'{"input": ' + b"[" * 32 + b"]" * 32 + b', "model": "bma"}', "may be nested 32 deep", None),
    ([], "takes a JSON object", None),
    ({"model": "bma"}, "takes a data URI", "input"),
    ({"model": "bma", "input": []}, "takes a data URI", "input"),
    ({"model": "bma", "input": 3}, "takes a data URI", "input"),
    ({"model": "bma", "input": [1, 2, 3]}, "not a text", "input[0]"),
    ({"model": "bma", "input": "hello"}, "is not a data URI", "input"),
    ({"model": "bma", "input": "data:image/png;base64"}, "is not a data URI", "input"),
    ({"model": "bma", "input": "http://127.0.0.1:9/a.png"}, "nothing is fetched", "input"),
    ({"model": "bma", "input": [PNG, "https://example.org/a.png"]}, "nothing is fetched", "input[1]"),
    ({"model": "bma", "input": "data:image/png,abc"}, "not in base64", "input"),
    ({"model": "bma", "input": f"{PNG}!!!!"}, "not valid base64", "input"),
    ({"model": "bma", "input": f"{PNG}abcde"}, "not valid base64", "input"),
    ({"model": "bma", "input": f"{PNG}é"}, "not valid base64", "input"),
    ({"model": "bma", "input": [PNG]}, "is empty", "input[0]"),
    ({"model": "bma", "input": f"{PNG}aGVsbG8="}, "is not an image", "input"),
    ({"model": "bma", "input": "data:;base64,aGVsbG8="}, "does not say whether", "input"),
    ({"model": "bma", "input": PNG, "modality": "sound"}, "leave one of them out", "input"),
    ({"model": "bma", "input": PNG, "modality": "smell"}, "takes image or sound", "modality"),
    ({"model": "bma", "input": PNG, "dimensions": True}, "128 numbers", "dimensions"),
    ({"model": "bma", "input": PNG, "encoding_format": "int8"}, "takes float or base64", "encoding_format"),
    ({"model": "bma", "input": PNG, "encoding_format": []}, "takes float or base64", "encoding_format"),
    ({"model": 3, "input": PNG}, "takes the model's name", "model"),
    ({"model": "bma", "input": PNG, "nonsense": 1}, "no 'nonsense' here", "nonsense"),
    (b'{"\\ud800": 1}', "no '?' here", "?"),
    (b'{"model": "bma", "input": "\\ud800"}', "is not a data URI", "input"),
]


@pytest.mark.parametrize(("body", "words", "param"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_what_a_client_sends_wrongly_is_a_400_in_openais_shape(
    http: httpx.Client, body: Any, words: str, param: str | None
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = http.post("/v1/embeddings", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document.keys() == {"error"}
    error = document["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert words in error["message"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["code"]


def test_the_input_that_the_model_has_no_answer_for_is_named(
    serving: Serving,
    empty_catalogue: Path,
    embedder: Embedder,
    images: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, compute = embedder.read_image(images[1]), embedder.embed_images

    def computed(packed: Sequence[Any]) -> Embedding:
        if any(np.array_equal(image, bad) for image in packed):
            raise ArithmeticError("not a number")
        return compute(packed)

    monkeypatch.setattr(embedder, "embed_images", computed)
    inputs = [f"data:image/jpeg;base64,{base64.b64encode(image).decode()}" for image in (*images[:2], images[1])]
    with serving(empty_catalogue) as client:
        answer = client.post("/v1/embeddings", json={"model": "bma", "input": inputs})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("not_computable", "input[1]")
        answer = client.post("/v1/embeddings", json={"model": "bma", "input": inputs[1]})
        assert answer.json()["error"]["param"] == "input"
        files = [("image", image) for image in (images[1], images[1])]
        document = client.post("/v1/embed", files=files).json()
        assert len(document["errors"]) == 1  # of the batch's one problem
        assert "errors" not in document["errors"][0]
        assert "param" not in document


def test_too_much_and_other_methods_have_that_shape_too(http: httpx.Client) -> None:
    many = http.post("/v1/embeddings", json={"model": "bma", "input": [PNG] * 65})
    large = http.post("/v1/embeddings", content=b" " * (64 * 1024 * 1024 + 1))
    for answer, status in ((many, 413), (large, 413), (http.get("/v1/embeddings"), 405), (http.put("/v1/models"), 405)):
        assert answer.status_code == status
        assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "limit is 64" in many.json()["error"]["message"]
