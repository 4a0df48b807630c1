"""A run of broken requests against a service, with good ones in between."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from benchmarks.soaking.service import resident
from service.problems import KINDS, MEDIA_TYPE, OPENAI_PATHS, URN
from tests.service.fuzz.originals import Original
from tests.service.fuzz.request import Request, good_request, make_request

CONNECTIONS = 4
LONGEST = 60.0  # seconds without an answer: it hangs
GOOD = 25  # a good file after so many broken ones on a connection
WARM = 0.1  # of the requests, after which memory is looked at for the first time
ODD_ANSWERS = {206, 304, 403, 405, 416, 421, 431, 504}  # to what is asked oddly, besides
ANSWERS = {200, 201, 204, 400, 404, 409, 413, 415, 422}


@dataclass
class Outcome:
    """What a run has seen.

    Attributes:
        answers: how often each status came.
        failures: a sentence for each request that was answered as none may be.
        memory: resident bytes of the server and its workers, warm and at the end.
        good: good files that were answered in between.
        seconds: it took.
    """

    answers: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    good: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        total = self.answers.total()
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(self.answers.items()))
        memory = " to ".join(f"{bytes / 2**20:.0f} MB" for bytes in self.memory)
        return (
            f"{total} requests in {self.seconds:.0f} s ({total / max(self.seconds, 1e-9):.0f}/s), {self.good} good "
            f"files in between; answers {answers}; memory {memory}; {len(self.failures)} failures"
        )


class Run:
    """Broken requests over several connections.

    Args:
        url: of the service.
        pid: of its process.
        originals: good files.
        seed: the same one makes the same requests.
        folder: where requests are kept that were not answered as they should be.
        say: what is told as the run goes on.
    """

    def __init__(
        self, url: str, pid: int, originals: Sequence[Original], seed: int, folder: Path, say: Callable[[str], None]
    ) -> None:
        self.place, self.pid, self.originals = urlsplit(url).netloc, pid, originals
        self.seed, self.folder, self.say = seed, folder, say
        self.outcome = Outcome()
        self._lock = threading.Lock()
        self._next = self._warm = self._end = 0
        self._z: dict[str, np.ndarray] = {}

    def __call__(self, requests: int, first: int = 0) -> Outcome:
        """Send requests `first` to `first + requests - 1` of this seed."""
        begin = time.monotonic()
        with contextlib.closing(self._connect()) as connection:
            self._z = {original.name: self._vector(connection, original) for original in self.originals}
        self._next, self._warm, self._end = first, first + int(requests * WARM), first + requests
        threads = [threading.Thread(target=self._work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.outcome.memory.append(resident(self.pid))
        self.outcome.seconds = time.monotonic() - begin
        return self.outcome

    def _take(self) -> int | None:
        with self._lock:
            number, self._next = self._next, self._next + 1
            if number == self._warm:
                self.outcome.memory.append(resident(self.pid))
            if number % 1000 == 0 and number:
                self.say(
                    f"{number} requests, {resident(self.pid) / 2**20:.0f} MB, {len(self.outcome.failures)} failures"
                )
            return number if number < self._end and len(self.outcome.failures) < 50 else None

    def _work(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            self._send_all(connection)

    def _send_all(self, connection: http.client.HTTPConnection) -> None:
        sent = 0
        while (number := self._take()) is not None:
            request = make_request(self.seed, number, self.originals)
            try:
                status, wrong = self._ask(connection, request)
                sent += 1
                if sent % GOOD == 0:
                    wrong = wrong or self._check_good(connection, self.originals[number % len(self.originals)])
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                status, wrong = 0, f"has no answer, or none that can be read ({type(error).__name__}: {error})"
                connection.close()  # the next request opens it again
            with self._lock:
                self.outcome.answers[status] += 1
                if wrong:
                    self._fail(number, request, wrong)
            if status == 0 and not alive(self.place):
                return

    def _ask(self, connection: http.client.HTTPConnection, request: Request) -> tuple[int, str]:
        """The status of an answer, and what is wrong with it."""
        status, headers, content = _sent(connection, request)
        if status not in ANSWERS and not (request.odd and status in ODD_ANSWERS):
            return status, f"answered {status}: {content[:300]!r}"
        if request.odd and (status < 400 or request.method == "HEAD"):
            return status, ""  # a page, a file, or what another connection has put there
        wrong = check(request, status, headers.get("content-type", ""), content)
        if not wrong and status in (200, 201) and request.path.startswith("/v1/items"):
            wrong = self._look_at(connection, json.loads(content))
        return status, wrong

    def _look_at(self, connection: http.client.HTTPConnection, answer: dict[str, Any]) -> str:
        """Ask for all that there is of items that a broken file has become, and delete them."""
        for item in [entry.get("item") for entry in answer["results"]] if "results" in answer else [answer]:
            if item is None:
                continue
            for method, path in (
                ("GET", item["content"]),
                ("GET", item["thumbnail"]),
                ("DELETE", f"/v1/items/{item['id']}"),
            ):
                status, _, content = _sent(connection, Request(method, path, {}, b"", ""))
                # another connection may have deleted it just now
                if status not in (200, 204, 404):
                    return f"became an item of which {method} {path} is {status}: {content[:300]!r}"
        return ""

    def _check_good(self, connection: http.client.HTTPConnection, original: Original) -> str:
        cosine = float(self._vector(connection, original) @ self._z[original.name])
        with self._lock:
            self.outcome.good += 1
        return "" if cosine > 0.999 else f"after it {original.name} has another z than before, cosine {cosine:.4f}"

    def _vector(self, connection: http.client.HTTPConnection, original: Original) -> np.ndarray:
        status, _, content = _sent(connection, good_request(original))
        if status != 200:
            raise http.client.HTTPException(f"a good {original.name} was answered {status}: {content[:300]!r}")
        return np.array(json.loads(content)["results"][0]["z"])

    def _fail(self, number: int, request: Request, wrong: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{self.seed}-{number}.body"
        file.write_bytes(request.body)
        sent = f"{request.what}; {request.method} {request.path[:80]}; {request.headers.get('content-type', '')[:80]}"
        sentence = f"request {number} of seed {self.seed} ({sent}; its body is in {file}) {wrong}"
        self.outcome.failures.append(sentence)
        self.say(sentence)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.place, timeout=LONGEST)


def check(request: Request, status: int, media_type: str, content: bytes) -> str:
    """What is wrong with an answer's form; nothing most often."""
    if status == 204:
        return ""
    door = request.odd and status in (400, 431) and media_type == MEDIA_TYPE  # where no path has been looked at
    openai = request.path.startswith(OPENAI_PATHS) and not door
    if media_type != (MEDIA_TYPE if status >= 400 and not openai else "application/json"):
        return f"answered {status} as {media_type!r}"
    document = json.loads(content)
    if openai:
        return "" if ("error" in document) == (status >= 400) else f"answered {status} with {content[:300]!r}"
    results = document.get("results", []) if status < 400 else []
    problems = [document] if status >= 400 else [entry["error"] for entry in results if "error" in entry]
    for problem in problems:
        kind = problem["type"].removeprefix(URN)
        late = request.odd and kind == "deadline-exceeded"
        if kind not in KINDS or KINDS[kind][0] != problem["status"] or (problem["status"] >= 500 and not late):
            return f"answered {status} with {problem}"
        if kind == "not-computable":
            return "was decoded to what the model has no answer for"
    return ""


def alive(place: str) -> bool:
    """Whether the service still takes connections."""
    connection = http.client.HTTPConnection(place, timeout=LONGEST)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _sent(connection: http.client.HTTPConnection, request: Request) -> tuple[int, dict[str, str], bytes]:
    connection.request(request.method, request.path, request.body or None, request.headers)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content
