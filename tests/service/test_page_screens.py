"""The page's main states, photographed at three widths into `runs/page/`, for whoever wants to look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.service.visit import PHONE, TABLET, Visit, give, wait_for_answer, width

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)

SIZES = {"phone": PHONE, "tablet": TABLET, "desktop": {"width": 1280, "height": 800}}

DRAWN = """() => [...document.querySelectorAll("img, #sounds .wave")]
    .filter((one) => one.checkVisibility())
    .every((one) => one.complete || one.dataset.drawn)"""


def states(page: Page, sound: Path, image: Path, tmp_path: Path) -> Iterator[str]:
    """Go from one state to the next; the name of each."""
    expect(page.locator("#samples .tile")).to_have_count(8)
    yield "start"
    give(page, sound)
    wait_for_answer(page)
    expect(page.locator("#given .spectrum")).to_have_attribute("data-drawn", "true")
    expect(page.locator("#why")).to_be_visible()
    yield "sound"
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    yield "viewer"
    page.keyboard.press("Escape")
    give(page, image)
    expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")
    wait_for_answer(page)
    for fold in ("#filters", "#addition"):
        page.locator(f"{fold} summary").click()
    expect(page.locator("#filters input").first).to_be_visible()
    yield "picture"
    bad = tmp_path / "holiday.jpg"
    bad.write_bytes(b"no picture")
    give(page, bad)
    expect(page.get_by_role("alert")).to_be_visible()
    yield "error"


def photograph(page: Page, file: Path, size: dict[str, int]) -> None:
    """The whole of the page, with what is drawn only when it comes into view; of a dialog what the screen shows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if page.locator("dialog[open]").count() == 0:
        # Playwright's own way to take the whole page forgets that there is no mouse.
        tall: int = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": tall})
    page.wait_for_function(DRAWN)
    page.screenshot(path=file)
    page.set_viewport_size({"width": size["width"], "height": size["height"]})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_screens(visit: Visit, long_sound: Path, image: Path, tmp_path: Path, size: str, scheme: str) -> None:
    touch = size != "desktop"
    page = visit(viewport=SIZES[size], has_touch=touch, is_mobile=touch, color_scheme=scheme)
    for state in states(page, long_sound, image, tmp_path):
        photograph(page, ROOT / "runs" / "page" / f"{state}-{size}-{scheme}.png", SIZES[size])
        assert width(page) <= SIZES[size]["width"], state  # on a phone innerWidth would grow with what sticks out
