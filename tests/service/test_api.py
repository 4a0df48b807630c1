"""Every path, asked over real HTTP."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

SEARCHES = [("images", "sound"), ("images", "image"), ("sounds", "image"), ("sounds", "sound")]


def media(folder: Path, modality: str, count: int = 1, split: str = "test") -> list[tuple[str, tuple[str, bytes]]]:
    """The first files of a split, as multipart fields."""
    kind = "images/*.jpg" if modality == "image" else "sounds/*.wav"
    files = sorted(file for file in folder.glob(kind) if f"_{split}-" in file.name)[:count]
    assert len(files) == count
    return [(modality, (file.name, file.read_bytes())) for file in files]


def ask(http: httpx.Client, path: str, files: Any, **parameters: Any) -> list[dict[str, Any]]:
    answer = http.post(path, files=files, params=parameters)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document.keys() == {"model", "results"}
    assert [result["name"] for result in document["results"]] == [name for _, (name, _) in files]
    results: list[dict[str, Any]] = document["results"]
    return results


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_embed_gives_h_and_z_of_each_file_in_order(http: httpx.Client, demo_folder: Path, modality: str) -> None:
    files = media(demo_folder, modality, 5)
    sizes = http.get("/v1/model").json()
    together = ask(http, "/v1/embed", files)
    for file, result in zip(files, together, strict=True):
        assert result.keys() == {"name", "h", "z"}
        assert len(result["h"]) == sizes["representation_dim"]
        assert len(result["z"]) == sizes["projection_dim"]
        assert np.linalg.norm(result["z"]) == pytest.approx(1, abs=1e-4)
        alone = ask(http, "/v1/embed", [file])[0]
        assert np.dot(alone["z"], result["z"]) > 0.999
    others = np.array([result["z"] for result in together])
    assert (others @ others.T)[~np.eye(5, dtype=bool)].max() < 0.9999


def test_embed_includes_what_is_asked_for(http: httpx.Client, demo_folder: Path) -> None:
    files = media(demo_folder, "image")
    for include, keys in (("h", {"h"}), ("z", {"z"}), ("h,z", {"h", "z"}), ("z,h", {"h", "z"})):
        assert ask(http, "/v1/embed", files, include=include)[0].keys() == {"name", *keys}


def test_base64_holds_the_same_numbers(http: httpx.Client, demo_folder: Path) -> None:
    files = media(demo_folder, "sound", 2)
    numbers = ask(http, "/v1/embed", files)
    encoded = ask(http, "/v1/embed", files, encoding="base64")
    for plain, packed in zip(numbers, encoded, strict=True):
        for key in ("h", "z"):
            decoded = np.frombuffer(base64.b64decode(packed[key]), "<f4")
            assert np.allclose(decoded, plain[key], atol=1e-6)


@pytest.mark.parametrize("path", ["/v1/embed", "/v1/classify", "/v1/search/images", "/v1/search/sounds"])
@pytest.mark.parametrize("modality", ["image", "sound"])
def test_a_file_that_fails_carries_its_error_and_the_others_succeed(
    http: httpx.Client, demo_folder: Path, path: str, modality: str
) -> None:
    first, second = media(demo_folder, modality, 2)
    files = [(modality, ("empty", b"")), first, (modality, ("notes.txt", b"hello " * 50)), second]
    empty, one, text, two = ask(http, path, files)
    assert empty.keys() == text.keys() == {"name", "error"}
    assert empty["error"]["type"] == "urn:bma:problem:empty-media"
    assert text["error"]["type"] == "urn:bma:problem:unsupported-media"
    assert text["error"]["detail"].startswith("notes.txt is not")
    alone = [ask(http, path, [file])[0] for file in (first, second)]
    for mixed, single in zip((one, two), alone, strict=True):
        assert mixed.keys() == single.keys()
        if "z" in mixed:
            assert np.dot(mixed["z"], single["z"]) > 0.999
        if "hits" in mixed:
            assert mixed["hits"][0]["id"] == single["hits"][0]["id"]


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_classify_gives_every_class_best_first(http: httpx.Client, demo_folder: Path, modality: str) -> None:
    labels = http.get("/v1/model").json()["classes"][modality]
    assert len(labels) == 10
    for result in ask(http, "/v1/classify", media(demo_folder, modality, 3)):
        probabilities = [entry["probability"] for entry in result["classes"]]
        assert sorted(entry["label"] for entry in result["classes"]) == sorted(labels)
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("target", "modality"), SEARCHES)
def test_search_gives_the_targets_items_best_first(
    http: httpx.Client, demo_folder: Path, target: str, modality: str
) -> None:
    files = media(demo_folder, modality, 2)
    vectors = [result["z"] for result in ask(http, "/v1/embed", files)]
    for result, z in zip(ask(http, f"/v1/search/{target}", files, k=30), vectors, strict=True):
        scores = [hit["score"] for hit in result["hits"]]
        assert len(scores) == 30
        assert scores == sorted(scores, reverse=True)
        assert {hit["modality"] for hit in result["hits"]} == {target.removesuffix("s")}
        assert -1.001 <= scores[-1] <= scores[0] <= 1.001
        assert len({hit["id"] for hit in result["hits"]}) == 30
        if target == f"{modality}s":  # the file itself is in the catalogue: its projection's cosine is 1
            assert scores[0] == pytest.approx(1, abs=1e-3)
            assert np.linalg.norm(z) == pytest.approx(1, abs=1e-4)


def test_k_bounds_the_hits(http: httpx.Client, demo_folder: Path) -> None:
    files = media(demo_folder, "sound")
    assert len(ask(http, "/v1/search/images", files)[0]["hits"]) == 10
    for k, hits in ((1, 1), (3, 3), (1000, 30)):
        assert len(ask(http, "/v1/search/images", files, k=k)[0]["hits"]) == hits


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ({"label": "boat"}, 3),
        ({"label": ["boat", "hair dryer"]}, 6),
        ({"label": []}, 0),
        ({"ids": ["test-0000:image", "test-0001:image", "test-0002:sound"]}, 2),
        ({"tags": "unheard-of"}, 0),
        ({"metadata": {"split": "test"}}, 30),
        ({"metadata": {"split": {"gt": "test"}}}, 0),
        ({"label": "boat", "metadata": {"split": "train"}}, 0),
        ({}, 30),
    ],
)
def test_the_filter_bounds_the_hits(http: httpx.Client, demo_folder: Path, condition: Any, count: int) -> None:
    files = media(demo_folder, "sound")
    hits = ask(http, "/v1/search/images", files, k=1000, filter=json.dumps(condition))[0]["hits"]
    assert len(hits) == count
    assert all(hit["label"] in condition.get("label", hit["label"]) for hit in hits)
    assert len(ask(http, "/v1/search/images", files, k=2, filter=json.dumps(condition))[0]["hits"]) == min(2, count)


@pytest.mark.parametrize(("target", "modality"), SEARCHES[1::2])
def test_a_hits_links_lead_to_its_file_and_a_small_picture(
    http: httpx.Client, demo_folder: Path, target: str, modality: str
) -> None:
    ((_, (name, content)),) = files = media(demo_folder, modality)
    hit = ask(http, f"/v1/search/{target}", files, k=1)[0]["hits"][0]
    answer = http.get(hit["content"])
    assert answer.content == content, name
    assert answer.headers["content-type"] == hit["media_type"] == ("image/jpeg" if modality == "image" else "audio/wav")
    picture = http.get(hit["thumbnail"])
    assert picture.headers["content-type"] == ("image/jpeg" if modality == "image" else "image/png")
    assert picture.content[:3] in (b"\xff\xd8\xff", b"\x89PN")
    for guarded in (answer, picture):
        assert guarded.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in guarded.headers["content-security-policy"]


def test_content_answers_ranges_and_head(http: httpx.Client) -> None:
    path = "/v1/items/test-0000:sound/content"
    whole = http.get(path)
    part = http.get(path, headers={"range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert part.headers["content-range"] == f"bytes 4-11/{len(whole.content)}"
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize("path", ["/v1/items/test-0000:sound/content", "/v1/items/test-0000:image/thumbnail"])
def test_who_has_a_file_is_not_sent_it_again(http: httpx.Client, path: str) -> None:
    etag = http.get(path).headers["etag"]
    for named in (etag, f'"other", W/{etag}', "*"):
        again = http.get(path, headers={"if-none-match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert http.get(path, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("said", ["items=0-1", "bytes=a-b", "bytes=", "bytes=+1-2", "bytes=1_0-20"])
def test_what_is_no_range_is_passed_over(http: httpx.Client, said: str) -> None:
    assert http.get("/v1/items/test-0000:sound/content", headers={"range": said}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/model", "/v1/items?limit=2", "/v1/labels"])
def test_head_says_how_long_the_answer_is(http: httpx.Client, path: str) -> None:
    assert http.head(path).headers["content-length"] == http.get(path).headers["content-length"]


def test_an_item_says_what_the_catalogue_knows(http: httpx.Client) -> None:
    item = http.get("/v1/items/test-0000:image").json()
    assert item.pop("created") <= item.pop("updated")
    assert item == {
        "id": "test-0000:image",
        "modality": "image",
        "media_type": "image/jpeg",
        "label": "drone",
        "tags": [],
        "metadata": {"split": "test"},
        "content": "/v1/items/test-0000:image/content",
        "thumbnail": "/v1/items/test-0000:image/thumbnail",
    }


def test_model_names_the_bundle_the_catalogue_and_the_limits(http: httpx.Client, bundle_folder: Path) -> None:
    answer = http.get("/v1/model")
    model = answer.json()
    assert re.fullmatch(r"bma-demo-[0-9a-f]{8}", model["name"])
    assert model["fingerprint"].startswith(model["name"][-8:])
    assert model["catalogue"] == {"images": 30, "sounds": 30}
    assert model["writable"] is True
    assert (model["device"], model["image_size"], model["window_seconds"]) == ("cpu", 48, 2.0)
    assert model["limits"]["k"] == 1000
    assert '"files":64,' in answer.text  # as a whole number
    assert json.loads((bundle_folder / "config.json").read_text())


def test_health_and_readiness(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}


def test_the_openapi_document_describes_every_answer(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    names = set(document["components"]["schemas"])
    used = {name.rpartition("/")[2] for name in re.findall(r'"#/components/schemas/[^"]+', json.dumps(document))}
    assert used <= names  # no reference leads nowhere
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert {
        ("post", "/v1/embed"),
        ("post", "/v1/classify"),
        ("post", "/v1/search/images"),
        ("get", "/v1/model"),
    } <= set(operations)
    for (method, path), operation in operations.items():
        assert operation["summary"], path
        assert operation["description"], path
        assert "200" in operation["responses"] or "201" in operation["responses"] or "204" in operation["responses"]
        if method == "post" and path.startswith("/v1/"):
            shape = "application/json" if path == "/v1/embeddings" else "application/problem+json"
            assert shape in operation["responses"]["413"]["content"], path
    assert document["components"]["schemas"]["SearchHit"]["properties"]["score"]["examples"] == [0.81]
    parameters = {entry["name"]: entry for entry in operations["post", "/v1/search/images"]["parameters"]}
    assert parameters["k"]["schema"]["maximum"] == 1000
    assert parameters["filter"]["schema"]["examples"]
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
