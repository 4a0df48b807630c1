"""Packing as processes: killed at any moment and gone on with, or several at once; the bytes are always the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from training.data.pack import open_data, pack
from training.data.rows import read_rows, write_rows

ROOT = Path(__file__).parents[3]
# Packs, writes down what it decodes, and does as it is told: to die or to hang once the journal has so many entries, or
# to die at the so-manieth call of a function while it packs; in the end it says how many calls there were.
PACK = """
import os, signal, sys, time
from pathlib import Path
import training.data.pack as module
from training.data.journal import Journal

rows_file, log = Path(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
what, number = sys.argv[3], int(sys.argv[4])
calls = 0

def noted(read):
    def work(file, *arguments, **options):
        log.write(f"{file.relative_to(rows_file.parent)}\\n")
        return read(file, *arguments, **options)
    return work

def add(journal, entry, add=Journal.add):
    add(journal, entry)
    if len(journal.entries) == number and what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if len(journal.entries) == number and what == "hang":
        time.sleep(600)

def count(*event):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)

module.read_image, module.read_segments = noted(module.read_image), noted(module.read_segments)
Journal.add = add
if what == "die at call":
    sys.setprofile(count)
module.open_data(rows_file, 32, 8000)
sys.setprofile(None)
print(calls)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def rows_file(write_rows_and_media: Callable[[Path], Path], tmp_path: Path) -> Path:
    """The tiny data set, a file that can't be read and a sound that several rows cut from in it."""
    file = write_rows_and_media(tmp_path / "set")
    first, *rows = read_rows(file)
    (file.parent / "images/train-01.jpg").write_bytes(b"not a picture")
    cuts = [replace(first, start=start, duration=0.1) for start in (0.2, 0.1, 9.0)]
    write_rows(file, [*cuts, *rows])
    return file


@pytest.fixture
def start(rows_file: Path) -> Iterator[Start]:
    """`start(what="", number=0)`: a process that packs; see above."""
    running: list[subprocess.Popen[str]] = []

    def begin(what: str = "", number: int = 0) -> subprocess.Popen[str]:
        log = rows_file.with_name("decoded.txt")
        command = [sys.executable, "-c", PACK, str(rows_file), str(log), what, str(number)]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str], returncode: int = 0) -> str:
    """What it prints."""
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == returncode, stderr
    assert stderr == ""
    return stdout


def decoded(rows_file: Path) -> Counter[str]:
    """How often each file was decoded since this was asked last."""
    log = rows_file.with_name("decoded.txt")
    counts = Counter(log.read_text(encoding="utf-8").splitlines())
    log.write_text("")
    return counts


def partial(rows_file: Path) -> Path:
    return rows_file.with_name(".packed-partial")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def assert_as_undisturbed(rows_file: Path, image_size: int = 32) -> None:
    data = open_data(rows_file, image_size, 8000)
    undisturbed = pack(rows_file, rows_file.with_name("other"), image_size, 8000)
    assert contents(data.folder) == contents(undisturbed.folder)
    assert data.unreadable == 2
    left = {entry.name for entry in rows_file.parent.iterdir()}
    assert left == {"rows.csv", "images", "sounds", "decoded.txt", "packed", "other"}


def test_killed_at_any_moment_it_is_finished_to_the_same_bytes(rows_file: Path, start: Start) -> None:
    calls = int(finish(start("die at call", 0)))
    rng = random.Random(0)
    moments = [rng.randrange(1, calls) for _ in range(6)]
    moments += [calls - rng.randrange(200, 1500) for _ in range(3)]  # when all is decoded
    for moment in moments:
        shutil.rmtree(rows_file.with_name("packed"))
        process = start("die at call", moment)
        process.communicate(timeout=120)
        assert process.returncode in (-signal.SIGKILL, 0)  # no two runs make exactly as many calls
        assert_as_undisturbed(rows_file)


def test_killed_again_and_again_it_gets_further_each_time(rows_file: Path, start: Start) -> None:
    for number in (1, 13, 26, 40, 52):
        finish(start("die", number), -signal.SIGKILL)
        recorded = partial(rows_file).joinpath("journal.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(recorded) == 1 + number
        files = {json.loads(line)["file"] for line in recorded[1:]}
        decoded(rows_file)
    finish(start())
    assert sum(decoded(rows_file).values()) == 0
    assert len(files) == 52
    assert_as_undisturbed(rows_file)


def test_what_the_journal_tells_of_is_not_decoded_again(rows_file: Path, start: Start) -> None:
    finish(start("die", 35), -signal.SIGKILL)
    recorded = partial(rows_file).joinpath("journal.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    decoded(rows_file)
    with partial(rows_file).joinpath("contents", "waves-8000.i16").open("ab") as stream:
        stream.write(b"half a sound")  # a kill between the data and its line
    with partial(rows_file).joinpath("journal.jsonl").open("ab") as stream:
        stream.write(b'{"file": "half a li')
    finish(start())
    rest = decoded(rows_file)
    assert sorted([*rest.elements(), *(json.loads(line)["file"] for line in recorded)]) == sorted(
        {path for row in read_rows(rows_file) for path in (row.image, row.sound) if path}
    )
    assert len(rest) == 52 - 35
    assert_as_undisturbed(rows_file)


@pytest.mark.parametrize("what", ["a file", "the rows", "the size"])
def test_what_was_done_for_another_state_is_done_anew(rows_file: Path, start: Start, what: str) -> None:
    finish(start("die", 30), -signal.SIGKILL)
    if what == "a file":
        os.utime(rows_file.parent / "images/train-00.jpg", (1, 1))
    elif what == "the rows":
        write_rows(rows_file, read_rows(rows_file)[:-1])
    assert_as_undisturbed(rows_file, 40 if what == "the size" else 32)


def test_what_was_done_for_a_state_that_is_gone_is_cleared(rows_file: Path, start: Start) -> None:
    finish(start())
    before = (rows_file.parent / "images/train-00.jpg").stat().st_mtime_ns
    os.utime(rows_file.parent / "images/train-00.jpg", (1, 1))
    finish(start("die", 30), -signal.SIGKILL)
    assert partial(rows_file).is_dir()
    os.utime(rows_file.parent / "images/train-00.jpg", ns=(before, before))
    assert_as_undisturbed(rows_file)


@pytest.mark.parametrize(("name", "size"), [("images-32.u8", 5000), ("waves-8000.i16", 7), ("images-32.u8", 0)])
def test_arrays_that_are_shorter_than_the_journal_tells_are_made_whole(
    rows_file: Path, start: Start, name: str, size: int
) -> None:
    """As when power fails, and the disk has the one and not the other."""
    finish(start("die", 35), -signal.SIGKILL)
    os.truncate(partial(rows_file) / "contents" / name, size)
    assert_as_undisturbed(rows_file)


def test_processes_that_pack_at_once_share_the_work(rows_file: Path, start: Start) -> None:
    processes = [start() for _ in range(4)]
    waiting = f"waiting for another process that packs {rows_file.parent / 'packed'}\n"
    assert {process.communicate(timeout=120)[1] for process in processes} <= {"", waiting}
    assert [process.returncode for process in processes] == [0] * 4
    counts = decoded(rows_file)
    assert (len(counts), set(counts.values())) == (52, {1})
    assert_as_undisturbed(rows_file)


def test_who_waits_for_a_process_that_is_killed_goes_on_in_its_place(rows_file: Path, start: Start) -> None:
    first = start("hang", 30)
    wait_for(lambda: partial(rows_file).is_dir())
    second = start()
    assert second.stderr is not None
    wait_for(lambda: len(decoded_so_far(rows_file)) >= 30)
    assert second.stderr.readline() == f"waiting for another process that packs {rows_file.parent / 'packed'}\n"
    first.kill()
    finish(second)
    assert_as_undisturbed(rows_file)


def decoded_so_far(rows_file: Path) -> list[str]:
    return rows_file.with_name("decoded.txt").read_text(encoding="utf-8").splitlines()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
