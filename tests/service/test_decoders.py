"""Decoders in processes of their own: a file that crashes one is refused, and nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.engine import Engine, Upload
from service.limits import Limits
from service.pipeline import decoders as decoders_module
from service.pipeline import ticket as tickets
from service.pipeline import worker as worker_module
from service.pipeline.decoders import Decoders
from service.pipeline.health import Health
from service.pipeline.metrics import Metrics
from service.pipeline.reader import Reader
from service.pipeline.ticket import Ticket
from service.problems import Problem
from tests.service.serving import served
from tests.service.test_worker import gone
from training.model.embedder import Embedder
from training.model.media.sound import Allowance, AllowanceSpent
from training.model.media.source import DamagedMedia, EmptyMedia, MediaTooLarge, UnsupportedMedia

SECONDS = 2.0
NO_LIMIT = Ticket(None)


class Fragile(Reader):
    """A reader that some names are too much for."""

    def read(self, data: bytes, name: str, modality: Any, allowed: float) -> Any:
        if name == "crash.jpg":
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "once.jpg" and not Path(os.fsdecode(data)).exists():
            Path(os.fsdecode(data)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "endless.jpg":
            time.sleep(600)
        if name == "once.jpg":
            return np.zeros((3, self.image_size, self.image_size), np.uint8)
        return super().read(data, name, modality, allowed)


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders_module, "Reader", Fragile)


@pytest.fixture
def health() -> Health:
    return Health(Metrics())


@pytest.fixture
def decoders(embedder: Embedder, health: Health) -> Iterator[Decoders]:
    decoders = Decoders(embedder.preprocessor.config, Limits(pixels=1_000_000, seconds=60), health)
    yield decoders
    decoders.close()


def read_image(decoders: Decoders, data: bytes, name: str, ticket: Ticket = NO_LIMIT) -> Any:
    return decoders.read(data, name, "image", Allowance(60), ticket)


def test_files_are_decoded_as_the_embedder_does(
    decoders: Decoders, embedder: Embedder, images: list[bytes], sounds: list[bytes]
) -> None:
    np.testing.assert_array_equal(read_image(decoders, images[0], "a.jpg"), embedder.read_image(images[0]))
    heard = decoders.read(sounds[0], "a.wav", "sound", Allowance(60), NO_LIMIT)
    np.testing.assert_array_equal(heard, embedder.read_sound(sounds[0]))
    assert decoders.media_type(images[0], "a.jpg", "image", NO_LIMIT) == "image/jpeg"
    assert decoders.media_type(sounds[0], "a.wav", "sound", NO_LIMIT) == "audio/wav"
    assert decoders.media_type(b"of another time", "a.wav", "sound", NO_LIMIT) == "application/octet-stream"


@pytest.mark.parametrize(("data", "kind"), [(b"", EmptyMedia), (b"text", UnsupportedMedia)])
def test_what_is_wrong_with_a_file_comes_back_in_its_own_words(decoders: Decoders, data: bytes, kind: Any) -> None:
    with pytest.raises(kind, match=r"^mine\.jpg .*; ") as raised:
        read_image(decoders, data, "mine.jpg")
    assert (raised.value.name, type(raised.value)) == ("mine.jpg", kind)


def test_the_limits_go_with_the_decoders(embedder: Embedder, health: Health, images: list[bytes]) -> None:
    small = Decoders(embedder.preprocessor.config, Limits(pixels=100), health)
    try:
        with pytest.raises(MediaTooLarge, match="over the limit of 100") as raised:
            read_image(small, images[0], "a.jpg")
        assert raised.value.limit == 100  # it comes from another process
    finally:
        small.close()


def test_sounds_share_their_requests_allowance(decoders: Decoders, sounds: list[bytes]) -> None:
    allowance = Allowance(1.5 * SECONDS)
    decoders.read(sounds[0], "a.wav", "sound", allowance, NO_LIMIT)
    with pytest.raises(AllowanceSpent):
        decoders.read(sounds[1], "b.wav", "sound", allowance, NO_LIMIT)
    assert allowance.spent


def test_a_file_that_crashes_its_decoder_is_damaged(fragile: None, decoders: Decoders, health: Health) -> None:
    with pytest.raises(DamagedMedia, match=r"^crash\.jpg makes the program crash that decodes it; export it again"):
        read_image(decoders, b"", "crash.jpg")
    assert health.restarts == {"decode": 2}
    with pytest.raises(EmptyMedia):
        read_image(decoders, b"", "another.jpg")


def test_a_file_whose_decoder_was_killed_is_decoded_by_another(
    fragile: None, decoders: Decoders, health: Health, tmp_path: Path
) -> None:
    assert read_image(decoders, os.fsencode(tmp_path / "was-here"), "once.jpg").shape[0] == 3
    assert health.restarts == {"decode": 1}


def test_a_decoder_at_work_at_the_deadline_is_stopped(fragile: None, decoders: Decoders, images: list[bytes]) -> None:
    with pytest.raises(Problem, match=r"within its 0\.3 s"):
        read_image(decoders, b"", "endless.jpg", Ticket(0.3))
    with pytest.raises(EmptyMedia):
        read_image(decoders, b"", "another.jpg")


def test_where_no_process_can_be_started_it_is_no_fault_of_the_file(
    embedder: Embedder, health: Health, images: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at a limit on processes; once there is room again, files are decoded."""
    decoders = Decoders(embedder.preprocessor.config, Limits(), health)

    def none(*_: object, **__: object) -> Any:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as full:
        full.setattr(worker_module, "Worker", none)
        decoders.start()
        with pytest.raises(Problem, match="could not start a process") as caught:
            read_image(decoders, images[0], "a.jpg")
        assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
    assert read_image(decoders, images[0], "a.jpg").shape[0] == 3
    decoders.close()


def test_an_endless_file_does_not_keep_its_core(fragile: None, embedder: Embedder, images: list[bytes]) -> None:
    """More of them than there are decoders, and then a good one."""

    async def run() -> None:
        engine = Engine(embedder, None, Limits())
        try:
            tickets.current.set(Ticket(0.5))
            endless = [engine.decode([Upload("endless.jpg", b"")], "image") for _ in range(2 * (os.cpu_count() or 1))]
            for outcome in await asyncio.gather(*endless, return_exceptions=True):
                assert isinstance(outcome, Problem)
                assert outcome.kind == "deadline-exceeded"
            tickets.current.set(Ticket(30))
            (good,) = await engine.decode([Upload("good.jpg", images[0])], "image")
            assert isinstance(good, np.ndarray)
        finally:
            await asyncio.to_thread(engine.close)

    asyncio.run(run())


def test_a_crash_fails_its_file_and_the_service_goes_on(fragile: None, embedder: Embedder, images: list[bytes]) -> None:
    with served(Engine(embedder, None, Limits())) as client:
        files = [("image", ("crash.jpg", b"")), ("image", ("good.jpg", images[0]))]
        answer = client.post("/v1/embed", files=files)
        crashed, good = answer.json()["results"]
        assert answer.status_code == 200
        assert crashed["error"]["type"].endswith(":damaged-media")
        assert len(good["z"]) == embedder.bundle.model.config.projection_dim
        alone = client.post("/v1/embed", files=files[:1])
        assert (alone.status_code, alone.json()["type"]) == (422, crashed["error"]["type"])
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["restarts"]) == (200, {"decode": 4})


def test_queries_go_on_while_decoders_are_killed(embedder: Embedder, images: list[bytes]) -> None:
    """One in each of them: a file whose decoder ends twice is taken for its reason."""
    engine = Engine(embedder, None, Limits())
    killed: list[int] = []

    def kill() -> None:
        for worker in engine._decoders._workers._idle[-1:]:  # the next that is used, or in use since
            with contextlib.suppress(ValueError, ProcessLookupError):  # it has been let go since
                os.kill(pid := worker._process.pid, signal.SIGKILL)
                killed.append(pid)
                while not gone(pid):  # the next query meets none that is half ended
                    time.sleep(0.001)

    with served(engine) as client:
        for number in range(40):
            killer = threading.Timer(0.002 * (number % 8), kill)
            killer.start()
            assert client.post("/v1/embed", files={"image": images[0]}).status_code == 200
            killer.join()
    assert killed
