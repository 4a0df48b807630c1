"""Adding, replacing and deleting items over HTTP."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from index.catalogue import Item
from index.local import LocalCatalogue
from tests.service.conftest import Serving
from training.model.embedder import Embedder

Images = list[bytes]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def add(http: httpx.Client, *files: bytes, field: str = "image", **fields: Any) -> httpx.Response:
    return http.post("/v1/items", files=[(field, (f"{n}.bin", data)) for n, data in enumerate(files)], data=fields)


def results(answer: httpx.Response, status: int = 201) -> list[dict[str, Any]]:
    assert answer.status_code == status, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def problem(answer: httpx.Response, status: int, kind: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["status"]) == (f"urn:bma:problem:{kind}", status)
    detail: str = document["detail"]
    assert detail.endswith(".")
    assert detail.isprintable()
    return detail


def found(http: httpx.Client, data: bytes, field: str = "image", target: str = "images") -> list[str]:
    answer = http.post(f"/v1/search/{target}", files={field: data})
    return [hit["id"] for hit in answer.raise_for_status().json()["results"][0]["hits"]]


def ids(http: httpx.Client) -> list[str]:
    return [item["id"] for item in http.get("/v1/items").json()["items"]]


def test_what_is_added_is_found_at_once_and_what_is_deleted_is_not(
    shelf: httpx.Client, images: Images, sounds: list[bytes]
) -> None:
    fields: dict[str, Any] = {"id": "dog", "label": "train", "tags": ["park", "2026"], "metadata": '{"year": 2026}'}
    (result,) = results(add(shelf, images[0], **fields))
    assert (result["name"], result["created"]) == ("0.bin", True)
    item = result["item"]
    assert item.pop("created") == item.pop("updated")
    assert item == {
        "id": "dog",
        "modality": "image",
        "media_type": "image/jpeg",
        "label": "train",
        "tags": ["park", "2026"],
        "metadata": {"year": 2026},
        "content": "/v1/items/dog/content",
        "thumbnail": "/v1/items/dog/thumbnail",
    }
    results(add(shelf, sounds[0], field="sound", id="bark"))
    assert found(shelf, images[0]) == ["dog"]
    assert found(shelf, images[0], target="sounds") == ["bark"]
    assert shelf.get("/v1/model").json()["catalogue"] == {"images": 1, "sounds": 1}
    deleted = shelf.delete("/v1/items/dog")
    assert (deleted.status_code, deleted.content, "content-type" in deleted.headers) == (204, b"", False)
    assert found(shelf, images[0]) == []
    for path in ("", "/content", "/thumbnail"):
        assert "'dog'" in problem(shelf.get(f"/v1/items/dog{path}"), 404, "no-such-item")
    assert "'dog'" in problem(shelf.delete("/v1/items/dog"), 404, "no-such-item")
    assert ids(shelf) == ["bark"]


def test_content_comes_back_as_it_was_under_guard(
    shelf: httpx.Client, images: Images, sounds: list[bytes], empty_catalogue: Path
) -> None:
    add(shelf, images[0], id="a")
    add(shelf, sounds[0], field="sound", id="b", metadata='{"start": 1000, "duration": 3}')
    for id, data, media_type, drawn in (
        ("a", images[0], "image/jpeg", "image/jpeg"),
        ("b", sounds[0], "audio/wav", "image/png"),
    ):
        answer = shelf.get(f"/v1/items/{id}/content")
        assert (answer.content, answer.headers["content-type"]) == (data, media_type)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        part = shelf.get(f"/v1/items/{id}/content", headers={"range": "bytes=2-5"})
        assert (part.status_code, part.content) == (206, data[2:6])
        small = shelf.get(f"/v1/items/{id}/thumbnail")
        assert (small.status_code, small.headers["content-type"]) == (200, drawn), small.text
        again = shelf.get(f"/v1/items/{id}/thumbnail", headers={"if-none-match": small.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert (empty_catalogue / "content" / sha(images[0])[:2] / sha(images[0])).read_bytes() == images[0]


def test_the_same_bytes_are_one_item_which_stays_as_it_was(shelf: httpx.Client, images: Images) -> None:
    (first,) = results(add(shelf, images[0], label="train"))
    assert first["item"]["id"] == sha(images[0])
    (again,) = results(add(shelf, images[0], label="boat"), 200)
    assert again == {**first, "created": False}
    assert again["item"]["label"] == "train"
    one, other, third = results(add(shelf, images[1], images[1], images[0]))
    assert (one["created"], other["created"], third["created"]) == (True, False, False)
    assert one["item"] == other["item"]
    assert ids(shelf) == [sha(images[0]), sha(images[1])]


def test_two_ids_are_two_items_of_one_content(shelf: httpx.Client, images: Images, empty_catalogue: Path) -> None:
    results(add(shelf, images[0], images[0], id=["a", "b"], label=["train", "boat"]))
    assert found(shelf, images[0]) == ["a", "b"]
    assert [shelf.get(f"/v1/items/{id}").json()["label"] for id in "ab"] == ["train", "boat"]
    assert len([file for file in empty_catalogue.glob("content/*/*") if file.is_file()]) == 1
    assert shelf.delete("/v1/items/a").status_code == 204
    assert shelf.get("/v1/items/b/content").content == images[0]
    assert shelf.delete("/v1/items/b").status_code == 204
    assert not [file for file in empty_catalogue.glob("content/*/*") if file.is_file()]


def test_an_id_belongs_to_its_bytes(shelf: httpx.Client, images: Images, sounds: list[bytes]) -> None:
    (first,) = results(add(shelf, images[0], id="a", label="train"))
    assert results(add(shelf, images[0], id="a"), 200) == [{**first, "created": False}]
    detail = problem(add(shelf, images[1], id="a"), 409, "id-taken")
    assert detail == "Item 'a' is another image; PUT to replace it, or give the file another id."
    problem(add(shelf, sounds[0], field="sound", id="a"), 409, "id-taken")
    # an empty id is none
    taken, good = results(add(shelf, images[1], images[1], id=["a", ""]))
    assert taken["error"]["type"] == "urn:bma:problem:id-taken"
    assert "item" not in taken
    assert good["item"]["id"] == sha(images[1])
    # a client may even give one file's hash to another in the same request
    first, second = results(add(shelf, images[2], images[3], id=["", sha(images[2])]))
    assert first["created"]
    assert second["error"]["status"] == 409
    assert shelf.get("/v1/items/a/content").content == images[0]


def test_a_bad_file_fails_alone(shelf: httpx.Client, images: Images) -> None:
    files = (images[0], b"", images[0][: len(images[0]) // 2], b"text", images[1])
    good, empty, cut, text, last = results(add(shelf, *files, id=list("abcde"), label=list("ABCDE")))
    assert [one["error"]["status"] for one in (empty, cut, text)] == [422, 422, 415]
    assert [one["error"]["detail"].split()[0] for one in (empty, cut, text)] == ["1.bin", "2.bin", "3.bin"]
    assert [(one["item"]["id"], one["item"]["label"]) for one in (good, last)] == [("a", "A"), ("e", "E")]
    assert ids(shelf) == ["a", "e"]
    answer = add(shelf, images[2], b"", id=["a", "f"])
    assert problem(answer, 409, "id-taken")
    assert [error["type"].rpartition(":")[2] for error in answer.json()["errors"]] == ["empty-media"]
    assert ids(shelf) == ["a", "e"]


@pytest.mark.parametrize(
    ("field", "data", "status", "kind"),
    [
        ("sound", b"", 422, "empty-media"),
        ("image", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", 415, "unsupported-media"),
        ("image", b"<html><script>alert(1)</script>", 415, "unsupported-media"),
        ("sound", b"<html><script>alert(1)</script>", 415, "unsupported-media"),
    ],
)
def test_what_can_not_be_decoded_is_not_kept(
    shelf: httpx.Client, empty_catalogue: Path, field: str, data: bytes, status: int, kind: str
) -> None:
    problem(add(shelf, data, field=field), status, kind)
    problem(shelf.put("/v1/items/a", files={field: ("a", data)}), status, kind)
    assert ids(shelf) == []
    assert not list(empty_catalogue.glob("content/*/*"))


def test_a_name_and_type_that_the_client_gives_mean_nothing(shelf: httpx.Client, images: Images) -> None:
    shelf.post("/v1/items", files={"image": ("x.html", images[0], "text/html")}, data={"id": "a"})
    assert shelf.get("/v1/items/a/content").headers["content-type"] == "image/jpeg"


def test_a_file_takes_the_place_of_another(shelf: httpx.Client, images: Images, empty_catalogue: Path) -> None:
    known: dict[str, Any] = {"label": "train", "tags": ["x", "y"], "metadata": '{"n": [1, null]}'}
    (first,) = results(add(shelf, images[0], id="a", **known))
    drawn = shelf.get("/v1/items/a/thumbnail")
    answer = shelf.put("/v1/items/a", files={"image": images[1]}, data={"label": "boat"})
    assert answer.status_code == 200, answer.text
    item = answer.json()
    assert item["updated"] >= first["item"]["updated"]
    assert item == {**first["item"], "label": "boat", "updated": item["updated"]}
    assert shelf.get("/v1/items/a/content").content == images[1]
    again = shelf.get("/v1/items/a/thumbnail", headers={"if-none-match": drawn.headers["etag"]})
    assert again.status_code == 200
    assert again.content != drawn.content
    hit = shelf.post("/v1/search/images", files={"image": images[1]}).json()["results"][0]["hits"][0]
    assert (hit["id"], hit["label"]) == ("a", "boat")
    assert hit["score"] == pytest.approx(1, abs=1e-4)
    assert [file.name for file in empty_catalogue.glob("content/*/*")] == [sha(images[1])]


def test_a_file_under_a_new_id_is_created(shelf: httpx.Client, images: Images) -> None:
    for status in (201, 200):
        answer = shelf.put("/v1/items/new", files={"image": images[0]}, data={"tags": ["x"]})
        assert (answer.status_code, answer.json()["tags"]) == (status, ["x"])
    assert ids(shelf) == ["new"]


def test_what_is_known_is_replaced_where_it_is_sent(shelf: httpx.Client, images: Images) -> None:
    add(shelf, images[0], id="a", label="train", tags=["x"], metadata='{"n": 1}')

    def put(**fields: Any) -> tuple[Any, ...]:
        answer = shelf.put("/v1/items/a", data=fields)
        assert answer.status_code == 200, answer.text
        assert answer.json() == shelf.get("/v1/items/a").json()
        return tuple(answer.json()[key] for key in ("label", "tags", "metadata"))

    assert put(label="boat") == ("boat", ["x"], {"n": 1})
    assert put(tags=["y", "z", "y"]) == ("boat", ["y", "z"], {"n": 1})
    assert put(metadata='{"m": {"k": 2}}') == ("boat", ["y", "z"], {"m": {"k": 2}})
    assert put(label="", tags="", metadata="") == ("", [], {})
    assert shelf.get("/v1/items/a/content").content == images[0]
    assert found(shelf, images[0]) == ["a"]
    assert "'b'" in problem(shelf.put("/v1/items/b", data={"label": "boat"}), 404, "no-such-item")
    assert "replaces nothing" in problem(shelf.put("/v1/items/a"), 422, "invalid-request")
    assert "replaces nothing" in problem(shelf.put("/v1/items/a", json={"label": "x"}), 422, "invalid-request")


def test_filters_follow_what_is_known(shelf: httpx.Client, images: Images) -> None:
    add(shelf, images[0], id="a", label="train", tags=["x"], metadata='{"n": 1}')

    def passing(**condition: Any) -> list[str]:
        answer = shelf.get("/v1/items", params={"filter": json.dumps(condition)})
        return [item["id"] for item in answer.json()["items"]]

    assert passing(label="train", tags=["x"], metadata={"n": {"gte": 1}}) == ["a"]
    shelf.put("/v1/items/a", data={"label": "boat", "tags": "y", "metadata": '{"n": 0}'})
    assert passing(label="train") == passing(tags=["x"]) == passing(metadata={"n": 1}) == []
    assert passing(label="boat", tags=["y"], metadata={"n": 0}) == ["a"]


def test_one_modality_does_not_replace_the_other(shelf: httpx.Client, images: Images, sounds: list[bytes]) -> None:
    add(shelf, images[0], id="a")
    detail = problem(shelf.put("/v1/items/a", files={"sound": sounds[0]}), 409, "modality-clash")
    assert "Item 'a' is an image; send an image" in detail
    two = {"image": images[0], "sound": sounds[0]}
    assert "send one" in problem(shelf.put("/v1/items/a", files=two), 422, "invalid-request")
    assert "one kind" in problem(shelf.post("/v1/items", files=two), 422, "invalid-request")
    several = [("image", images[0]), ("image", images[1])]
    assert "POST to /v1/items" in problem(shelf.put("/v1/items/a", files=several), 422, "invalid-request")


def test_items_by_reference_are_changed_likewise(
    serving: Serving, embedder: Embedder, images: Images, tmp_path: Path
) -> None:
    files = {"a": images[0], "b": images[1], "part": images[3]}
    for id, data in files.items():
        (tmp_path / f"{id}.jpg").write_bytes(data)
    z = embedder.embed(list(files.values()), "image").z
    catalogue = LocalCatalogue.create(tmp_path / "index", embedder.bundle.fingerprint, z.shape[1], tmp_path)
    part = {"part": {"start": 1.0}}
    catalogue.put([Item(id, "image", f"{id}.jpg", "image/jpeg", metadata=part.get(id, {})) for id in files], z)
    with serving(catalogue) as http:
        assert [one["created"] for one in results(add(http, images[0], id="a"), 200)] == [False]
        problem(add(http, images[2], id="a"), 409, "id-taken")
        problem(add(http, images[3], id="part"), 409, "id-taken")  # of that file, but not the whole of it
        assert http.put("/v1/items/a", data={"label": "x"}).json()["label"] == "x"
        assert http.get("/v1/items/a/content").content == images[0]
        assert http.put("/v1/items/b", files={"image": images[2]}).status_code == 200
        assert http.get("/v1/items/b/content").content == images[2]
        assert http.delete("/v1/items/a").status_code == 204
    assert {id: (tmp_path / f"{id}.jpg").read_bytes() for id in files} == files


def test_a_phones_picture_is_an_item_that_browsers_can_see(shelf: httpx.Client) -> None:
    data = (Path(__file__).parents[1] / "training/model/media/heic/turned.heic").read_bytes()
    item = results(add(shelf, data, id="phone"))[0]["item"]
    assert (item["modality"], item["media_type"]) == ("image", "image/heic")
    content, thumbnail = shelf.get(item["content"]), shelf.get(item["thumbnail"])
    assert (content.headers["content-type"], content.content) == ("image/heic", data)
    assert (thumbnail.headers["content-type"], thumbnail.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    assert found(shelf, data) == ["phone"]
