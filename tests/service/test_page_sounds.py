"""Sounds on the page: recorded, drawn, played, and which of their seconds matched."""

from __future__ import annotations

import itertools
import re
import wave
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from service.indexing import build_catalogue
from service.limits import Limits
from tests.service.conftest import Serving
from tests.service.test_page_catalogue import url_of
from tests.service.visit import PHONE, Visit, give, stub_model, wait_for_answer
from training.model.embedder import Embedder

pytestmark = pytest.mark.browser
pytest_plugins = ("tests.service.browser",)

# How many different colours a canvas shows, one pixel of every seven.
COLOURS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let at = 0; at < data.length; at += 28) seen.add(data.slice(at, at + 4).join());
    return seen.size;
}"""


def drawn(page: Page, selector: str) -> None:
    expect(page.locator(selector)).to_have_attribute("data-drawn", "true")
    colours: int = page.locator(selector).evaluate(COLOURS)
    assert colours > 50


def deafen(page: Page) -> None:
    page.add_init_script("OfflineAudioContext.prototype.decodeAudioData = async () => { throw new Error('no'); }")


def test_records_and_searches(visit: Visit) -> None:
    page = visit(permissions=["microphone"])
    page.get_by_role("button", name="Record a sound").click()
    expect(page.locator("#recording")).to_contain_text("Recording")
    stop = page.get_by_role("button", name="Stop and search")
    expect(stop).to_be_focused()
    expect(page.locator("#recording .clock")).to_have_text(re.compile(r"^[1-9]"))
    stop.click()
    wait_for_answer(page)
    expect(page.locator("#given")).to_contain_text("recording.")
    expect(page.locator("#recording")).to_be_hidden()
    expect(page.locator("#pictures .tile")).to_have_count(12)
    drawn(page, "#given .spectrum")
    expect(page.locator("#given .time")).to_have_text(re.compile(r"^\d"))  # though the file itself does not tell


def test_nothing_plays_into_a_recording(visit: Visit, image: Path) -> None:
    page = visit(permissions=["microphone"])
    give(page, image)
    wait_for_answer(page)
    play = page.locator("#sounds .play").first
    play.click()
    expect(play).to_have_attribute("data-runs", "true")
    page.get_by_role("button", name="Record a sound").click()
    expect(page.locator("#recording")).to_be_visible()
    expect(play).to_have_attribute("data-runs", "false", timeout=500)  # it would end by itself


def test_a_recording_can_be_dropped(visit: Visit) -> None:
    page = visit(permissions=["microphone"])
    record = page.get_by_role("button", name="Record a sound")
    record.click()
    page.locator("#recording").get_by_role("button", name="Cancel").click()
    expect(page.locator("#recording")).to_be_hidden()
    expect(record).to_be_focused()
    expect(page.locator("#given")).to_be_hidden()


def test_no_microphone(visit: Visit) -> None:
    def refuse(page: Page) -> None:
        page.add_init_script(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }"
        )

    page = visit(prepare=refuse)
    page.get_by_role("button", name="Record a sound").click()
    expect(page.get_by_role("alert")).to_contain_text("The microphone is not allowed")


def test_which_seconds_matched(visit: Visit, long_sound: Path) -> None:
    page = visit()
    give(page, long_sound)
    wait_for_answer(page)
    drawn(page, "#given .spectrum")
    moment = page.locator("#given .moment")
    expect(moment).to_contain_text("windows, brighter where they match better")
    chips = page.locator("#pictures .when")
    expect(chips).to_have_count(12)
    # what is pointed at is what the windows are told of
    last = page.locator("#pictures > ol > li").last
    last.hover()
    when = last.locator(".when").inner_text()
    expect(moment.get_by_role("button")).to_have_text(f"Play {when}")
    end = float(when.split("–")[1].removesuffix(" s"))
    moment.get_by_role("button").click()
    position = page.locator("#given input[type=range]").element_handle()
    said = "parseFloat(range.getAttribute('aria-valuetext'))"  # "3.2 of 17.5 seconds"
    page.wait_for_function(f"([range, end]) => {said} > end - 0.3", arg=[position, end])
    expect(page.locator("#given .play")).to_have_attribute("data-runs", "false")  # it stops where the window ends
    assert position.evaluate(f"range => {said}") < end + 1


def test_what_is_heard_when(visit: Visit, http: httpx.Client, long_sound: Path) -> None:
    """Windows in a row that have the same class are one; their widths are their seconds."""
    page = visit()
    give(page, long_sound)
    parts = page.get_by_role("list", name="What is heard when").get_by_role("listitem")
    seen = []
    for chosen in ({}, {"labels": "*"}):
        if chosen:
            page.get_by_role("radio", name="by the catalogue's labels").check()
        parameters = {"windows": "true", **chosen}
        answer = http.post("/v1/classify", files={"sound": long_sound.read_bytes()}, params=parameters)
        windows = answer.json()["results"][0]["windows"]
        runs = [list(run) for _, run in itertools.groupby(windows, lambda window: window["classes"][0]["label"])]
        told = [f"{run[0]['start']:g}–{round(run[-1]['end'], 1):g} s: {run[0]['classes'][0]['label']}" for run in runs]
        expect(parts).to_have_text(told)
        seen.append((len(runs), len(windows)))
        wide: list[float] = parts.evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
        shares = [run[-1]["end"] - run[0]["start"] for run in runs]
        assert [one / sum(wide) for one in wide] == pytest.approx([one / sum(shares) for one in shares], abs=0.01)
    assert any(1 < runs < windows for runs, windows in seen)


@pytest.mark.parametrize("many", [16, 135])
def test_what_is_heard_can_be_read(visit: Visit, long_sound: Path, many: int) -> None:
    """However narrow the parts of the strip: the legend names their classes, those heard longest first."""
    labels = ["train", "shopping cart", "boat", "train", "drill"]
    windows = [
        {"start": 2 * at, "end": 2 * at + 2, "classes": [{"label": labels[at % 5], "probability": 0.5}]}
        for at in range(many)
    ]
    answer = {"results": [{"classes": windows[0]["classes"], "windows": windows}]}
    page = visit(
        prepare=lambda page: page.route("**/v1/classify?*", lambda route: route.fulfill(json=answer)), viewport=PHONE
    )
    give(page, long_sound)
    wait_for_answer(page)
    legend = page.get_by_role("list", name="Its classes").get_by_role("listitem")
    expect(legend).to_have_count(3)
    parts = -(-many // 5) + (many + 1) // 5
    expect(legend.first).to_have_text(f"train{2 * parts} s in {parts} parts")
    page.get_by_role("button", name="Show all 4").press("Enter")
    expect(legend.locator(".label")).to_have_text(["train", "shopping cart", "boat", "drill"])
    expect(page.locator("#given .legend")).to_be_focused()
    strip = page.locator("#given .heard li")
    expect(strip).to_have_count(many)
    numbers = strip.evaluate_all("all => all.map(one => one.dataset.number)")
    assert numbers[:5] == ["1", "2", "3", "1", "4"]
    colour = "one => getComputedStyle(one).backgroundColor"
    colours = [legend.locator(".mark").nth(row).evaluate(colour) for row in range(4)]
    assert len(set(colours)) == 4
    assert [strip.nth(at).evaluate(colour) for at in range(5)] == [colours[int(one) - 1] for one in numbers[:5]]
    assert strip.evaluate_all("all => Math.min(...all.map(one => one.getBoundingClientRect().width))") > 1


def test_the_legend_takes_no_more_room_than_its_rows(visit: Visit, long_sound: Path) -> None:
    windows = [
        {"start": 2 * at, "end": 2 * at + 2, "classes": [{"label": "train", "probability": 0.5}]} for at in range(6)
    ]
    answer = {"results": [{"classes": windows[0]["classes"], "windows": windows}]}
    page = visit(prepare=lambda page: page.route("**/v1/classify?*", lambda route: route.fulfill(json=answer)))
    give(page, long_sound)
    wait_for_answer(page)
    legend = page.locator("#given .legend")
    rows = "legend => [legend.getBoundingClientRect().bottom, legend.lastElementChild.getBoundingClientRect().bottom]"
    expect(legend.get_by_role("listitem")).to_have_count(1)
    whole, last = legend.evaluate(rows)
    assert abs(whole - last) < 1


def test_a_sound_of_one_window_has_no_seconds_to_choose(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "short.wav"
    with wave.open(str(file), "wb") as short:
        short.setparams((1, 2, 22050, 0, "NONE", ""))
        short.writeframes(bytes(range(256)) * 100)
    page = visit()
    give(page, file)
    wait_for_answer(page)
    expect(page.locator("#given .moment")).to_be_hidden()
    expect(page.locator("#given .heard")).to_be_hidden()
    expect(page.locator(".when")).to_have_count(0)


@pytest.mark.parametrize("catalogue", [None, {"images": 0, "sounds": 0}])
def test_no_room_is_kept_for_what_nobody_tells(
    visit: Visit, service_url: str, long_sound: Path, catalogue: dict[str, int] | None
) -> None:
    page = visit(prepare=stub_model(service_url, catalogue=catalogue, classes={}))
    give(page, long_sound)
    drawn(page, "#given .spectrum")
    for part in (".heard", ".legend", ".track", ".moment"):
        expect(page.locator(f"#given {part}")).to_be_hidden()


def test_room_that_was_kept_is_given_back(visit: Visit, long_sound: Path) -> None:
    """Where an answer fails, nothing fills it."""
    held: list[Route] = []
    page = visit(prepare=lambda page: page.route("**/v1/search/**", lambda route: held.append(route)))
    page.route("**/v1/classify?*", lambda route: route.abort())
    give(page, long_sound)
    drawn(page, "#given .spectrum")
    expect(page.locator("#given .moment")).to_be_visible()
    expect(page.locator("#pictures .waiting")).to_have_count(12)
    for route in held:
        route.abort()
    expect(page.locator("#problem")).to_be_visible()
    for part in (".heard", ".legend", ".track", ".moment"):
        expect(page.locator(f"#given {part}")).to_be_hidden()


def test_found_sounds_have_a_waveform(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    canvas = page.locator("#sounds .wave").first
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_have_attribute("data-drawn", "true")
    colours: int = canvas.evaluate(COLOURS)
    assert colours > 20


def test_a_sound_in_the_viewer(visit: Visit, image: Path) -> None:
    page = visit()
    give(page, image)
    wait_for_answer(page)
    page.get_by_role("button", name=re.compile("^Details of")).first.click()
    viewer = page.locator("#viewer")
    picture = viewer.locator(".strip img").bounding_box()
    strip = viewer.locator(".strip").bounding_box()
    assert picture == strip  # the spectrogram fills it
    viewer.locator(".play").click()
    expect(viewer.locator(".play")).to_have_attribute("data-runs", "true")
    viewer.get_by_role("button", name="Next sound").click()
    expect(viewer.locator(".place")).to_have_text("2 of 12")


def test_a_sound_that_fails_to_come_is_tried_again(visit: Visit, image: Path) -> None:
    """By the same button, which keeps the focus; in a card and beside a slot."""
    page = visit()
    give(page, image)
    wait_for_answer(page)
    page.context.set_offline(True)
    for selector in ("#sounds .play", "#why .chime"):
        button = page.locator(selector).first
        button.focus()
        page.keyboard.press("Enter")
    trouble = page.locator("#sounds .player").first.get_by_role("alert")
    expect(trouble).to_contain_text("The service does not answer")
    expect(page.locator("#sounds .strip").first).to_be_visible()
    expect(page.locator("#why .chime").first).to_be_focused()
    page.context.set_offline(False)
    for selector in ("#why .chime", "#sounds .play"):
        button = page.locator(selector).first
        button.focus()
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("data-runs", "true")
        expect(button).to_be_focused()
    expect(trouble).to_be_hidden()


def test_a_sound_that_the_browser_cant_decode(visit: Visit, sound: Path, tmp_path: Path) -> None:
    """The service may read what the browser does not: then there is no spectrogram, and everything else."""
    page = visit(prepare=deafen)
    give(page, sound)
    wait_for_answer(page)
    expect(page.locator("#pictures .tile")).to_have_count(12)
    expect(page.locator("#given .play")).to_be_visible()


def test_what_is_told_of_windows_moves_nothing(visit: Visit, long_sound: Path) -> None:
    held: list[Route] = []
    asked = re.compile("/v1/(search|classify)")
    page = visit(prepare=lambda page: page.route(asked, lambda route: held.append(route)))
    give(page, long_sound)
    drawn(page, "#given .spectrum")
    expect(page.locator("#pictures .waiting")).to_have_count(12)
    before = page.locator(".intake").bounding_box()
    for route in held:
        route.continue_()
    wait_for_answer(page)
    expect(page.locator("#given .moment")).to_contain_text("windows")
    assert page.locator(".intake").bounding_box() == before


@pytest.fixture
def stretches(embedder: Embedder, long_sound: Path) -> Path:
    """A catalogue of stretches of one sound: `1:sound` to `4:sound`, each of three windows."""
    rows = [f"test,part {number},{long_sound.name},{number},{3 * number},3.9" for number in range(1, 5)]
    (long_sound.parent / "rows.csv").write_text("\n".join(["split,label,sound,id,start,duration", *rows, ""]))
    build_catalogue(embedder, long_sound.parent, long_sound.parent / "index")
    return long_sound.parent / "index"


def test_a_stretch_of_a_sound_is_searched_as_what_it_is(visit: Visit, serving: Serving, stretches: Path) -> None:
    """Not as its whole file, which would even be too long here; and it does not find itself."""
    with serving(stretches, limits=Limits(seconds=6.0)) as client:
        page = visit(at=url_of(client))
        sample = page.locator("#samples .tile", has_text="part 3")
        with page.expect_response("**/v1/search/sounds?*") as answered:
            sample.click()
        (result,) = answered.value.json()["results"]
        itself = result["hits"][0]
        assert (itself["id"], itself["score"]) == ("3:sound", pytest.approx(1, abs=1e-3))
        assert [window["end"] for window in result["windows"]][-1] == pytest.approx(3.9, abs=0.01)
        wait_for_answer(page)
        found = page.locator("#sounds > ol > li")
        expect(found).to_have_count(3)
        assert "3:sound" not in found.evaluate_all("all => all.map(one => one.dataset.id)")
        expect(page.locator("#given .time")).to_have_text("3.9 s")
        expect(page.locator("#given")).to_contain_text("from the catalogue")
        # what is played and drawn is cut once, not twice
        drawn(page, "#given .spectrum")
        page.locator("#given .moment").get_by_role("button").click()
        expect(page.locator("#given .time")).to_have_text(re.compile(r"/ 3\.9 s$"))
        page.close()


def test_a_stretch_that_the_browser_cant_decode_is_searched_whole(
    visit: Visit, serving: Serving, stretches: Path
) -> None:
    with serving(stretches) as client:
        page = visit(at=url_of(client), prepare=deafen)
        page.locator("#samples .tile", has_text="part 3").click()
        wait_for_answer(page)
        expect(page.locator("#given .file")).to_contain_text("part 3 (whole file)")
        expect(page.locator("#sounds > ol > li")).to_have_count(3)
        page.close()
