"""What the page makes of an answer: the explanation, filters, labels that nobody trained."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.service.visit import PHONE, Visit, give, wait_for_answer, width

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)


def filter_of(request: Request) -> dict[str, object]:
    (text,) = parse_qs(urlsplit(request.url).query).get("filter", ["{}"])
    found: dict[str, object] = json.loads(text)
    return found


def test_the_explanation(visit: Visit, sound: Path) -> None:
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    why = page.get_by_role("region", name="How the memory linked them")
    slots = why.locator(".slots > li")
    expect(slots).to_have_count(5)
    expect(why.locator(".story")).to_contain_text("The model remembers 24 pairs of impressions, called slots")
    weights = [float(text.split()[1]) for text in why.locator(".weight > span:nth-child(2)").all_inner_texts()]
    assert weights == sorted(weights, reverse=True)
    for number in range(5):
        expect(slots.nth(number).get_by_role("group", name="Sounds near it").locator("img")).to_have_count(3)
        expect(slots.nth(number).get_by_role("group", name="Pictures near it").locator("img")).to_have_count(3)
        expect(slots.nth(number).locator(".effect")).to_contain_text("0")
    # a slot's sound plays
    chime = slots.first.locator(".chime").first
    chime.click()
    expect(chime).to_have_attribute("data-runs", "true")
    # another answer has effects of its own
    answers = why.get_by_role("radio")
    expect(answers).to_have_count(5)
    answers.last.check()
    expect(page.locator("#why-sum")).to_contain_text("% for ")


def test_the_explanation_is_what_the_api_says(visit: Visit, http: httpx.Client, sound: Path) -> None:
    told = http.post("/v1/search/images?k=12&explain=true&windows=true", files={"sound": sound.read_bytes()}).json()
    (result,) = told["results"]
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    names = page.locator("#why .weight h3")
    expect(names).to_have_text([f"Slot {slot['slot']}" for slot in result["explanation"]["slots"]])


def test_a_model_without_a_memory(visit: Visit, sound: Path) -> None:
    """The search is asked once more, without."""
    problem = {"type": "urn:bma:problem:no-memory", "title": "The model has no memory", "status": 409, "detail": "No."}

    def refuse(route: Route) -> None:
        if "explain=true" in route.request.url:
            route.fulfill(status=409, json=problem)
        else:
            route.fallback()

    page = visit(prepare=lambda page: page.route("**/v1/**", refuse))
    give(page, sound)
    wait_for_answer(page)
    expect(page.locator("#pictures .tile")).to_have_count(12)
    expect(page.locator("#classes li")).to_have_count(5)
    expect(page.locator("#classes .percent").first).to_contain_text("%")
    expect(page.locator("#why")).to_be_hidden()
    expect(page.locator("#problem")).to_be_hidden()


def test_a_filter_by_label(visit: Visit, sound: Path) -> None:
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    page.locator("#filters summary").click()
    with page.expect_request(lambda request: "filter=" in request.url and "images" in request.url) as asked:
        page.get_by_role("checkbox", name="boat").check()
    assert filter_of(asked.value) == {"label": ["boat"]}
    expect(page.locator("#pictures .tile")).to_have_count(3)
    assert set(page.locator("#pictures .label").all_inner_texts()) == {"boat"}
    expect(page.locator("#filters .sum")).to_have_text("1 chosen")
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#pictures .tile")).to_have_count(12)


def test_a_filter_that_leaves_nothing_leaves_no_seconds(visit: Visit, long_sound: Path) -> None:
    page = visit()
    give(page, long_sound)
    wait_for_answer(page)
    moment, track = page.locator("#given .moment"), page.locator("#given .track")
    expect(moment).to_contain_text("the best is")
    none = {
        "model": "m",
        "results": [{"name": "n", "hits": [], "windows": [{"start": 0, "end": 4}, {"start": 4, "end": 8}]}],
    }
    page.route("**/v1/search/**", lambda route: route.fulfill(json=none))
    page.locator("#filters summary").click()
    boat = page.get_by_role("checkbox", name="boat")
    boat.check()
    expect(page.locator("#pictures .note")).to_have_text("No picture was found among those that the filter leaves.")
    expect(moment).to_be_hidden()
    expect(track).to_be_hidden()
    page.unroute_all()
    boat.uncheck()
    expect(moment).to_contain_text("the best is")
    expect(track).to_be_visible()


def test_filters_by_tag_and_field(visit: Visit, sound: Path) -> None:
    def stub(page: Page) -> None:
        def answer(route: Route) -> None:
            items = route.fetch().json()["items"]
            for number, item in enumerate(items):
                item.update(
                    tags=["park"] if number % 2 else [], metadata={"year": 1990 + number, "dry": number % 3 == 0}
                )
            route.fulfill(json={"items": items, "cursor": None})

        page.route("**/v1/items?*", answer)

    page = visit(prepare=stub)
    give(page, sound)
    wait_for_answer(page)
    page.locator("#filters summary").click()
    changes = (
        (lambda: page.get_by_role("checkbox", name="park").check(), {"tags": ["park"]}),
        (lambda: page.get_by_role("combobox", name="dry").select_option("true"), {"metadata": {"dry": True}}),
        (lambda: page.get_by_label("year from").fill("2000"), {"metadata": {"dry": True, "year": {"gte": 2000}}}),
    )
    for change, expected in changes:
        with page.expect_request(lambda request: "filter=" in request.url) as asked:
            change()
            page.keyboard.press("Tab")
        assert filter_of(asked.value) == {"tags": ["park"], **expected}
    expect(page.locator("#pictures .note")).to_have_text("No picture was found among those that the filter leaves.")
    expect(page.locator("#filters .sum")).to_have_text("3 chosen")


def test_labels_are_offered_before_items_are_read(visit: Visit, sound: Path) -> None:
    held: list[Route] = []
    named = {"labels": [{"label": label, "count": 1} for label in ("zebra", "ant")], "total": 900}
    page = visit(prepare=lambda page: page.route("**/v1/labels?*", lambda route: route.fulfill(json=named)))
    page.route("**/v1/items?limit=1000*", lambda route: held.append(route))
    give(page, sound)
    wait_for_answer(page)
    page.locator("#filters summary").click()
    chips = page.locator("#filters .chips label")
    expect(chips).to_have_text(["ant", "zebra"])
    expect(page.locator("#filters .note")).to_have_text("Looking through the catalogue…")
    page.get_by_role("checkbox", name="zebra").check()
    held.pop().continue_()
    expect(page.locator("#filters .note")).to_have_text("It has many labels; the 2 most frequent are listed.")
    expect(page.get_by_role("checkbox", name="zebra")).to_be_checked()
    page.locator("#addition summary").click()
    expect(page.locator("#known-labels option")).to_have_count(2)


def test_labels_that_nobody_trained(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    with page.expect_response("**/v1/classify?labels=*") as answered:
        page.get_by_role("radio", name="by the catalogue's labels").check()
    classes = answered.value.json()["results"][0]["classes"]
    expect(page.locator("#classes .label").first).to_have_text(classes[0]["label"])
    only = page.get_by_label("Only these labels")
    only.fill("train, boat")
    only.press("Enter")
    expect(page.locator("#classes li")).to_have_count(2)
    only.fill("zeppelin")
    only.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("zeppelin")
    only.fill("")
    page.get_by_role("radio", name="by training").check()
    expect(page.locator("#classes li")).to_have_count(5)


def test_labels_are_offered_and_their_case_is_the_catalogues(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    page.get_by_role("radio", name="by the catalogue's labels").check()
    only = page.get_by_label("Only these labels")
    offered = page.locator("#only-known option")
    only.focus()
    expect(offered).to_have_count(10)
    expect(offered.first).to_have_attribute("value", "boat")
    only.fill("Boat, TRAIN, ")
    expect(offered.first).to_have_attribute("value", "Boat, TRAIN, boat")
    only.press("Enter")
    expect(page.locator("#classes li")).to_have_count(2)
    assert set(page.locator("#classes .label").all_inner_texts()) == {"boat", "train"}


def test_what_no_label_fits_hides_no_match(visit: Visit, sound: Path, image: Path, tmp_path: Path) -> None:
    """The searches go on, the field and the switch stay, and what is wrong with a file is said all the same."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    page = visit()
    give(page, image)
    wait_for_answer(page)
    page.get_by_role("radio", name="by the catalogue's labels").check()
    only = page.get_by_label("Only these labels")
    only.fill("boats, trian")
    only.press("Enter")
    trouble = page.locator("#classes").get_by_role("alert")
    missing = "No item of the catalogue has the label 'boats'; Filter lists those that there are."
    expect(trouble).to_have_text(missing)
    expect(page.locator("#classes li")).to_have_count(0)
    expect(page.locator("#pictures .tile")).to_have_count(12)
    expect(page.locator("#problem")).to_be_hidden()
    give(page, sound)
    wait_for_answer(page)
    expect(trouble).to_have_text(missing)
    expect(page.locator("#pictures .tile")).to_have_count(12)
    give(page, bad)
    expect(page.get_by_role("alert")).to_contain_text("bad.jpg is not an image that can be read")
    give(page, image)
    wait_for_answer(page)
    only.fill("boat, train")
    only.press("Enter")
    expect(page.locator("#classes li")).to_have_count(2)
    expect(trouble).to_be_hidden()
    page.get_by_role("radio", name="by training").check()
    expect(page.locator("#classes li")).to_have_count(5)


def test_classes_that_fail_to_come_are_asked_for_again(visit: Visit, sound: Path) -> None:
    page = visit(prepare=lambda page: page.route("**/v1/classify?*", lambda route: route.abort()))
    give(page, sound)
    wait_for_answer(page)
    expect(page.locator("#pictures .tile")).to_have_count(12)
    trouble = page.locator("#classes").get_by_role("alert")
    expect(trouble).to_contain_text("Check that it is running")
    page.unroute_all()
    trouble.get_by_role("button", name="Try again").click()
    expect(page.locator("#classes .percent")).to_have_count(5)
    expect(page.locator("#classes .percent").first).to_contain_text("%")
    expect(trouble).to_be_hidden()
    expect(page.get_by_role("radio", name="the class")).to_have_count(1)  # the explanation has it too


def test_who_names_last_is_who_named(visit: Visit, image: Path) -> None:
    """Also where the answer before comes after it; and the explanation is of the same class."""
    held: list[Route] = []
    page = visit()
    page.route("**/v1/classify?explain=true", lambda route: held.append(route), times=1)
    give(page, image)
    expect(page.locator("#sounds .player")).to_have_count(12)
    page.get_by_role("radio", name="by the catalogue's labels").check()
    share = page.locator("#classes .percent").first
    expect(share).to_contain_text("%")
    by_labels = share.inner_text()
    named = page.locator("#why .answers .class")
    expect(named).to_have_text(by_labels)
    held[0].continue_()
    page.get_by_role("radio", name="by training").check()
    expect(share).not_to_have_text(by_labels)
    expect(named).to_have_text(share.inner_text())


def test_what_is_there_goes_when_something_else_is_asked(visit: Visit, sound: Path, image: Path) -> None:
    """And stays, dimmed, where the same is asked among other items."""
    held: list[Route] = []
    page = visit()
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#why")).to_be_visible()
    page.route("**/v1/search/**", lambda route: held.append(route))
    page.get_by_role("radio", name="24").check()
    expect(page.locator("#pictures")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#pictures .tile")).to_have_count(12)
    expect(page.locator("#why")).to_be_visible()
    give(page, sound)
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    expect(page.locator(".found [data-id]")).to_have_count(0)
    expect(page.locator(".found .waiting")).to_have_count(24)
    expect(page.locator("#why")).to_be_hidden()
    for route in held[2:]:
        route.continue_()
    wait_for_answer(page)
    expect(page.locator("#why")).to_be_visible()


def test_many_hits_with_long_labels(visit: Visit, http: httpx.Client, sound: Path) -> None:
    found = http.post("/v1/search/images?k=1&explain=true&windows=true", files={"sound": sound.read_bytes()}).json()
    (result,) = found["results"]
    (hit,) = result["hits"]
    label = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen " * 4
    result["hits"] = [{**hit, "id": f"hit-{number}", "label": label, "tags": [label]} for number in range(64)]
    for slot in result["explanation"]["slots"]:
        for item in [*slot["images"], *slot["sounds"]]:
            item["label"] = label
    page = visit(
        prepare=lambda page: page.route("**/v1/search/images?*", lambda route: route.fulfill(json=found)),
        viewport=PHONE,
        has_touch=True,
        is_mobile=True,
    )
    give(page, sound)
    wait_for_answer(page)
    page.get_by_role("radio", name="64").check()
    expect(page.locator("#pictures .tile")).to_have_count(64)
    assert width(page) <= PHONE["width"]
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    assert width(page) <= PHONE["width"]
