"""Broken images, sounds and bodies: whatever comes, the service answers, lives, and goes on answering rightly.

`make fuzz` sends 20,000; here it is a few hundred of the same. A request that was answered as none may be is named, and
its body kept in runs/fuzz; `make fuzz FUZZ=1 FIRST=number` sends it again.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.soaking.service import resident
from tests.conftest import BMA, ROOT, Server, wait_until_ready
from tests.service.fuzz.originals import originals
from tests.service.fuzz.run import Run
from training.model.media.image import FORMATS

REQUESTS = int(os.environ.get("FUZZ") or 500)
SEED = int(os.environ.get("FUZZ_SEED") or 1)
FIRST = int(os.environ.get("FUZZ_FIRST") or 0)
GROWTH = 256 * 2**20  # bytes of memory, from when it is warm to the end


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def server(bundle_folder: Path, catalogue_folder: Path, tmp_path: Path, log: Path) -> Iterator[Server]:
    """A `bma serve` with a catalogue that may be written to, whose log goes to a file, as nobody reads that much."""
    catalogue = shutil.copytree(catalogue_folder, tmp_path / "catalogue")
    flags = ["--port", "0", "--device", "cpu", "--model", str(bundle_folder), "--index", str(catalogue)]
    with log.open("w") as errors:
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}  # so that a decoder that crashes is told by its stack
        process = subprocess.Popen(
            [*BMA, "serve", *flags], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        try:
            words = process.stdout.readline().split()
            assert len(words) > 2, log.read_text()
            url = words[2]
            wait_until_ready(url, process)
            yield Server(url, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)


def test_every_format_of_pictures_is_broken() -> None:
    opened = [Image.open(io.BytesIO(file.content)) for file in originals() if file.field == "image"]
    assert {str(picture.format) for picture in opened} - {"MPO"} == set(FORMATS)


def test_whatever_comes_is_answered(server: Server, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    run = Run(server.url, server.process.pid, originals(), SEED, ROOT / "runs" / "fuzz", say)
    outcome = run(REQUESTS, FIRST)
    say(f"\nseed {SEED}: {outcome}")
    assert server.process.poll() is None, log.read_text(errors="replace")[-5000:]
    assert not outcome.failures, "\n".join(outcome.failures)
    said = log.read_text(errors="replace")
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:5000]
    if resident(server.process.pid):
        assert outcome.memory[-1] - outcome.memory[0] < GROWTH, outcome.memory
    if REQUESTS >= 500:  # it is not all refused at the door, nor all let in
        assert all(outcome.answers[status] > REQUESTS / 50 for status in (200, 201, 400, 415, 422))
