"""What the service tells of itself: a line for each request and for what goes wrong, readable or as JSON.

No media, no keys, no query strings and no paths as they were sent: a request is told by its route's template.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import logging.handlers
import queue
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Literal, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.keys import PREFIX
from service.pipeline.templates import Templates
from service.pipeline.trace import trace

Style = Literal["text", "json"]
WAITING = 10_000  # lines for a stderr that nobody reads; what comes on top is dropped, the service goes on
PATIENCE = 5.0  # seconds, for the last lines
GATHERED = 0.02  # seconds for which lines are gathered
_SANE = re.compile(rf"(?!.*{PREFIX})[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}")  # a key in the wrong header is not told on
_ID = b"x-request-id"
_IDS = ("request", "trace")  # by which lines find each other
_UNTOLD = ("logThreads", "logProcesses", "logMultiprocessing")  # what no line tells need not be looked up for each

_request: ContextVar[str] = ContextVar("request", default="")
_log = logging.getLogger("bma.request")
_plain = logging.Formatter()


class RequestLog:
    """ASGI middleware: each request has an id, which its answer and all its log lines name, and a line at its end.

    The id is the client's `X-Request-ID` where that is a short plain word, else a new one.

    Args:
        app: what answers.
        templates: gives the application's paths, such as `/v1/items/{id}`; asked for once one is needed.
    """

    def __init__(self, app: ASGIApp, templates: Callable[[], Iterable[str]]) -> None:
        self.app, self._template = app, Templates(templates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell what became of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == _ID), "")
        id = sent if _SANE.fullmatch(sent) else f"{random.getrandbits(128):032x}"  # to be found by, not to be secret
        token = _request.set(id)
        begin = time.perf_counter()
        status, came, went = 0, 0, 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            return message

        async def marked(message: Message) -> None:
            nonlocal status, went
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_ID, id.encode())]
            went += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, counted, marked)
        finally:
            if _log.isEnabledFor(logging.INFO):
                key = scope.get("state", {}).get("key")
                fields = {
                    "method": scope["method"] if scope["method"].isalpha() else "?",
                    "path": self._template(scope),
                    "status": status,  # 0: the client went before there was one
                    "ms": round((time.perf_counter() - begin) * 1000, 1),
                    "bytes_in": came,
                    "bytes_out": went,
                    **({"key": key.name} if key is not None else {}),
                }
                # not by `info`, which walks the stack for who called it
                line = _log.makeRecord(_log.name, logging.INFO, "", 0, "request", (), None, extra={"fields": fields})
                _log.handle(line)
            _request.reset(token)


@contextlib.contextmanager
def logging_to(stream: TextIO | None = None, style: Style = "text") -> Iterator[None]:
    """All of the process's log lines on a stream from here on, written by a thread of their own.

    Args:
        stream: stderr where None.
        style: readable lines, or a JSON object each.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()  # in C: a line is handed over in a microsecond
    handler = _Waiting(waiting)
    writer = _Writer(waiting, stream or sys.stderr, _Json() if style == "json" else _Text())
    root, ours = logging.getLogger(), logging.getLogger("bma")
    before = root.handlers[:], ours.level, {name: getattr(logging, name) for name in _UNTOLD}
    root.handlers[:] = [handler]
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in _UNTOLD:
        setattr(logging, name, False)
    writer.start()
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:], level, told = before
        ours.setLevel(level)
        for name, value in told.items():
            setattr(logging, name, value)
        writer.stop()


class _Waiting(logging.handlers.QueueHandler):
    """Hands lines over without ever waiting for who writes them."""

    def __init__(self, lines: queue.SimpleQueue[Any]) -> None:
        super().__init__(lines)
        self._lines = lines

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The line as it will be, made where the request's id is known, and its trace's; of errors only the text, as
        their tracebacks hold what requests have sent.
        """
        record.request = _request.get()
        record.trace = traced.id if (traced := trace.get()) is not None else ""
        try:
            record.msg = record.getMessage()
        except Exception as error:  # noqa: BLE001 - the line's own fault
            record.msg = f"a line that can't be told: {type(error).__name__} in {str(record.msg)!r}"
        record.args = None
        if record.exc_info:
            record.exc_text, record.exc_info = _plain.formatException(record.exc_info), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Dropped where too many wait: a service that can't tell is better than one that does not answer."""
        if self._lines.qsize() < WAITING:
            self._lines.put(record)


class _Writer(threading.Thread):
    """Writes what was handed over, all that comes within a moment at once: for each waking it takes Python's lock."""

    def __init__(self, lines: queue.SimpleQueue[Any], stream: TextIO, style: logging.Formatter) -> None:
        super().__init__(name="log", daemon=True)
        self._lines, self._stream, self._style = lines, stream, style

    def run(self) -> None:
        """Write until `stop`."""
        while self._write(self._gather()):
            pass

    def stop(self) -> None:
        """Have written what waits, within bounds: it waits for a stream that takes lines, not for one that does not."""
        self._lines.put(None)
        self.join(PATIENCE)

    def _gather(self) -> list[logging.LogRecord | None]:
        records = [self._lines.get()]
        if records[0] is not None:
            time.sleep(GATHERED)
        while not self._lines.empty():
            records.append(self._lines.get())
        return records

    def _write(self, records: list[logging.LogRecord | None]) -> bool:
        """Whether it goes on."""
        text = "".join(self._line(record) for record in records if record is not None)
        with contextlib.suppress(Exception):  # nobody is there who could be told
            self._stream.write(text)
            self._stream.flush()
        return None not in records

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self._style.format(record)}\n"
        except Exception as error:  # noqa: BLE001 - this line's own fault; the others are told
            return f"a line of {record.name} can't be told: {type(error).__name__}\n"


class _Json(logging.Formatter):
    """A JSON object a line: time, level, logger, message, request, trace, and what else the line is about."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry: dict[str, Any] = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _IDS:
            if id := getattr(record, name, ""):
                entry[name] = id
        entry.update(getattr(record, "fields", {}))
        if record.exc_text:
            entry["traceback"] = record.exc_text
        return json.dumps(entry, ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; what a client wrote can't begin another."""
        fields = getattr(record, "fields", {})
        said = " ".join(f"{name}={value}" for name, value in fields.items())
        message = said if record.name == _log.name else " ".join(filter(None, (record.getMessage(), said)))
        if not message.isprintable():
            message = "".join(character if character.isprintable() else "?" for character in message)
        ids = [f"{name}={id}" for name in _IDS if (id := getattr(record, name, ""))]
        line = " ".join(filter(None, [_when(record), record.levelname, f"{record.name}:", message, *ids]))
        return f"{line}\n{record.exc_text}" if record.exc_text else line


def _when(record: logging.LogRecord) -> str:
    return datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
