"""The page before a catalogue that can be changed, that is empty, that may only be read."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Bma, Serve
from tests.service.conftest import Serving
from tests.service.visit import Visit, give, wait_for_answer

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)


def url_of(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def add(page: Page, label: str, tags: str) -> None:
    addition = page.locator("#addition")
    addition.locator("summary").click()
    addition.get_by_label("Label").fill(label)
    addition.get_by_label("Tags").fill(tags)
    addition.get_by_role("button", name="Add").click()


def test_an_empty_catalogue_is_filled(visit: Visit, shelf: httpx.Client, image: Path) -> None:
    page = visit(at=url_of(shelf))
    expect(page.locator("#problem")).to_contain_text("The catalogue is empty")
    give(page, image)
    expect(page.locator("#pictures .note")).to_have_text("The catalogue holds no pictures yet.")
    add(page, "boat", "sea, harbour")
    expect(page.locator("#addition .said")).to_contain_text("Added; searches find it from now on.")
    expect(page.locator("#about")).to_contain_text("1 picture · 0 sounds")
    expect(page.locator("#pictures .tile")).to_have_count(1)  # as that of the catalogue says
    (item,) = shelf.get("/v1/items").json()["items"]
    assert (item["label"], item["tags"]) == ("boat", ["sea", "harbour"])
    # a second time it is there
    page.locator("#addition").get_by_role("button", name="Add").click()
    expect(page.locator("#addition .said")).to_contain_text("in the catalogue already")


def test_labels_that_nobody_gave_are_not_offered(
    visit: Visit, shelf: httpx.Client, image: Path, images: list[bytes]
) -> None:
    assert shelf.post("/v1/items", files={"image": images[-1]}).status_code == 201
    page = visit(at=url_of(shelf))
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#classes .percent").first).to_contain_text("%")
    expect(page.locator("#classes .namer")).to_be_hidden()
    add(page, "boat", "")
    expect(page.locator("#addition .said")).to_contain_text("Added")
    give(page, image)
    page.get_by_role("radio", name="by the catalogue's labels").check()
    expect(page.locator("#classes .label")).to_have_text(["boat"])


def test_undo(visit: Visit, shelf: httpx.Client, sound: Path) -> None:
    page = visit(at=url_of(shelf))
    give(page, sound)
    add(page, "train", "")
    expect(page.locator("#sounds .player")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#addition .said")).to_have_text("It is out of the catalogue again.")
    assert shelf.get("/v1/items").json()["items"] == []
    expect(page.locator("#about")).to_contain_text("0 pictures · 0 sounds")
    expect(page.locator("#sounds .note")).to_have_text("The catalogue holds no sounds yet.")


def test_delete(visit: Visit, shelf: httpx.Client, image: Path, images: list[bytes]) -> None:
    files = [("image", (f"{number}.jpg", data)) for number, data in enumerate(images[:3])]
    assert shelf.post("/v1/items", files=files).status_code == 201
    page = visit(at=url_of(shelf))
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#addition")).to_be_visible()
    tiles = page.locator("#pictures .tile")
    expect(tiles).to_have_count(3)
    tiles.first.click()
    delete = page.locator("#viewer .delete")
    delete.click()
    expect(page.locator("#viewer .said")).to_contain_text("Press again to delete it.")
    assert len(shelf.get("/v1/items").json()["items"]) == 3  # asked once more first
    delete.click()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(tiles).to_have_count(2)
    assert len(shelf.get("/v1/items").json()["items"]) == 2
    expect(page.locator("#about")).to_contain_text("2 pictures")
    # said together with what is left, so that neither takes the other's place, and to be seen
    news = page.locator("#status.news")
    expect(news).to_have_text(re.compile("is deleted, .*2 pictures found"))
    expect(news).to_be_in_viewport()


def test_a_catalogue_that_may_only_be_read(visit: Visit, serving: Serving, catalogue_folder: Path, image: Path) -> None:
    with serving(catalogue_folder, writable=False) as client:
        page = visit(at=url_of(client))
        give(page, image)
        wait_for_answer(page)
        page.locator("#pictures .tile").first.click()
        expect(page.locator("#viewer").get_by_role("link", name="Search with this one")).to_be_visible()
        expect(page.locator("#viewer .delete")).to_have_count(0)
        expect(page.locator("#addition")).to_be_hidden()
        page.close()


def test_a_real_key(
    visit: Visit, serve: Serve, bma: Bma, bundle_folder: Path, catalogue_folder: Path, image: Path, tmp_path: Path
) -> None:
    """With a key that may read: found pictures and sounds load, and nothing that changes the catalogue is offered."""
    keys = tmp_path / "keys"
    key = bma("keys", "add", "--scope", "read", "--keys", keys, "visitor").stdout.split()[-1]
    with serve("--model", bundle_folder, "--index", catalogue_folder, "--read-only", "--keys", keys) as server:
        page = visit(at=server.url)
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use it").click()
        samples = page.locator("#samples .tile")
        expect(samples).to_have_count(8)
        expect(samples.first.locator("img")).to_have_attribute("src", re.compile("^blob:"))
        give(page, image)
        wait_for_answer(page)
        play = page.locator("#sounds .play").first
        play.click()
        expect(play).to_have_attribute("data-runs", "true")
        expect(page.locator("#addition")).to_be_hidden()
        page.close()


def test_what_is_gone_is_said(
    visit: Visit, shelf: httpx.Client, empty_catalogue: Path, image: Path, images: list[bytes], sounds: list[bytes]
) -> None:
    ids = {}
    for modality, data in (("image", images[-1]), ("sound", sounds[0])):
        (added,) = shelf.post("/v1/items", files={modality: data}).json()["results"]
        ids[modality] = added["item"]["id"]
    for file in (empty_catalogue / "content").rglob("*"):
        if file.is_file():
            file.unlink()
    words = {modality: shelf.get(f"/v1/items/{id}/content").json()["detail"] for modality, id in ids.items()}
    page = visit(at=url_of(shelf))
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#pictures .tile")).to_contain_text("can't be shown")
    expect(page.locator("#sounds .strip")).to_contain_text("can't be shown")
    page.locator("#sounds .play").click()
    expect(page.locator("#sounds .player").get_by_role("alert")).to_have_text(words["sound"])
    page.locator("#pictures .tile").click()
    expect(page.locator("#viewer .stage")).to_have_text(words["image"])


def test_a_bad_label(visit: Visit, shelf: httpx.Client, image: Path) -> None:
    page = visit(at=url_of(shelf))
    give(page, image)
    add(page, "x" * 300, "")
    expect(page.locator("#addition .said")).to_contain_text("field 'label' may have 256 characters, not 300")


def test_an_item_without_a_label_is_called_as_its_file(visit: Visit, shelf: httpx.Client, image: Path) -> None:
    page = visit(at=url_of(shelf))
    give(page, image)
    add(page, "", "")
    expect(page.locator("#pictures .label")).to_have_text(image.name)
    (item,) = shelf.get("/v1/items").json()["items"]
    assert item["metadata"] == {"path": image.name}


def test_an_item_without_any_name_has_a_short_one(
    visit: Visit, shelf: httpx.Client, long_sound: Path, images: list[bytes]
) -> None:
    """In the middle of a sentence, too: 64 digits do not stick out of the card."""
    (added,) = shelf.post("/v1/items", files={"image": images[0]}).json()["results"]
    id = added["item"]["id"]
    page = visit(at=url_of(shelf))
    give(page, long_sound)
    wait_for_answer(page)
    short = f"{id[:12]}…{id[-11:]}"
    expect(page.locator("#pictures .label")).to_have_text(short)
    expect(page.locator("#given .moment")).to_contain_text(f"Of {short} the best is")
    page.locator("#pictures .tile").click()
    expect(page.locator("#viewer-title")).to_have_text(short)
    expect(page.locator("#viewer dl")).to_contain_text(id)
