"""What the service tells of itself: one line a request, by its id; nothing of what clients sent."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import re
import signal
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.logs import RequestLog, logging_to
from tests.conftest import Serve


def told(style: Any, *calls: Callable[[], None]) -> list[str]:
    stream = io.StringIO()
    with logging_to(stream, style):
        for call in calls:
            call()
    return stream.getvalue().splitlines()


def test_each_request_is_a_json_line(
    serve: Serve, bundle_folder: Path, catalogue_folder: Path, images: list[bytes]
) -> None:
    arguments = ("--model", bundle_folder, "--index", catalogue_folder, "--read-only", "--log", "json")
    with serve(*arguments) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        file = {"image": ("my private holiday.jpg", images[0])}
        given = client.post("/v1/embed?include=z", files=file, headers={"x-request-id": "trace-7.a_b"})
        assert given.headers["x-request-id"] == "trace-7.a_b"
        made = {}
        for sent in ("", "two words", "a" * 65, "a/b", "{}", "-x"):
            answer = client.get("/v1/items/my-secret-item", headers={"x-request-id": sent})
            made[answer.headers["x-request-id"]] = sent
        assert len(made) == 6
        assert all(re.fullmatch("[0-9a-f]{32}", id) for id in made)
        refused = client.get("/v1/items", params={"cursor": "secret-cursor"})
        assert refused.headers["x-request-id"]
        server.process.send_signal(signal.SIGINT)
        lines = [json.loads(line) for line in server.told().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (line,) = [line for line in lines if line.get("request") == "trace-7.a_b"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/embed", 200)
    assert line["bytes_in"] > len(images[0])
    assert line["bytes_out"] == len(given.content)
    assert line["ms"] > 0
    assert "key" not in line
    assert [line["path"] for line in lines if line.get("request") in made] == ["/v1/items/{id}"] * 6
    (settings,) = [line["message"] for line in lines if line["message"].startswith("settings: ")]
    assert "log=json" in settings
    text = json.dumps(lines)
    for sent in ("holiday", "my-secret-item", "secret-cursor", "include=z", "two words"):
        assert sent not in text


def test_readable_lines_are_the_rule_and_can_not_be_forged() -> None:
    log = logging.getLogger("bma.service")
    lines = told("text", lambda: log.info("a %s", "b\n2026 ERROR forged\x1b[2J"), lambda: log.debug("not told"))
    assert len(lines) == 1
    assert lines[0].endswith("INFO bma.service: a b?2026 ERROR forged?[2J")
    (line,) = told("json", lambda: log.info("a %s", "b\nc"))
    assert json.loads(line)["message"] == "a b\nc"


def test_a_traceback_is_told_in_both() -> None:
    def fail() -> None:
        try:
            raise ArithmeticError("no number")
        except ArithmeticError:
            logging.getLogger("bma.service").exception("it failed")

    assert "ArithmeticError: no number" in told("text", fail)[-1]
    (line,) = told("json", fail)
    assert json.loads(line)["traceback"].endswith("ArithmeticError: no number")


def test_lines_come_while_it_goes_on_and_in_order() -> None:
    stream, log = io.StringIO(), logging.getLogger("bma.service")
    with logging_to(stream):
        for number in range(3):
            log.info("first %d", number)
        end = time.monotonic() + 30
        while stream.getvalue().count("\n") < 3 and time.monotonic() < end:
            time.sleep(0.005)
        assert [line[-7:] for line in stream.getvalue().splitlines()] == ["first 0", "first 1", "first 2"]
        log.info("then")
    assert stream.getvalue().endswith("then\n")


def test_a_line_that_can_not_be_told_says_so_and_the_others_come() -> None:
    log = logging.getLogger("bma.service")
    for style in ("text", "json"):
        lines = told(style, lambda: log.info("%d", "no number"), lambda: log.info("the next"))
        assert "a line that can't be told: TypeError in '%d'" in lines[0]
        assert "the next" in lines[1]


def test_a_field_that_can_not_be_told_costs_its_line_alone() -> None:
    class Wordless:
        def __str__(self) -> str:
            raise LookupError

    log = logging.getLogger("bma.service")
    for style in ("text", "json"):
        lines = told(
            style, lambda: log.info("bad", extra={"fields": {"what": Wordless()}}), lambda: log.info("the next")
        )
        assert lines[0] == "a line of bma.service can't be told: LookupError"
        assert "the next" in lines[1]


def test_a_stream_that_fails_ends_nothing() -> None:
    log, failed = logging.getLogger("bma.service"), threading.Event()

    class Failing(io.StringIO):
        def write(self, text: str) -> int:
            if "unheard" in text:
                failed.set()
                raise MemoryError
            return super().write(text)

    stream = Failing()
    with logging_to(stream):
        log.info("unheard")
        assert failed.wait(30)
        log.info("heard")
    assert "heard" in stream.getvalue()


def test_what_an_error_was_about_is_not_kept() -> None:
    """Its traceback holds frames, with a request's body; it is told of errors before it, too."""

    class Body:
        pass

    def fail() -> None:
        body = Body()
        bodies.append(weakref.ref(body))
        try:
            raise KeyError("inner")
        except KeyError:
            raise ArithmeticError("outer") from None

    bodies: list[weakref.ref[Body]] = []
    stream, log = io.StringIO(), logging.getLogger("bma.service")
    gc.disable()
    try:
        with logging_to(stream):
            try:
                fail()
            except ArithmeticError as error:
                log.error("%s", error, exc_info=error)
            assert bodies[0]() is None
    finally:
        gc.enable()
    assert "ArithmeticError: outer" in stream.getvalue()


def test_a_stderr_that_nobody_reads_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Event()

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            read.wait(60)
            return super().write(text)

    monkeypatch.setattr("service.logs.WAITING", 10)
    stream, log = Full(), logging.getLogger("bma.service")
    with logging_to(stream):
        for number in range(100):
            log.info("line %d", number)
        read.set()
    assert 10 <= len(stream.getvalue().splitlines()) < 100


def test_afterwards_logging_is_as_it_was() -> None:
    root, level = logging.getLogger().handlers[:], logging.getLogger("bma").level
    told("json")
    assert logging.getLogger().handlers == root
    assert logging.getLogger("bma").level == level


def test_a_request_that_breaks_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(*asked: Any) -> Any:
        raise ArithmeticError

    scope = {"type": "http", "method": "GET", "path": "/v1/items/a", "headers": []}
    caplog.set_level(logging.INFO, "bma.request")

    async def run() -> None:
        await RequestLog(broken, lambda: ["/v1/items/{id}"])(scope, broken, broken)

    with pytest.raises(ArithmeticError):
        asyncio.run(run())
    (record,) = caplog.records
    assert record.fields["path"] == "/v1/items/{id}"  # type: ignore[attr-defined]
    assert record.fields["status"] == 0  # type: ignore[attr-defined]
