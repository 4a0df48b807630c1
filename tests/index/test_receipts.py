"""Receipts are there until they are old or others need their room; where they can't be kept, work goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from index import receipts
from index.local import LocalCatalogue
from index.receipts import FILE, Receipt, Receipts, UnderWay

DONE = Receipt("add a dog", "added")


@pytest.fixture(params=["on disk", "in memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Receipts:
    return Receipts(tmp_path / FILE if request.param == "on disk" else None)


def test_what_was_kept_is_found_by_its_key(kept: Receipts) -> None:
    assert kept.find("a") is None
    kept.keep("a", DONE)
    kept.keep("b", Receipt("add a cat", "ä" * 1000))
    assert kept.find("a") == DONE
    assert kept.find("b") == Receipt("add a cat", "ä" * 1000)
    assert kept.find("c") is None
    kept.keep("a", Receipt("add a cow", "added too"))
    assert kept.find("a") == Receipt("add a cow", "added too")
    kept.close()


def test_one_at_a_time_has_a_key(kept: Receipts) -> None:
    with kept.claim("a"), kept.claim("b"), pytest.raises(UnderWay), kept.claim("a"):
        pass
    with pytest.raises(ValueError, match="broken"), kept.claim("a"):
        raise ValueError("broken")
    with kept.claim("a"):
        pass


def test_what_is_older_than_a_day_is_gone(kept: Receipts, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("index.receipts.time.time", lambda: now)
    kept.keep("a", DONE)
    now += receipts.AGE - 1
    assert kept.find("a") == DONE
    now += 2
    assert kept.find("a") is None
    kept.keep("b", DONE)
    now -= receipts.AGE
    assert kept.find("a") is None, "it only hid"
    kept.close()


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "ROOM", 10_000)
    kept = Receipts(tmp_path / FILE)

    def fill(names: range) -> None:
        for number in names:
            kept.keep(str(number), Receipt("", "x" * 744))  # a thousand bytes with what is around it

    def there(names: range) -> list[int]:
        return [number for number in names if kept.find(str(number))]

    fill(range(25))
    assert there(range(25)) == list(range(15, 25))
    for _ in range(5):
        kept.keep("24", Receipt("", "y" * 744))  # in the place of what it was
    assert there(range(25)) == list(range(15, 25))
    kept.close()
    kept = Receipts(tmp_path / FILE)  # which knows how much there is
    fill(range(25, 30))
    assert there(range(30)) == list(range(20, 30))
    kept.close()


def test_an_answer_that_is_too_long_is_not_kept(kept: Receipts) -> None:
    kept.keep("a", Receipt("", "x" * receipts.LARGEST))
    assert kept.find("a") is None
    kept.keep("a", Receipt("", "x" * (receipts.LARGEST - 1000)))
    assert kept.find("a") is not None
    kept.close()


def test_they_outlive_a_kill(tmp_path: Path) -> None:
    code = (
        "import os, signal, pathlib; from index.receipts import Receipt, Receipts\n"
        f"Receipts(pathlib.Path({str(tmp_path / FILE)!r})).keep('a', Receipt('add a dog', 'added'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    kept = Receipts(tmp_path / FILE)
    assert kept.find("a") == DONE
    kept.close()


def test_where_they_can_not_be_kept_there_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    kept = Receipts(tmp_path / FILE)
    kept.keep("a", DONE)
    assert kept.find("a") is None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all(str(tmp_path / FILE) in line and "is made again" in line for line in said)
    kept.close()


def test_a_catalogue_that_is_written_has_them_in_its_folder(tmp_path: Path) -> None:
    catalogue = LocalCatalogue.create(tmp_path / "c", "f", 4, tmp_path)
    assert not (tmp_path / "c" / FILE).exists(), "nobody asked for it"
    catalogue.receipts.keep("a", DONE)
    catalogue.close()
    assert (tmp_path / "c" / FILE).stat().st_size
    catalogue = LocalCatalogue.open(tmp_path / "c", writable=True)
    assert catalogue.receipts.find("a") == DONE
    catalogue.close()
