"""What the page does with what can't be asked: it says why, and keeps the question and the answer that were there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.service.visit import Visit, give, wait_for_answer

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)

HAND_OVER = """([kind, field, name, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name));
    const options = { bubbles: true, cancelable: true, [field]: transfer };
    const event = kind === "drop" ? new DragEvent(kind, options) : new ClipboardEvent(kind, options);
    document.activeElement.dispatchEvent(event);
}"""


def ask(page: Page, file: Path) -> None:
    give(page, file)
    wait_for_answer(page)


def expect_answer(page: Page, file: Path) -> None:
    """That of the file is there still."""
    expect(page.locator("#given .file")).to_contain_text(file.name)
    expect(page.locator("#pictures .tile")).to_have_count(12)
    expect(page.locator("#sounds .player")).to_have_count(12)


@pytest.mark.parametrize("dragged", [".brand", "#given img", "#given .label"])
def test_what_is_dragged_within_the_page_changes_nothing(visit: Visit, image: Path, dragged: str) -> None:
    page = visit()
    ask(page, image)
    page.locator(dragged).select_text()
    page.locator(dragged).drag_to(page.locator("#answer"), target_position={"x": 5, "y": 5})
    expect_answer(page, image)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("body")).not_to_have_class("dragging")


def test_a_drop_without_a_file_keeps_the_answer(visit: Visit, image: Path) -> None:
    """As browsers make one of a picture of another page."""
    page = visit()
    ask(page, image)
    page.evaluate(
        """() => {
            const event = new Event("drop", { bubbles: true, cancelable: true });
            event.dataTransfer = { types: ["Files", "text/html"], files: [] };
            document.body.dispatchEvent(event);
        }"""
    )
    expect(page.get_by_role("alert")).to_contain_text("That was not a file")
    expect_answer(page, image)


def test_text_may_be_dropped_into_a_field_only(visit: Visit) -> None:
    """Elsewhere a browser would follow a link that is dropped."""
    page = visit()
    prevented = """target => {
        const dataTransfer = new DataTransfer();
        dataTransfer.setData("text/plain", "boat");
        return !target.dispatchEvent(new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer }));
    }"""
    assert page.locator("#answer").evaluate(prevented)
    assert not page.locator("#add-label").evaluate(prevented)


def test_a_wrong_file_keeps_the_answer(visit: Visit, image: Path, tmp_path: Path) -> None:
    text, nothing = tmp_path / "notes.txt", tmp_path / "nothing.wav"
    text.write_text("neither seen nor heard")
    nothing.touch()
    page = visit()
    ask(page, image)
    for file, words in ((text, "notes.txt is of another kind"), (nothing, "nothing.wav is empty")):
        give(page, file)
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)
        expect_answer(page, image)
    page.get_by_role("radio", name="6", exact=True).check()
    expect(page.locator("#pictures .tile")).to_have_count(6)
    expect(page.locator("#problem")).to_be_hidden()


def test_of_several_files_the_wrong_one_is_passed_over(visit: Visit, image: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("neither seen nor heard")
    page = visit()
    give(page, text, image)
    wait_for_answer(page)
    expect_answer(page, image)
    page.get_by_role("button", name="notes.txt").click()
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is of another kind")
    expect(page.locator("#queue [aria-current]")).to_have_text(image.name)
    expect_answer(page, image)


def test_an_item_that_fails_to_come_keeps_the_answer(visit: Visit, image: Path) -> None:
    page = visit()
    ask(page, image)
    page.route("**/content", lambda route: route.abort())
    page.locator("#sounds .pivot").first.click()
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    expect_answer(page, image)
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#given")).to_contain_text("from the catalogue")
    wait_for_answer(page)
    expect(page.locator("#problem")).to_be_hidden()


def test_an_item_that_is_gone_keeps_the_answer(visit: Visit, image: Path) -> None:
    gone = {"type": "urn:bma:problem:content-gone", "title": "The item's file is gone", "detail": "Add it anew."}
    page = visit()
    ask(page, image)
    page.route("**/content", lambda route: route.fulfill(status=404, json=gone))
    page.locator("#sounds .pivot").first.click()
    expect(page.get_by_role("alert")).to_contain_text("The item's file is gone")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect_answer(page, image)


def test_a_search_under_way_goes_on(visit: Visit, image: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("neither seen nor heard")
    held: list[Route] = []
    page = visit(prepare=lambda page: page.route("**/v1/search/**", lambda route: held.append(route)))
    give(page, image)
    expect(page.locator(".found .waiting")).to_have_count(24)
    give(page, text)
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is of another kind")
    for route in held:
        route.continue_()
    wait_for_answer(page)
    expect_answer(page, image)


@pytest.mark.parametrize(("kind", "field"), [("paste", "clipboardData"), ("drop", "dataTransfer")])
def test_a_new_question_closes_the_viewer(visit: Visit, sound: Path, image: Path, kind: str, field: str) -> None:
    page = visit()
    ask(page, sound)
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    page.evaluate(HAND_OVER, [kind, field, image.name, list(image.read_bytes())])
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")
    wait_for_answer(page)
    expect(page.locator("#given")).to_be_focused()
    page.locator("#pictures .tile").first.click()
    page.evaluate(HAND_OVER, [kind, field, "notes.txt", [1, 2, 3]])
    expect(page.get_by_role("alert")).to_be_visible()  # nothing stands before it
    expect(page.locator("#viewer")).to_be_hidden()


def test_beside_a_broken_file_nothing_is_offered(visit: Visit, sound: Path, image: Path, tmp_path: Path) -> None:
    """No matches to choose from, and no sound to play."""
    page = visit()
    for good, broken in ((image, tmp_path / "cut.jpg"), (sound, tmp_path / "cut.wav")):
        broken.write_bytes(good.read_bytes()[:44])
        give(page, broken)
        expect(page.get_by_role("alert")).to_contain_text(broken.name)
        expect(page.locator("#given .file")).to_contain_text(broken.name)
        for part in (".k", "#filters", "#given .player"):
            expect(page.locator(part)).to_be_hidden()
        ask(page, good)
        expect(page.locator(".k")).to_be_visible()
        expect(page.locator("#filters")).to_be_visible()
    expect(page.locator("#given .player")).to_be_visible()
