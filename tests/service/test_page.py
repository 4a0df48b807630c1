"""The web page in a real browser, on a real service."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.service.visit import PHONE, Visit, give, stub_model, wait_for_answer, width

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)


def test_says_what_it_is_and_what_it_holds(visit: Visit, service_url: str) -> None:
    model = httpx.get(f"{service_url}/v1/model").json()
    page = visit()
    expect(page.locator("h1")).to_have_text("A sound finds pictures. A picture finds sounds.")
    expect(page.locator("#about")).to_contain_text(model["name"])
    expect(page.locator("#about")).to_contain_text("30 pictures · 30 sounds")
    expect(page.locator("#problem")).to_be_hidden()


def test_a_sound_finds_pictures(visit: Visit, sound: Path) -> None:
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    expect(page.locator("#pictures .tile")).to_have_count(12)
    expect(page.locator("#given .player")).to_be_visible()
    expect(page.locator("#given")).to_contain_text(sound.name)
    first = page.locator("#pictures .tile img").first
    page.wait_for_function("picture => picture.complete && picture.naturalWidth > 0", arg=first.element_handle())
    scores = [float(text.replace("−", "-")) for text in page.locator("#pictures .score").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)


def test_an_image_finds_sounds_and_its_class(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")
    expect(page.locator("#sounds .player")).to_have_count(12)
    # what the other sense finds stands first
    assert page.locator(".found h2").first.inner_text() == "Sounds for this picture"
    bars = page.locator("#classes li")
    expect(bars).to_have_count(5)
    page.get_by_role("button", name="Show all 10").click()
    expect(bars).to_have_count(10)
    shares = [float(text.rstrip(" %").lstrip("< ")) for text in page.locator("#classes .percent").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert abs(sum(shares) - 100) <= 0.5 * 10  # each is rounded to a whole one


def test_one_sound_plays_at_a_time(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    buttons = page.locator("#sounds .play")
    for number in (0, 1):
        buttons.nth(number).click()
        expect(buttons.nth(number)).to_have_attribute("data-runs", "true")
        expect(page.locator("#sounds .play[data-runs=true]")).to_have_count(1)
    give(page, image)
    expect(page.locator(".play[data-runs=true]")).to_have_count(0)


def test_a_player_seeks(visit: Visit, sound: Path) -> None:
    page = visit()
    give(page, sound)
    position = page.get_by_role("slider", name=f"Position in {sound.name}")
    position.evaluate("range => { range.value = 0.5; range.dispatchEvent(new Event('input')); }")
    time = page.locator("#given .time")
    expect(time).to_have_text(re.compile(r"^(?!0\.0 s).+ / .+"))  # before, it tells the length alone
    at, length = (float(text.removesuffix(" s")) for text in time.inner_text().split(" / "))
    assert at == pytest.approx(length / 2, abs=0.11)


def test_the_viewer_pivots(visit: Visit, sound: Path) -> None:
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    page.locator("#pictures .tile").nth(1).click()
    viewer = page.locator("#viewer")
    expect(viewer.locator(".place")).to_have_text("2 of 12")
    page.keyboard.press("ArrowLeft")
    expect(viewer.locator(".place")).to_have_text("1 of 12")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(page.locator("#pictures .tile").nth(1)).to_be_focused()

    page.locator("#pictures .tile").first.click()
    link = viewer.locator(".stage img").get_attribute("src")
    viewer.get_by_role("link", name="Search with this one").click()
    expect(viewer).to_be_hidden()
    expect(page.locator("#given")).to_contain_text("from the catalogue")
    expect(page.locator("#pictures-title")).to_have_text("Pictures like it")
    wait_for_answer(page)
    expect(page.locator("#pictures .tile")).to_have_count(12)
    thumbnails = page.locator("#pictures .tile img").evaluate_all("all => all.map(one => one.getAttribute('src'))")
    assert link
    assert link.replace("content", "thumbnail") not in thumbnails  # it would find itself


def test_how_many_matches(visit: Visit, sound: Path) -> None:
    page = visit()
    give(page, sound)
    wait_for_answer(page)
    page.get_by_role("radio", name="24").check()
    expect(page.locator("#pictures .tile")).to_have_count(24)
    page.get_by_role("radio", name="24").press("ArrowLeft")
    expect(page.locator("#pictures .tile")).to_have_count(12)


def test_several_files(visit: Visit, sound: Path, image: Path) -> None:
    page = visit()
    give(page, sound, image)
    wait_for_answer(page)
    expect(page.locator("#given")).to_contain_text(sound.name)
    page.get_by_role("button", name=image.name).click()
    expect(page.locator("#sounds-title")).to_have_text("Sounds for this picture")


def test_many_files_leave_room_for_the_answer(visit: Visit, sound: Path, tmp_path: Path) -> None:
    """A few are listed, by names of which the ends show: those of one recorder begin alike."""
    files = [tmp_path / f"field-recording-of-a-long-summer-{number:03d}.wav" for number in range(17)]
    for file in files:
        shutil.copy(sound, file)
    page = visit(viewport={"width": 375, "height": 812})
    give(page, *files)
    wait_for_answer(page)
    buttons = page.locator("#queue button")
    expect(buttons).to_have_count(7)
    expect(buttons.first).to_have_text("field-recordi…mmer-000.wav")
    expect(buttons.first).to_have_accessible_name(files[0].name)
    expect(buttons.first).to_have_attribute("title", files[0].name)
    page.get_by_role("button", name="11 more").press("Enter")
    expect(buttons).to_have_count(17)
    expect(buttons.nth(6)).to_be_focused()
    assert len(set(buttons.all_inner_texts())) == 17
    buttons.last.click()
    expect(page.locator("#given")).to_contain_text(files[-1].name)
    assert width(page) <= 375


def test_a_new_question_cancels_the_older(visit: Visit, sound: Path, image: Path) -> None:
    held: list[Route] = []
    cancelled: list[str] = []
    page = visit()
    page.on("requestfailed", lambda request: cancelled.append(request.url))
    page.route("**/v1/search/images?*", lambda route: held.append(route), times=1)
    give(page, sound)
    expect(page.locator("#pictures .waiting")).to_have_count(12)
    give(page, image)
    wait_for_answer(page)
    assert len(held) == 1
    assert held[0].request.url in cancelled
    expect(page.locator("#pictures-title")).to_have_text("Pictures like it")
    expect(page.locator("#pictures .tile")).to_have_count(12)


def test_a_dropped_and_a_pasted_file(visit: Visit, sound: Path, image: Path) -> None:
    page = visit()
    for kind, field, file in (("drop", "dataTransfer", sound), ("paste", "clipboardData", image)):
        page.evaluate(
            """([kind, field, name, bytes]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(bytes)], name));
                const options = { bubbles: true, cancelable: true, [field]: transfer };
                const event = kind === "drop" ? new DragEvent(kind, options) : new ClipboardEvent(kind, options);
                document.body.dispatchEvent(event);
            }""",
            [kind, field, file.name, list(file.read_bytes())],
        )
        expect(page.locator("#given")).to_contain_text(file.name)
        wait_for_answer(page)


def test_a_picture_is_taken_with_a_phone(visit: Visit, image: Path) -> None:
    """The camera that looks away from the visitor, and pictures alone; a desktop has the one file dialog."""
    expect(visit().get_by_text("Take a picture")).to_be_hidden()
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    camera = page.get_by_label("Take a picture")
    expect(camera).to_have_attribute("capture", "environment")
    expect(camera).to_have_attribute("accept", "image/*")
    with page.expect_file_chooser() as chosen:
        page.get_by_text("Take a picture").tap()
    chosen.value.set_files(image)
    wait_for_answer(page)
    expect(page.locator("#given img")).to_have_attribute("alt", f"Your picture: {image.name}")
    expect(page.locator("#sounds .player")).to_have_count(12)
    expect(page.get_by_text("Take a picture")).to_be_in_viewport()  # the next one is at hand


def test_a_file_of_another_kind(visit: Visit, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("neither seen nor heard")
    page = visit()
    give(page, text)
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is of another kind")


def test_a_file_that_only_seems_a_picture(visit: Visit, tmp_path: Path, image: Path) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("not a picture at all")
    page = visit()
    give(page, text)
    expect(page.get_by_role("alert")).to_contain_text("notes.jpg is not an image that can be read")
    expect(page.locator(".found:visible")).to_have_count(0)
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#problem")).to_be_hidden()


def test_a_large_file_is_refused_unsent(visit: Visit, service_url: str, sound: Path) -> None:
    sent: list[str] = []
    page = visit(prepare=stub_model(service_url, limits={"upload_bytes": 50_000.0, "k": 1000.0}))
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    give(page, sound)
    expect(page.get_by_role("alert")).to_contain_text("this service takes 50 kB")
    assert sent == []


def test_an_unreachable_service(visit: Visit) -> None:
    page = visit(prepare=lambda page: page.route("**/v1/model", lambda route: route.abort()))
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#about")).to_contain_text("30 pictures")
    expect(page.locator("#problem")).to_be_hidden()


def test_a_service_without_a_catalogue(visit: Visit, service_url: str, image: Path) -> None:
    page = visit(prepare=stub_model(service_url, catalogue=None))
    expect(page.locator("#problem")).to_contain_text("no pictures and sounds to find")
    give(page, image)
    expect(page.locator("#classes li")).to_have_count(5)
    expect(page.locator("#problem")).to_contain_text("No catalogue to search")
    expect(page.locator(".found:visible")).to_have_count(0)


def test_an_empty_catalogue_and_no_classes(visit: Visit, service_url: str, image: Path) -> None:
    page = visit(prepare=stub_model(service_url, catalogue={"images": 30, "sounds": 0}, classes={}))
    give(page, image)
    wait_for_answer(page)
    expect(page.locator("#sounds .note")).to_have_text("The catalogue holds no sounds yet.")
    expect(page.locator("#pictures .tile")).to_have_count(12)
    # a model that was taught no classes names by the catalogue's labels
    expect(page.locator("#classes li")).to_have_count(5)
    expect(page.locator("#classes .namer")).to_be_hidden()


def test_labels_are_text(visit: Visit, http: httpx.Client, sound: Path) -> None:
    hostile = "<img src=x onerror=document.title='run'>"
    found = http.post("/v1/search/images?k=3", files={"sound": sound.read_bytes()}).json()
    for hit in found["results"][0]["hits"]:
        hit.update(label=hostile, metadata={"note": hostile}, tags=[hostile])
    page = visit(prepare=lambda page: page.route("**/v1/search/images?*", lambda route: route.fulfill(json=found)))
    give(page, sound)
    wait_for_answer(page)
    expect(page.locator("#pictures .label").first).to_have_text(hostile)
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#viewer-title")).to_have_text(hostile)
    assert page.title() == f"{sound.name} · BMA-Memory"


def test_samples_to_begin_with(visit: Visit) -> None:
    page = visit()
    samples = page.locator("#samples .tile")
    expect(samples).to_have_count(8)
    page.get_by_role("link", name="Find pictures for this sound").first.click()
    expect(page.locator("#pictures-title")).to_have_text("Pictures for this sound")
    wait_for_answer(page)
    expect(page.locator("#given")).to_be_focused()
    expect(samples.first).to_be_hidden()


def test_dark_and_light(visit: Visit, image: Path) -> None:
    backgrounds = {}
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme)
        give(page, image)
        wait_for_answer(page)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        backgrounds[scheme] = sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")) / 3
    assert backgrounds["dark"] < 40
    assert backgrounds["light"] > 220


def test_a_phone_scrolls_one_way(visit: Visit, image: Path) -> None:
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    expect(page.locator("#about")).to_contain_text("30 pictures")
    assert width(page) <= PHONE["width"]
    give(page, image)
    wait_for_answer(page)
    assert width(page) <= PHONE["width"]
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    box = page.locator("#viewer").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]


def test_everything_has_a_name(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    page.locator("#pictures .tile").first.click()
    nameless = """elements => elements.filter((element) => {
        const labels = [...(element.labels ?? [])].map((label) => label.textContent);
        return ![element.getAttribute("aria-label"), element.textContent, ...labels].some((text) => text?.trim());
    }).map((element) => element.outerHTML)"""
    controls = page.locator("button, input, a")
    assert controls.count() > 40
    assert controls.evaluate_all(nameless) == []
    assert page.locator("img:not([alt])").count() == 0


def test_docs(visit: Visit) -> None:
    """Under the same watch: Swagger UI comes from the service itself."""
    page = visit("/docs")
    expect(page.locator("#operations-queries-search_images_v1_search_images_post")).to_be_visible()
    page.locator("#operations-status-healthz_healthz_get button").first.click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".responses-table.live-responses-table")).to_contain_text('"status": "ok"')
