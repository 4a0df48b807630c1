"""Where the keyboard's focus is after the page has put something else in place of what had it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.service.test_page_catalogue import url_of
from tests.service.visit import Visit, give, wait_for_answer

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)


def press(control: Locator, key: str = "Enter") -> None:
    """As a keyboard does: what is pressed has the focus."""
    control.focus()
    control.page.keyboard.press(key)


def delete_by_keyboard(page: Page, opener: Locator) -> None:
    press(opener)
    delete = page.locator("#viewer .delete")
    for _ in range(2):  # it asks once more
        press(delete)
    expect(page.locator("#viewer")).to_be_hidden()


def test_what_narrows_the_matches_keeps_it(visit: Visit, sound: Path) -> None:
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    press(page.get_by_role("radio", name="12"), "ArrowRight")
    expect(page.locator("#pictures .tile")).to_have_count(24)
    expect(page.get_by_role("radio", name="24")).to_be_focused()
    press(page.locator("#filters summary"))
    boat = page.get_by_role("checkbox", name="boat")
    press(boat, "Space")
    expect(page.locator("#pictures .tile")).to_have_count(3)
    expect(boat).to_be_focused()
    press(page.get_by_role("button", name="Clear all"))
    expect(page.locator("#pictures .tile")).to_have_count(24)
    expect(page.locator("#filters summary")).to_be_focused()


def test_a_match_keeps_it_while_others_come(visit: Visit, sound: Path) -> None:
    held: list[Route] = []
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    page.route("**/v1/search/**", lambda route: held.append(route))
    press(page.get_by_role("radio", name="12"), "ArrowLeft")
    third = page.locator("#pictures > ol > li").nth(2)
    item = third.get_attribute("data-id")
    third.locator(".when, .tile").last.focus()
    expect(page.locator("#pictures")).to_have_attribute("aria-busy", "true")
    for route in held:
        route.continue_()
    expect(page.locator("#pictures .tile")).to_have_count(6)
    expect(page.locator(f'#pictures [data-id="{item}"] .tile')).to_be_focused()


def test_an_explanation_gives_it_to_the_answer_when_another_comes(visit: Visit, sound: Path) -> None:
    held: list[Route] = []
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    page.route("**/v1/search/**", lambda route: held.append(route))
    press(page.get_by_role("radio", name="12"), "ArrowLeft")
    page.locator("#why input").first.focus()
    expect(page.locator("#pictures")).to_have_attribute("aria-busy", "true")
    for route in held:
        route.continue_()
    expect(page.locator("#pictures .tile")).to_have_count(6)
    expect(page.locator("#answer")).to_be_focused()


def test_what_plays_the_best_window_keeps_it(visit: Visit, long_sound: Path) -> None:
    page = visit()
    give(page, long_sound)
    wait_for_answer(page)
    moment = page.locator("#given .moment")
    moment.get_by_role("button").focus()
    last = page.locator("#pictures > ol > li").last
    last.hover()
    expect(moment.get_by_role("button")).to_have_text(f"Play {last.locator('.when').inner_text()}")
    expect(moment.get_by_role("button")).to_be_focused()


def test_after_a_deletion_the_next_match_has_it(
    visit: Visit, shelf: httpx.Client, image: Path, images: list[bytes]
) -> None:
    files = [("image", (f"{number}.jpg", data)) for number, data in enumerate(images[:3])]
    assert shelf.post("/v1/items", files=files).status_code == 201
    page = visit(at=url_of(shelf))
    give(page, image)
    wait_for_answer(page)
    matches = page.locator("#pictures > ol > li")
    ids = matches.evaluate_all("all => all.map(one => one.dataset.id)")
    delete_by_keyboard(page, matches.nth(1).locator(".tile"))
    expect(matches).to_have_count(2)
    expect(page.locator(f'#pictures [data-id="{ids[2]}"] .tile')).to_be_focused()
    delete_by_keyboard(page, matches.nth(1).locator(".tile"))
    expect(matches).to_have_count(1)
    expect(page.locator(f'#pictures [data-id="{ids[0]}"] .tile')).to_be_focused()
    delete_by_keyboard(page, matches.nth(0).locator(".tile"))
    expect(matches).to_have_count(0)
    expect(page.locator("#pictures-title")).to_be_focused()


def test_of_sounds_the_same_button_has_it(visit: Visit, shelf: httpx.Client, sound: Path, sounds: list[bytes]) -> None:
    files = [("sound", (f"{number}.wav", data)) for number, data in enumerate(sounds[:2])]
    assert shelf.post("/v1/items", files=files).status_code == 201
    page = visit(at=url_of(shelf))
    give(page, sound)
    wait_for_answer(page)
    details = page.locator("#sounds").get_by_role("button", name="Details of")
    delete_by_keyboard(page, details.first)
    expect(details).to_have_count(1)
    expect(details).to_be_focused()


def test_a_deletion_that_fails_leaves_it(visit: Visit, shelf: httpx.Client, image: Path, images: list[bytes]) -> None:
    assert shelf.post("/v1/items", files={"image": images[0]}).status_code == 201
    page = visit(at=url_of(shelf))
    give(page, image)
    wait_for_answer(page)
    press(page.locator("#pictures .tile"))
    page.route("**/v1/items/*", lambda route: route.abort())
    delete = page.locator("#viewer .delete")
    press(delete)
    press(delete)
    expect(page.locator("#viewer .said")).to_contain_text("Check that it is running")
    expect(delete).to_be_focused()


def test_a_search_with_a_match_gives_it_to_the_question(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    press(page.locator("#sounds .pivot").nth(1))
    expect(page.locator("#given")).to_contain_text("from the catalogue")
    wait_for_answer(page)
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    expect(page.locator("#given")).to_be_focused()
    for _ in range(2):  # the second time the sections of the page stay where they are
        press(page.locator("#pictures .tile").first)
        with page.expect_response("**/v1/search/sounds?*"), page.expect_response("**/v1/search/images?*"):
            press(page.get_by_role("link", name="Search with this one"))
        expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        expect(page.locator("#given")).to_be_focused()


def test_adding_leaves_it(visit: Visit, shelf: httpx.Client, image: Path) -> None:
    page = visit(at=url_of(shelf))
    give(page, image)
    wait_for_answer(page)
    press(page.locator("#addition summary"))
    button = page.get_by_role("button", name="Add", exact=True)
    press(button)
    expect(page.locator("#addition .said")).to_contain_text("Added")
    expect(button).to_be_focused()


def test_trying_again_gives_it_to_the_answer(visit: Visit, sound: Path) -> None:
    page = visit()
    page.route("**/v1/search/**", lambda route: route.abort())
    give(page, sound)
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    page.unroute_all()
    press(again)
    wait_for_answer(page)
    expect(page.locator("#answer")).to_be_focused()


def test_an_answer_that_fails_keeps_it_on_the_page(visit: Visit, sound: Path) -> None:
    held: list[Route] = []
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    page.route("**/v1/search/**", lambda route: held.append(route))
    page.get_by_role("radio", name="24").check()
    page.locator("#pictures .tile").first.focus()
    for route in held:
        route.abort()
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    expect(page.locator("#answer")).to_be_focused()
