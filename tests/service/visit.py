"""What the tests of the page have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

PHONE = {"width": 390, "height": 844}
TABLET = {"width": 820, "height": 1180}
DESKTOP = {"width": 1440, "height": 900}
WAIT = 60_000  # milliseconds at most, for a machine that has much else to do
Visit = Callable[..., Page]
expect.set_options(timeout=WAIT)


def give(page: Page, *files: Path) -> None:
    page.set_input_files("#file", list(files))


def wait_for_answer(page: Page) -> None:
    expect(page.locator("#status")).to_contain_text("found")


def stub_model(service_url: str, **changes: Any) -> Callable[[Page], object]:
    """Let the page see another model: for states that the tests' service is not in."""
    model = httpx.get(f"{service_url}/v1/model").json()
    return lambda page: page.route("**/v1/model", lambda route: route.fulfill(json={**model, **changes}))


def width(page: Page) -> int:
    wide: int = page.evaluate("document.documentElement.scrollWidth")
    return wide
