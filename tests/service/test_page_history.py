"""Back, Forward, reload and links: each question on the page is an entry of the browser's history."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.visit import Visit, give, wait_for_answer

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)


def expect_start(page: Page) -> None:
    expect(page.locator("#samples .tile")).to_have_count(8)
    expect(page.locator("#samples")).to_be_visible()
    expect(page.locator("#given")).to_be_hidden()
    expect(page.locator(".found:visible")).to_have_count(0)
    expect(page.locator(".drop .call")).to_have_text("Give a sound or a picture")
    expect(page).to_have_title("BMA-Memory")


def shown(page: Page) -> str:
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".found [data-id]").first).to_be_visible()
    return page.url.partition("?item=")[2]


def test_back_and_forward_through_items(visit: Visit) -> None:
    page = visit()
    page.locator("#samples .tile.image").first.click()
    expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")
    first = shown(page)
    page.locator("#sounds .pivot").first.click()
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    second = shown(page)
    assert first
    assert second
    assert first != second
    page.go_back()
    expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")
    assert shown(page) == first
    page.go_back()
    expect_start(page)
    page.go_forward()
    page.go_forward()
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    assert shown(page) == second
    page.reload()
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    wait_for_answer(page)
    expect(page.locator("#given")).to_contain_text("from the catalogue")


def test_a_file_lives_as_long_as_the_page(visit: Visit, image: Path, sound: Path) -> None:
    page = visit()
    give(page, image, sound)
    wait_for_answer(page)
    page.locator("#queue").get_by_role("button", name=sound.name).click()
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    page.locator("#sounds .pivot").first.click()
    expect(page.locator("#given")).to_contain_text("from the catalogue")
    expect(page.locator("#queue")).to_be_hidden()
    page.go_back()
    expect(page.locator("#given .file")).to_contain_text(sound.name)
    expect(page.locator("#queue [aria-current]")).to_have_text(sound.name)
    page.go_back()
    expect(page.locator("#given .file")).to_contain_text(image.name)
    expect(page).to_have_title(f"{image.name} · BMA-Memory")
    wait_for_answer(page)
    page.reload()
    expect_start(page)


def test_a_match_opens_in_another_tab(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    with page.context.expect_page() as opened:
        page.locator("#sounds .pivot").first.click(modifiers=["ControlOrMeta"])
    other = opened.value
    expect(other.locator("#given")).to_contain_text("from the catalogue")
    expect(other.locator("#pictures-title")).to_have_text("Pictures for this sound")
    expect(page.locator("#given .file")).to_contain_text(image.name)
    page.locator("#pictures .tile").first.click()
    link = page.get_by_role("link", name="Search with this one")
    expect(link).to_have_attribute("href", re.compile(r"^\?item=.+"))


def test_an_unknown_item(visit: Visit) -> None:
    page = visit("/?item=nobody")
    expect(page.get_by_role("alert")).to_contain_text("nobody")
    expect_start(page)


def test_a_link_that_fails_to_come_is_tried_again(visit: Visit) -> None:
    page = visit()
    page.locator("#samples .tile").first.click()
    shown(page)
    page.route("**/content", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)
    page.go_back()
    expect_start(page)


def test_skipping_to_the_answer_keeps_it(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_be_focused()
    expect(page.locator("#given .file")).to_contain_text(image.name)
