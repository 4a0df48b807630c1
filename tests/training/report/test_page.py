"""The report's page: as a document, and in a real browser."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import shutil
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from service.cli import main
from training.data.packed import PackedData
from training.features import Items
from training.model.media.sound import read_sound
from training.report.markup import VOID
from training.report.page import render, save_page
from training.report.record import ReportError
from training.report.report import Report, gather

EVIL = '<script>alert("1")</script>&\''
EVIL_FILE = '"><img src=x onerror="alert(1)">&\'.jpg'
HEAD = {"meta", "link", *VOID}


class Document(HTMLParser):
    """Reads a page and notes what is wrong with it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        self.wrong += [f"{tag} is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in HEAD:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.append((name, value or ""))
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href"):
                self.links.append(value or "")
        if len(dict(attrs)) < len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"{tag} closes something else")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def uris(page: str, media_type: str) -> list[bytes]:
    found = re.findall(rf'"data:{media_type};base64,([^"]*)"', page)
    return [base64.b64decode(text, validate=True) for text in dict.fromkeys(found)]


def test_is_well_formed_and_needs_nothing_else(page: str) -> None:
    document = Document(page)
    assert document.wrong == []
    assert len(set(document.ids)) == len(document.ids)
    assert all(link.startswith(("#", "data:")) for link in document.links)
    assert {link[1:] for link in document.links if link.startswith("#")} <= set(document.ids)
    assert not re.search(r"url\(|@import|fetch\(", page)


def test_its_policy_allows_no_more_than_what_is_inline(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    names = {name for name, _ in Document(page).attributes}
    assert not {"style", *(name for name in names if name.startswith("on"))} & names


def test_its_images_and_sounds_are_real(page: str) -> None:
    images, sounds = uris(page, "image/jpeg"), uris(page, "audio/mpeg")
    assert len(images) == 6  # three images of val, and the spectrograms of its three sounds
    assert len(sounds) == 3
    for image in images:
        with Image.open(io.BytesIO(image)) as picture:
            picture.load()
            assert picture.format == "JPEG"
    assert [len(read_sound(sound, 8000)) / 8000 for sound in sounds] == pytest.approx([0.8, 0.3, 0.8], abs=0.1)


def test_it_says_how_it_was_made(page: str, report: Report) -> None:
    text = "".join(Document(page).text)
    assert report.bundle
    for part in ("finished", "12 pairs, 4 unpaired sounds, 4 unpaired images", report.bundle.name, "bma report RUN"):
        assert part in text
    assert "--set unpaired=both" in text
    assert report.record.config["data_fingerprint"] in text


def test_labels_and_names_are_text(report: Report) -> None:
    findings = report.findings
    assert findings
    samples = {
        modality: dataclasses.replace(
            sample, items=Items(sample.items.numbers, [EVIL] * len(sample.items.labels), sample.items.clips)
        )
        for modality, sample in findings.samples.items()
    }
    config = {**report.record.config, "data": EVIL, "preset": EVIL}
    series = {**report.record.metrics.series, EVIL: report.record.metrics.series["loss"]}
    record = dataclasses.replace(
        report.record,
        folder=Path(EVIL),
        config=config,
        metrics=dataclasses.replace(report.record.metrics, series=series),
    )
    evil = dataclasses.replace(
        report, record=record, findings=dataclasses.replace(findings, samples=samples), notes=[EVIL]
    )
    page = render(evil, f"bma report {EVIL}")
    assert "<script>alert" not in page
    document = Document(page)
    assert document.wrong == []
    assert EVIL in document.text
    assert all(link.startswith(("#", "data:")) for link in document.links)


def test_names_of_files_are_text(report: Report) -> None:
    findings = report.findings
    assert findings
    rows = [
        dataclasses.replace(row, image=row.image and f"images/{EVIL_FILE}", sound=row.sound and f"sounds/{EVIL_FILE}")
        for row in findings.data.rows
    ]
    samples = {
        modality: dataclasses.replace(  # of no class, so that the file's name stands in
            sample, items=Items(sample.items.numbers, [""] * len(sample.items.labels), sample.items.clips)
        )
        for modality, sample in findings.samples.items()
    }
    data = dataclasses.replace(findings.data, rows=rows)
    document = Document(
        render(dataclasses.replace(report, findings=dataclasses.replace(findings, data=data, samples=samples)))
    )
    assert document.wrong == []
    assert {name for name, value in document.attributes if EVIL_FILE in value} == {"title", "alt", "aria-label"}
    assert EVIL_FILE in document.text
    assert not any(name.startswith("on") or value == "x" for name, value in document.attributes)


def test_a_run_of_no_steps_has_a_page(copy_run: Callable[..., Path]) -> None:
    run = copy_run(model=False)
    (run / "metrics.jsonl").unlink()
    page = render(gather(run, device="cpu"))
    assert "No step is written yet." in page
    assert "This run has not finished: 0 of 40 steps" in page
    assert Document(page).wrong == []


def test_a_diverged_run_has_a_page(copy_run: Callable[..., Path]) -> None:
    run = copy_run(model=False)
    (run / "metrics.jsonl").write_text('{"step": 0, "loss": 3.5}\n{"step": 1, "loss": NaN}\n', encoding="utf-8")
    page = render(gather(run, device="cpu"))
    assert "at step 0, not smoothed" in page
    assert "NaN" not in page


def test_a_model_without_memory_has_a_sentence_in_its_place(report: Report) -> None:
    assert report.findings
    without = dataclasses.replace(report, findings=dataclasses.replace(report.findings, usages=[], slots=[]))
    page = render(without)
    assert "trained without its memory (use_memory=false)" in page
    assert "Most used slots" not in page
    assert "A sound finds images" in page


def test_the_command_writes_it_beside_the_run(
    copy_run: Callable[..., Path], tiny_data: PackedData, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy_run()
    assert main(["report", str(run), "--data", str(tiny_data.folder), "--device", "cpu"]) == 0
    assert f"{run / 'report.html'} is the report of run" in capsys.readouterr().out
    assert Document((run / "report.html").read_text(encoding="utf-8")).wrong == []
    assert not list(run.glob(".report.html*"))


def test_a_page_that_can_not_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReportError, match=r"can't be written \(Is a directory\); name another file with --out"):
        save_page("page", tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


# -- in a browser --


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on the PATH; install the system's package 'chromium'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, page: str, tmp_path: Path) -> Iterator[Page]:
    """The page, opened as a file. In the end: nothing failed, and nothing but the file was asked for."""
    save_page(page, tmp_path / "report.html")
    failures: list[str] = []
    asked: list[str] = []
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    tab = context.new_page()
    tab.set_default_timeout(20_000)
    tab.on("pageerror", lambda error: failures.append(str(error)))
    tab.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((tmp_path / "report.html").as_uri())
    yield tab
    context.close()
    assert failures == []
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]


@pytest.mark.browser
def test_a_chart_is_read_with_the_pointer_and_the_keys(opened: Page) -> None:
    chart = opened.locator(".chart").first
    place, drawing = chart.locator(".place"), chart.locator("svg")
    expect(place).to_have_text("step 39")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    assert box
    opened.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    expect(place).to_have_text("step 4")  # the nearest of 40 steps
    expect(chart.locator("circle").first).to_be_visible()
    opened.mouse.move(0, 0)
    expect(place).to_have_text("step 39")
    opened.keyboard.press("Tab")
    drawing.focus()
    opened.keyboard.press("Home")
    expect(place).to_have_text("step 0")
    opened.keyboard.press("ArrowRight")
    expect(place).to_have_text("step 1")
    expect(drawing).to_have_attribute("aria-valuetext", re.compile("^step 1: total "))


def wait_until(page: Page, condition: str, seconds: float = 30) -> None:
    """Ask from outside until it holds: the page's own policy lets nothing in it evaluate a text."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


@pytest.mark.browser
def test_sounds_play_one_at_a_time(opened: Page) -> None:
    buttons = opened.locator(".play")
    buttons.nth(0).click()
    wait_until(opened, "document.querySelector('audio').duration > 0.2")
    assert opened.evaluate("document.querySelector('audio').readyState") > 0
    buttons.nth(1).click()
    wait_until(opened, "document.querySelectorAll('audio')[0].paused")


@pytest.mark.browser
def test_the_page_fits_a_phone_and_its_images_load(opened: Page) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
