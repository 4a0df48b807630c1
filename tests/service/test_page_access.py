"""The page for everyone: axe-core's rules, light and dark, right to left, still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.service.visit import TABLET, Visit, give, wait_for_answer, width

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)

AXE = Path(__file__).parent / "axe" / "axe.min.js"


def faults(page: Page) -> list[str]:
    """What axe-core finds serious or critical."""
    found: dict[str, Any] = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(
    visit: Visit, sound: Path, image: Path, tmp_path: Path, service_url: str, scheme: str
) -> None:
    page = visit(scripts=(AXE,), color_scheme=scheme)
    expect(page.locator("#samples .tile")).to_have_count(8)
    assert faults(page) == []
    give(page, sound)
    wait_for_answer(page)
    expect(page.locator("#addition")).to_be_visible()
    assert faults(page) == []
    page.locator("#filters summary").click()
    expect(page.locator("#filters input").first).to_be_visible()
    page.locator("#addition summary").click()
    assert faults(page) == []
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    page.locator("#viewer .delete").click()
    assert faults(page) == []
    page.keyboard.press("Escape")
    give(page, image)
    wait_for_answer(page)
    page.get_by_role("radio", name="by the catalogue's labels").check()
    expect(page.locator("#only")).to_be_visible()
    assert faults(page) == []
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    give(page, bad)
    expect(page.get_by_role("alert")).to_be_visible()
    assert faults(page) == []


def test_axe_finds_no_serious_fault_when_busy_recording_or_locked(visit: Visit, sound: Path) -> None:
    busy = {"title": "Busy", "status": 503, "detail": "Later."}
    page = visit(scripts=(AXE,), permissions=["microphone"])
    page.get_by_role("button", name="Record a sound").click()
    expect(page.get_by_role("button", name="Stop and search")).to_be_visible()
    assert faults(page) == []
    page.locator("#recording").get_by_role("button", name="Cancel").click()
    answer = {"status": 503, "headers": {"retry-after": "30"}, "json": busy}
    page.route("**/v1/search/**", lambda route: route.fulfill(**answer))
    give(page, sound)
    expect(page.locator("#busy")).to_be_visible()
    assert faults(page) == []
    page.unroute_all()

    def lock(page: Page) -> None:
        def refuse(route: Route) -> None:
            route.fulfill(status=401, json={"title": "Locked", "status": 401, "detail": "A key."})

        page.route("**/v1/**", refuse)

    page = visit(scripts=(AXE,), prepare=lock)
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults(page) == []


def test_right_to_left(visit: Visit, sound: Path) -> None:
    page = visit(viewport=TABLET)
    page.evaluate("document.documentElement.dir = 'rtl'")
    give(page, sound)
    wait_for_answer(page)
    assert width(page) <= TABLET["width"]
    # the left edge is the end now: nothing may stick out there
    outside = """() => [...document.querySelectorAll("main *")]
        .filter((one) => one.getClientRects().length && one.getBoundingClientRect().left < -1)
        .map((one) => one.outerHTML.slice(0, 120))"""
    assert page.evaluate(outside) == []


def brightness(page: Page) -> float:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")) / 3


def test_the_switch_of_colours(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    switch = page.get_by_role("button", name="Colours: as the system")
    assert brightness(page) < 40
    switch.click()
    expect(page.get_by_role("button", name="Colours: light")).to_be_visible()
    assert brightness(page) > 220
    page.reload()
    assert brightness(page) > 220  # it is remembered
    page.get_by_role("button", name="Colours: light").click()
    assert brightness(page) < 40
    page.get_by_role("button", name="Colours: dark").click()
    expect(page.get_by_role("button", name="Colours: as the system")).to_be_visible()
    assert brightness(page) < 40


def test_reduced_motion(visit: Visit, sound: Path) -> None:
    page = visit(reduced_motion="reduce")
    give(page, sound)
    wait_for_answer(page)
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    assert page.evaluate(moving) == 0


def test_waiting_takes_the_room_of_what_comes(visit: Visit, sound: Path) -> None:
    """What stands below a list stays where it is when the list arrives."""
    held: list[Route] = []
    page = visit(viewport={"width": 1440, "height": 2000})
    page.route("**/v1/search/images?*", lambda route: held.append(route), times=1)
    give(page, sound)
    expect(page.locator("#pictures .waiting")).to_have_count(12)
    before = page.locator("#pictures ol").bounding_box()
    held[0].continue_()
    wait_for_answer(page)
    after = page.locator("#pictures ol").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["height"] - after["height"]) < 2
    assert before["y"] == after["y"]
