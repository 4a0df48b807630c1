"""A real browser on a real service: a plugin of the tests of the page."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.service.visit import DESKTOP, WAIT, Visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with each module: while Playwright is open its event loop counts as running, and no test may start one."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on the PATH; install the system's package 'chromium'")
    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=microphone)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open a page of a service. In the end: nothing was asked of anyone else, and no script or policy failed."""
    asked: list[str] = []
    failures: list[str] = []
    ours: set[str] = set()
    contexts = []

    def start(
        path: str = "/",
        prepare: Callable[[Page], object] | None = None,
        at: str | None = None,
        scripts: tuple[Path, ...] = (),
        **options: Any,
    ) -> Page:
        url = at or request.getfixturevalue("service_url")
        ours.add(urlsplit(url).netloc)
        context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: failures.append(str(error)))
        # What Chromium logs about an answer of 4xx is no failure of the page; tests look at what the page makes of it.
        page.on(
            "console",
            lambda message: (
                failures.append(message.text)
                if message.type == "error" and not message.text.startswith("Failed to load resource")
                else None
            ),
        )
        for script in scripts:
            page.add_init_script(path=script)
        if prepare:
            prepare(page)
        page.goto(url + path)
        return page

    yield start
    for context in contexts:
        context.close()
    assert failures == []
    others = {url for url in asked if not url.startswith(("blob:", "data:"))}
    assert {urlsplit(url).netloc for url in others} <= ours


@pytest.fixture
def sound(demo_folder: Path) -> Path:
    return min(demo_folder.glob("sounds/train_test*.wav"))


@pytest.fixture
def image(demo_folder: Path) -> Path:
    return min(demo_folder.glob("images/boat_test*.jpg"))


@pytest.fixture
def long_sound(demo_folder: Path, tmp_path: Path) -> Path:
    """Several of the demo's sounds in a row: more than one window."""
    file = tmp_path / "several.wav"
    with wave.open(str(file), "wb") as joined:
        joined.setparams((1, 2, 22050, 0, "NONE", ""))
        for part in sorted(demo_folder.glob("sounds/*_test*.wav"))[:6]:
            with wave.open(str(part)) as read:
                joined.writeframes(read.readframes(read.getnframes()))
    return file
