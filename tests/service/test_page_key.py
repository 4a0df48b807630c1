"""The API key on the page: given, found wrong, changed, forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Bma, Serve
from tests.service.test_page_states import guard
from tests.service.visit import Visit, give, wait_for_answer

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)


def use(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use it").click()


def kept(page: Page) -> str | None:
    key: str | None = page.evaluate("sessionStorage.getItem('bma-key')")
    return key


@pytest.mark.parametrize("key", ["“open sesame”", "open sésame", "ключ"])
def test_what_can_be_no_key_is_not_kept(visit: Visit, key: str) -> None:
    """A browser refuses to send such a one: every request would fail, also after a reload."""
    page = visit(prepare=guard)
    use(page, key)
    field = page.get_by_label("Key", exact=True)
    expect(page.get_by_role("dialog")).to_contain_text("That can't be a key")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert kept(page) is None
    use(page, "open sesame")
    expect(page.locator("#about")).to_contain_text("30 pictures")


def test_why_a_key_is_asked_for_is_told_with_the_field(visit: Visit) -> None:
    page = visit(prepare=guard)
    field = page.get_by_label("Key", exact=True)
    expect(field).to_have_accessible_description("This service asks for an API key; whoever runs it can give you one.")
    expect(field).to_have_attribute("aria-invalid", "false")
    use(page, "wrong")
    expect(field).to_have_accessible_description("It asks for another.")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()


def test_another_key(
    visit: Visit, serve: Serve, bma: Bma, bundle_folder: Path, empty_catalogue: Path, image: Path, tmp_path: Path
) -> None:
    """Of one that may only read it is said so; with another in its place the question is answered anew."""
    keys = tmp_path / "keys"
    read, write = (
        bma("keys", "add", "--scope", scope, "--keys", keys, name).stdout.split()[-1]
        for scope, name in (("read", "visitor"), ("write", "curator"))
    )
    with serve("--model", bundle_folder, "--index", empty_catalogue, "--keys", keys) as server:
        page = visit(at=server.url)
        control = page.get_by_role("button", name="Key", exact=True)
        use(page, read)
        give(page, image)
        wait_for_answer(page)
        expect(page.locator("#addition")).to_be_hidden()
        control.click()
        reason = page.locator("#key-reason")
        expect(reason).to_contain_text("uses the key “visitor”, which may search but not change the catalogue")
        use(page, write)
        expect(page.locator("#addition")).to_be_visible()
        expect(page.locator("#given")).to_contain_text(image.name)
        expect(control).to_be_focused()
        control.click()
        expect(reason).to_contain_text("“curator”, which may search and change the catalogue")
        page.get_by_role("button", name="Not now").click()
        assert kept(page) == write
        page.close()


def test_a_key_is_forgotten(visit: Visit, image: Path) -> None:
    page = visit(prepare=guard)
    dialog = page.get_by_role("dialog")
    forget = dialog.get_by_role("button", name="Forget the one there is")
    expect(dialog).to_be_visible()
    expect(forget).to_be_hidden()
    use(page, "open sesame")
    give(page, image)
    wait_for_answer(page)
    page.get_by_role("button", name="Key", exact=True).click()
    forget.click()
    expect(dialog).to_contain_text("whoever runs it can give you one.")  # it is asked for anew
    assert kept(page) is None
    expect(page.locator(".found:visible")).to_have_count(0)


def test_where_no_key_is_asked_for_none_can_be_given(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#lock")).to_be_hidden()
