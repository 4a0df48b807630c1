"""Listing items over HTTP."""

from pathlib import Path

import httpx
import pytest

from index.catalogue import Item
from index.local import LocalCatalogue
from service.indexing import build_catalogue
from tests.conftest import Serve
from training.model.embedder import Embedder
from training.model.media.thumbnail import sound_thumbnail


def get(url: str, **parameters: str | int) -> httpx.Response:
    return httpx.get(f"{url}/v1/items", params=parameters, timeout=30)


def test_pages_lead_from_one_to_the_next(service_url: str) -> None:
    whole = get(service_url, limit=1000).json()
    assert whole["cursor"] is None
    seen, cursor = [], ""
    while cursor is not None:
        page = get(service_url, limit=7, cursor=cursor).json()
        seen += page["items"]
        cursor = page["cursor"]
    assert seen == whole["items"]
    assert {item["modality"] for item in seen} == {"image", "sound"}


def test_a_filter_keeps_what_passes(service_url: str) -> None:
    items = get(service_url, filter='{"label": "boat"}', limit=1000).json()["items"]
    assert items
    assert {item["label"] for item in items} == {"boat"}


@pytest.mark.parametrize(
    "parameters", [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"cursor": "9" * 20}, {"filter": "{"}]
)
def test_what_makes_no_sense_is_refused(service_url: str, parameters: dict[str, str | int]) -> None:
    answer = get(service_url, **parameters)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("cursor", ["7.test-0000:image", ".a", "9" * 19, "9223372036854775808"])
def test_a_cursor_of_another_catalogue_is_refused(service_url: str, cursor: str) -> None:
    answer = get(service_url, cursor=cursor)
    assert answer.status_code == 422
    said = "query 'cursor': is not one of this catalogue; take the one of the answer before, or leave it out."
    assert answer.json()["detail"] == said


def test_a_piece_of_a_sound_is_drawn_as_that_piece(
    serve: Serve, demo_folder: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    sound = sorted(demo_folder.glob("sounds/*_test-*.wav"))[0]
    (tmp_path / "a.wav").write_bytes(sound.read_bytes())
    (tmp_path / "rows.csv").write_text("split,sound,id,start,duration\ntest,a.wav,1,,0.7\ntest,a.wav,2,0.7,0.6\n")
    embedder, index = Embedder(bundle_folder, "cpu"), tmp_path / "index"
    build_catalogue(embedder, tmp_path, index)
    catalogue = LocalCatalogue.open(index, writable=True)
    odd = Item("odd", "sound", "a.wav", "audio/wav", metadata={"start": "1", "duration": -3, "year": 10**400})
    catalogue.put([odd], embedder.embed([sound], "sound").z)
    catalogue.close()
    with serve("--model", bundle_folder, "--index", index) as server:
        first, second, whole = (
            httpx.get(f"{server.url}/v1/items/{id}/thumbnail", timeout=30).content
            for id in ("1:sound", "2:sound", "odd")
        )
    assert first == sound_thumbnail(sound, duration=0.7)
    assert second == sound_thumbnail(sound, start=0.7, duration=0.6)
    assert whole == sound_thumbnail(sound)
    assert len({first, second, whole}) == 3


def test_labels_with_how_many_have_them(http: httpx.Client) -> None:
    answer = http.get("/v1/labels").raise_for_status().json()
    labels = [entry["label"] for entry in answer["labels"]]
    assert labels == sorted(labels)
    assert (len(labels), answer["total"]) == (10, 10)
    assert {entry["count"] for entry in answer["labels"]} == {6}
    images = http.get("/v1/labels", params={"modality": "image", "limit": 3}).json()
    assert images == {"labels": [{"label": label, "count": 3} for label in labels[:3]], "total": 10}
    for wrong in ({"modality": "video"}, {"limit": 0}, {"limit": 100_001}):
        assert http.get("/v1/labels", params=wrong).json()["type"] == "urn:bma:problem:invalid-request"


def test_the_labels_of_most_items_come_first(shelf: httpx.Client, images: list[bytes]) -> None:
    assert shelf.get("/v1/labels").json() == {"labels": [], "total": 0}
    files = [("image", (f"{number}.jpg", data)) for number, data in enumerate(images[:4])]
    shelf.post("/v1/items", files=files, data={"label": ["ant", "dog", "dog", ""]}).raise_for_status()
    dog, ant = {"label": "dog", "count": 2}, {"label": "ant", "count": 1}
    assert shelf.get("/v1/labels").json() == {"labels": [dog, ant], "total": 2}
    assert shelf.get("/v1/labels?limit=1").json() == {"labels": [dog], "total": 2}
