"""What the page says when something is wrong: files, a busy service, keys; and that a keyboard is enough."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.service.visit import Visit, give, wait_for_answer

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)

BUSY = {
    "type": "urn:bma:problem:overloaded",
    "title": "The service is busy",
    "status": 429,
    "detail": "All places in the queue are taken; try again later.",
}
LOCKED = {"type": "urn:bma:problem:no-key", "title": "A key is needed", "status": 401, "detail": "Send a header."}
WRONG = {**LOCKED, "type": "urn:bma:problem:wrong-key", "detail": "It asks for another."}


def test_an_empty_file(visit: Visit, tmp_path: Path) -> None:
    for name in ("nothing.wav", "nothing.jpg"):
        file = tmp_path / name
        file.touch()
        page = visit()
        give(page, file)
        expect(page.get_by_role("alert")).to_contain_text(f"{name} is empty")


def test_what_is_wrong_is_in_view(visit: Visit, image: Path, tmp_path: Path) -> None:
    """Where all is in one column, what was given and the filters stand above it."""
    file = tmp_path / "bad.jpg"
    file.write_bytes(b"no picture")
    page = visit(viewport={"width": 390, "height": 500}, has_touch=True, is_mobile=True)
    give(page, image)
    wait_for_answer(page)
    page.locator("#filters summary").click()
    expect(page.locator("#filters input").first).to_be_visible()
    give(page, file)
    expect(page.get_by_role("alert")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again(visit: Visit, sound: Path, status: int) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) <= 2:
            route.fulfill(status=status, headers={"retry-after": "1"}, json={**BUSY, "status": status})
        else:
            route.fallback()

    page = visit(prepare=lambda page: page.route("**/v1/search/images?*", answer))
    give(page, sound)
    expect(page.locator("#busy")).to_contain_text("The service is busy")
    wait_for_answer(page)
    expect(page.locator("#busy")).to_be_hidden()
    expect(page.locator("#pictures .tile")).to_have_count(12)
    assert len(asked) == 3


def test_a_service_that_stays_busy(visit: Visit, sound: Path) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=429, headers={"retry-after": "0.1"}, json=BUSY)

    page = visit(prepare=lambda page: page.route("**/v1/search/images?*", answer))
    give(page, sound)
    expect(page.get_by_role("alert")).to_contain_text("All places in the queue are taken")
    assert len(asked) == 5
    expect(page.locator("#busy")).to_be_hidden()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)


def test_a_gateway_without_the_service(visit: Visit, sound: Path) -> None:
    """It answers in HTML, and will not for long."""
    page = visit(
        prepare=lambda page: page.route("**/v1/search/**", lambda route: route.fulfill(status=502, body="<h1>"))
    )
    give(page, sound)
    expect(page.get_by_role("alert")).to_contain_text("It said 502 Bad Gateway.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)


def test_a_sign_in_page_instead_of_an_answer(visit: Visit, sound: Path) -> None:
    """As networks of hotels send one, whatever is asked."""
    page = visit(
        prepare=lambda page: page.route("**/v1/**", lambda route: route.fulfill(status=200, body="<!doctype html>"))
    )
    expect(page.get_by_role("alert")).to_contain_text("Something else answers in the service's place")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#about")).to_contain_text("30 pictures")
    page.route("**/v1/search/**", lambda route: route.fulfill(status=200, body="<!doctype html>"))
    give(page, sound)
    expect(page.get_by_role("alert")).to_contain_text("Something else answers in the service's place")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)


def test_what_has_no_title_says_who_does_not_answer(visit: Visit, image: Path) -> None:
    """In a card, the filter and the classes there is one sentence or two, and no heading before."""
    words = "The service does not answer. Check that it is running"
    page = visit(prepare=lambda page: page.route("**/v1/classify?*", lambda route: route.abort()))
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#classes").get_by_role("alert")).to_contain_text(words)
    page.context.set_offline(True)
    page.locator("#sounds .play").first.click()
    expect(page.locator("#sounds .player").first).to_contain_text(words)
    page.context.set_offline(False)
    page.reload()
    expect(page.locator("#about")).to_contain_text("30 pictures")
    give(page, image)
    wait_for_answer(page)
    page.route("**/v1/items?limit=1000*", lambda route: route.abort())
    page.locator("#filters summary").click()
    expect(page.locator("#filters").get_by_role("alert")).to_contain_text(words)


def test_a_new_question_ends_the_wait(visit: Visit, sound: Path, image: Path) -> None:
    def answer(route: Route) -> None:
        route.fulfill(status=429, headers={"retry-after": "30"}, json=BUSY)

    page = visit(prepare=lambda page: page.route("**/v1/search/images?*", answer, times=1))
    give(page, sound)
    expect(page.locator("#busy")).to_contain_text("Asking again in")
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#busy")).to_be_hidden()


def guard(page: Page) -> None:
    """Let the page see a service that asks for a key."""

    def answer(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer open sesame":
            route.fallback()
        else:
            route.fulfill(status=401, json=LOCKED if "authorization" not in route.request.headers else WRONG)

    page.route("**/v1/**", answer)


def test_a_key_is_asked_for_once(visit: Visit, sound: Path) -> None:
    page = visit(prepare=guard)
    dialog = page.get_by_role("dialog", name="An API key, please")
    expect(dialog).to_contain_text("This service asks for an API key; whoever runs it can give you one.")
    field = dialog.get_by_label("Key", exact=True)
    field.fill("wrong")
    dialog.get_by_role("button", name="Use it").click()
    expect(field).to_have_value("")  # it was not that one
    expect(dialog).to_contain_text("It asks for another.")
    field.fill("open sesame")
    field.press("Enter")
    expect(page.locator("#about")).to_contain_text("30 pictures")
    expect(dialog).to_be_hidden()
    give(page, sound)
    wait_for_answer(page)
    # pictures and sounds, which a browser asks for without the key, come with it
    picture = page.locator("#pictures .tile img").first
    expect(picture).to_have_attribute("src", re.compile("^blob:"))
    expect(picture).not_to_have_class("missing")
    page.reload()
    expect(page.locator("#about")).to_contain_text("30 pictures")
    expect(dialog).to_be_hidden()


def test_what_a_key_fetched_is_let_go(visit: Visit, sound: Path, image: Path) -> None:
    """Of pictures and sounds that left the page, also in the dialog, no bytes are kept."""

    def count(page: Page) -> None:
        guard(page)
        page.add_init_script(
            """
            sessionStorage.setItem("bma-key", "open sesame");
            window.kept = new Set();
            const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
            URL.createObjectURL = (blob) => { const url = make(blob); kept.add(url); return url; };
            URL.revokeObjectURL = (url) => { kept.delete(url); revoke(url); };
            """
        )

    page = visit(prepare=count)
    expect(page.locator("#samples img[src^='blob:']")).to_have_count(8)
    give(page, sound)
    wait_for_answer(page)
    for play in ("#sounds .play", "#why .chime"):
        page.locator(play).first.click()
        expect(page.locator(play).first).to_have_attribute("data-runs", "true")
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#viewer .stage img")).to_have_attribute("src", re.compile("^blob:"))
    page.keyboard.press("Escape")
    give(page, image)
    expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")
    wait_for_answer(page)
    page.wait_for_function(
        """() => {
            const shown = [...document.querySelectorAll("main img")].map((one) => one.src);
            return shown.every((link) => kept.has(link)) && kept.size === new Set(shown).size;
        }"""
    )


def test_no_key(visit: Visit) -> None:
    page = visit(prepare=guard)
    page.get_by_role("dialog").get_by_role("button", name="Not now").click()
    expect(page.get_by_role("alert")).to_contain_text("whoever runs it can give you one.")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_what_is_wrong_is_said_once(visit: Visit, sound: Path, tmp_path: Path) -> None:
    """The alert is read aloud by itself; what the status says is read too."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    text = tmp_path / "notes.txt"
    text.write_text("neither seen nor heard")
    page = visit()
    for file in (bad, text):
        give(page, file)
        expect(page.get_by_role("alert")).to_contain_text(file.name)
        expect(page.locator("#status")).not_to_contain_text(file.name)


def test_offline(visit: Visit, sound: Path) -> None:
    page = visit()
    expect(page.locator("#about")).to_contain_text("30 pictures")
    page.context.set_offline(True)
    give(page, sound)
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)


def press_until(page: Page, selector: str) -> None:
    """Go on with the Tab key until it is there."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"the Tab key never comes to {selector}")


def test_the_keyboard_alone(visit: Visit) -> None:
    page = visit()
    expect(page.locator("#samples .tile")).to_have_count(8)
    press_until(page, ".skip")
    press_until(page, "#theme")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    press_until(page, "#file")
    press_until(page, "#samples .tile.sound")
    page.keyboard.press("Enter")
    wait_for_answer(page)
    expect(page.locator("#given")).to_be_focused()
    press_until(page, "#given .play")
    page.keyboard.press("Space")
    expect(page.locator("#given .play")).to_have_attribute("data-runs", "true")
    press_until(page, "#filters summary")
    page.keyboard.press("Enter")
    expect(page.locator("#filters input").first).to_be_visible()
    press_until(page, "#filters input")
    page.keyboard.press("Space")
    expect(page.locator("#filters .sum")).to_have_text("1 chosen")
    expect(page.locator("#pictures .tile")).to_have_count(3)  # of that label; only now is the list the new one
    press_until(page, "#pictures .tile")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#pictures .tile").first).to_be_focused()
    press_until(page, "#why input")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#why input").nth(1)).to_be_checked()
