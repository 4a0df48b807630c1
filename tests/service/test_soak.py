"""The soak in short: overload and hostile clients lose, break and leave behind nothing; no goal on speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import goals

ROOT = Path(__file__).parents[2]
Measured = dict[str, Any]
SOAK = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.13", "--short"]


@pytest.fixture(scope="module")
def measured(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    file = tmp_path_factory.mktemp("soak") / "soak.json"
    command = [*SOAK, "--bundle", str(bundle_folder), "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: Measured = json.loads(file.read_text())
    return found


def test_nothing_is_lost_and_nothing_breaks(measured: Measured) -> None:
    loud = measured["loud"]
    assert measured["missed"] == []
    assert loud["statuses"]["200"] > 0
    assert measured["acknowledged"] > 50
    assert loud["hostile"]["hang up"]["gone"] > 0
    assert loud["hostile"]["rubbish"].keys() & {"400", "415", "422"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("lost", ["an-id"], "every acknowledged change"),
        ("check", 1, "--deep finds nothing"),
        ("errors", 1, "no traceback"),
        ("status", 0, "SIGTERM"),
        ("end", {"memory": 1e12}, "memory does not grow"),
        ("quiet", {"threads": 1, "files": 999, "places": 0}, "threads and files"),
        ("quiet", {"threads": 1, "files": 1, "places": 1}, "no place is taken"),
        ("shares", [0.1], "goodput is at least 0.9"),
        ("deadline", 1e-6, "p99 of what was accepted"),
    ],
)
def test_a_goal_that_is_missed_is_named(measured: Measured, name: str, value: object, words: str) -> None:
    good = goals({**measured, "shares": [1.0], "deadline": 1e6}, short=False)
    assert [said for said, reached in good.items() if not reached] == []
    bad = goals({**measured, "shares": [1.0], "deadline": 1e6, name: value}, short=False)
    assert [words in said for said, reached in bad.items() if not reached] == [True]


@pytest.mark.parametrize("status", ["500", "broken", "silent", "404"])
def test_no_other_answer_is_good_enough(measured: Measured, status: str) -> None:
    loud = {**measured["loud"], "statuses": {"200": 5, status: 1}}
    bad = goals({**measured, "loud": loud}, short=True)
    assert ["every request is answered" in said for said, reached in bad.items() if not reached] == [True]


def test_rubbish_that_is_taken_is_told(measured: Measured) -> None:
    loud = {**measured["loud"], "hostile": {"rubbish": {"200": 1}}}
    bad = goals({**measured, "loud": loud}, short=True)
    assert ["rubbish is answered with 4xx" in said for said, reached in bad.items() if not reached] == [True]
