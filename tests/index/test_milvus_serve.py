"""Two services on one catalogue in Milvus: what changes through one is found through the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from bma_memory import Client
from index.milvus import MilvusCatalogue
from index.milvus_address import Address


def test_two_services_share_a_catalogue(
    milvus_address: Callable[..., Address],
    catalogue_folder: Path,
    bundle_folder: Path,
    demo_folder: Path,
    bma: Callable[..., Any],
    serve: Callable[..., Any],
) -> None:
    address = milvus_address("HNSW")
    place = f"{address}?root={demo_folder}&content={address.content}"
    moved = bma("index", "migrate", catalogue_folder, place)
    assert moved.returncode == 0, moved.stderr
    picture = next((demo_folder / "images").glob("*.jpg"))
    options = ("--model", bundle_folder, "--index", place)
    with serve(*options) as one, serve(*options) as two, httpx.Client(timeout=60, trust_env=False) as client:
        before = client.get(f"{two.url}/v1/items").raise_for_status().json()
        every = [item["id"] for item in before["items"]]
        assert (len(every), before["cursor"]) == (60, None)
        assert page_by_page(client, f"{two.url}/v1/items") == every
        with Client(two.url) as asking:
            assert [item.id for item in asking.items(page=7)] == every
        for cursor in ("7", "7.", ".new", f"{2**63}.new", "7..", "9" * 19):
            refused = client.get(f"{two.url}/v1/items", params={"cursor": cursor})
            assert (refused.status_code, "'cursor'" in refused.json()["detail"]) == (422, True)
        given = {"image": (picture.name, picture.read_bytes(), "image/jpeg")}
        client.post(f"{one.url}/v1/items", files=given, data={"id": "new", "label": "new"}).raise_for_status()
        found = client.post(f"{two.url}/v1/search/images", params={"filter": '{"label": "new"}'}, files=given)
        [result] = found.raise_for_status().json()["results"]
        assert [hit["id"] for hit in result["hits"]] == ["new"]
        assert client.get(f"{two.url}{result['hits'][0]['content']}").content == picture.read_bytes()
        client.delete(f"{two.url}/v1/items/new").raise_for_status()
        assert client.get(f"{one.url}/v1/items/new").status_code == 404


def page_by_page(client: httpx.Client, url: str) -> list[str]:
    ids, cursor = [], ""
    while cursor is not None:
        page = client.get(url, params={"limit": 7, "cursor": cursor}).raise_for_status().json()
        assert len(page["items"]) <= 7
        ids += [item["id"] for item in page["items"]]
        cursor = page["cursor"]
    return ids


def test_vectors_of_another_model_are_refused_at_the_start(
    milvus_address: Callable[..., Address], bundle_folder: Path, bma: Callable[..., Any]
) -> None:
    address = milvus_address()
    MilvusCatalogue.create(address, "another", 128).close()
    refused = bma("serve", "--port", "0", "--model", bundle_folder, "--index", str(address))
    assert refused.returncode == 1
    assert "was made with another model (another, not" in refused.stderr
    assert "migrate it under another name" in refused.stderr
    assert refused.stderr.count("\n") == 1
