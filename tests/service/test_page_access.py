"""The page for everyone: axe-core's rules, light and dark, right to left, still."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import httpx
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


@pytest.mark.parametrize(("scheme", "others"), [("light", ["dark", "light"]), ("dark", ["light", "dark"])])
def test_the_first_switch_of_colours_is_seen(visit: Visit, scheme: str, others: list[str]) -> None:
    page = visit(color_scheme=scheme)
    switch = page.locator("#theme")
    drawings = set()
    for name in ("as the system", *others):
        expect(switch).to_have_accessible_name(re.compile(f"^Colours: {name}. Change to "))
        assert (brightness(page) < 40) == ((scheme if name == "as the system" else name) == "dark")
        drawings.add(switch.locator("path").get_attribute("d"))
        switch.click()
    expect(switch).to_have_accessible_name(f"Colours: as the system. Change to {others[0]}")
    assert len(drawings) == 3


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


def test_what_is_chosen_shows_in_forced_colours(visit: Visit, image: Path) -> None:
    page = visit(forced_colors="active")
    give(page, image)
    wait_for_answer(page)
    page.locator("#filters summary").click()
    page.get_by_role("checkbox", name="boat").check()
    highlight = """() => {
        const sample = document.body.appendChild(document.createElement("i"));
        sample.style = "background: Highlight; forced-color-adjust: none";
        return getComputedStyle(sample).backgroundColor;
    }"""
    chosen = page.evaluate(highlight)
    colour = "one => getComputedStyle(one).backgroundColor"
    for place in (".chips", ".namer", ".steps"):
        assert page.locator(f"{place} :checked + span").evaluate(colour) == chosen
        assert page.locator(f"{place} :not(:checked) + span").first.evaluate(colour) != chosen
    assert page.locator("#classes .fill").first.evaluate(colour) == chosen


def test_headings_leave_out_no_level(visit: Visit, image: Path) -> None:
    page = visit(viewport=TABLET)  # where one of them is hidden
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#why")).to_be_visible()
    headings = "all => all.filter((one) => one.checkVisibility()).map((one) => Number(one.tagName[1]))"
    levels = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(headings)
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels)), levels


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


def heard(page: Page, within: str) -> list[str]:
    """The names of a place's controls as the browser tells them to a screen reader."""
    client = page.context.new_cdp_session(page)
    root = client.send("DOM.getDocument")["root"]["nodeId"]
    place = client.send("DOM.querySelector", {"nodeId": root, "selector": within})["nodeId"]
    names = []
    for node in client.send("DOM.querySelectorAll", {"nodeId": place, "selector": "button, input"})["nodeIds"]:
        (told,) = client.send("Accessibility.getPartialAXTree", {"nodeId": node, "fetchRelatives": False})["nodes"]
        names.append(told["name"]["value"])
    return names


def test_matches_of_one_name_are_told_apart(visit: Visit, long_sound: Path, http: httpx.Client) -> None:
    """Each control of a match says of which; no two words run together."""
    found = {}
    for target in ("image", "sound"):
        answer = http.post(
            f"/v1/search/{target}s?k=3&windows=true&explain=true", files={"sound": long_sound.read_bytes()}
        )
        found[target] = answer.json()
        (result,) = found[target]["results"]
        for item in [*result["hits"], *(one for slot in result["explanation"]["slots"] for one in slot["sounds"])]:
            item["label"] = "shopping cart"

    def stub(page: Page) -> None:
        page.route("**/v1/search/images?*", lambda route: route.fulfill(json=found["image"]))
        page.route("**/v1/search/sounds?*", lambda route: route.fulfill(json=found["sound"]))

    page = visit(prepare=stub)
    give(page, long_sound)
    wait_for_answer(page)
    (result,) = found["image"]["results"]
    score = f"{result['hits'][0]['score']:.2f}".replace("-", "−")
    assert heard(page, "#pictures ol")[0] == f"Open match 1 of 3: shopping cart, similarity {score}"
    for place in ("#pictures ol", "#sounds ol", "#why .slots", "#why .answers"):
        names = heard(page, place)
        assert len(names) > 2
        assert len(set(names)) == len(names), names
    assert "Play match 2 of 3: shopping cart" in heard(page, "#sounds ol")
    slot = result["explanation"]["slots"][0]["slot"]
    assert heard(page, "#why .slots")[0] == f"Play sound 1 near slot {slot}: shopping cart"
    page.reload()
    expect(page.locator("#samples .tile")).to_have_count(8)
    assert all(name.startswith("Find ") and ": " in name for name in heard(page, "#samples"))
