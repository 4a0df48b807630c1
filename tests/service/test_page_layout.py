"""The page's layout where words are long, letters large and windows low: nothing sticks out or is out of reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.visit import Visit, give, wait_for_answer, width

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)

WORD = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"


def label(*names: str) -> dict[str, object]:
    return {"labels": [{"label": name, "count": 1} for name in names], "total": len(names)}


@pytest.mark.parametrize("wide", [1280, 375])
def test_a_long_word_among_the_filters_widens_nothing(visit: Visit, sound: Path, wide: int) -> None:
    def stub(page: Page) -> None:
        page.route("**/v1/labels?*", lambda route: route.fulfill(json=label(WORD, "boat")))

    page = visit(prepare=stub, viewport={"width": wide, "height": 800})
    give(page, sound)
    wait_for_answer(page)
    before = page.locator(".ask").bounding_box()
    page.locator("#filters summary").click()
    chip = page.locator("#filters .chips label").last
    expect(chip).to_have_text(WORD)
    after = page.locator(".ask").bounding_box()
    box = chip.bounding_box()
    assert before is not None
    assert after is not None
    assert box is not None
    assert after["width"] == before["width"]
    assert box["x"] + box["width"] <= after["x"] + after["width"]
    assert width(page) <= wide


@pytest.mark.parametrize(("wide", "high"), [(640, 400), (812, 375), (375, 500)])
def test_the_viewer_opens_with_all_its_controls_in_sight(visit: Visit, image: Path, wide: int, high: int) -> None:
    page = visit(viewport={"width": wide, "height": high})
    give(page, image)
    wait_for_answer(page)
    viewer = page.locator("#viewer")
    page.locator("#pictures .tile").first.click()
    for name in ("Close", "Previous picture", "Next picture"):
        expect(viewer.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    expect(viewer.get_by_role("link", name="Search with this one")).to_be_in_viewport(ratio=1)
    # also where it has more to tell than has room
    viewer.evaluate("viewer => viewer.querySelector('dl').style.minHeight = '60rem'")
    viewer.evaluate("viewer => viewer.scrollTo(0, viewer.scrollHeight)")
    expect(viewer.get_by_role("button", name="Close")).to_be_in_viewport(ratio=1)


def test_large_letters_scroll_one_way(visit: Visit, long_sound: Path) -> None:
    """Twice the usual size on a phone's width."""
    page = visit(viewport={"width": 375, "height": 800})
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    expect(page.locator("#samples .tile")).to_have_count(8)
    assert width(page) <= 375
    give(page, long_sound)
    wait_for_answer(page)
    page.get_by_role("radio", name="by the catalogue's labels").check()
    for fold in ("#filters", "#addition"):
        page.locator(f"{fold} summary").click()
    expect(page.locator("#filters input").first).to_be_visible()
    assert width(page) <= 375
    narrow = "all => all.filter((one) => one.clientWidth < 48).map((one) => one.outerHTML)"
    assert page.locator("#pictures .caption .label, #given .label").evaluate_all(narrow) == []  # words have room, too
