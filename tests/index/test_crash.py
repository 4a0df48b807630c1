"""kill -9 of a writer at random moments: all that was acknowledged is there, nothing else but, as a whole, the change
that was under way. CRASH_ROUNDS sets how many rounds there are."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from index.catalogue import Item
from index.check import check
from index.local import LocalCatalogue
from index.tuning import Tuning

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "15"))
WRITER = Path(__file__).with_name("crash_writer.py")
TUNING = Tuning(exact=60)
State = dict[str, dict[str, Any]]


def test_no_kill_loses_what_was_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    (tmp_path / "a.jpg").write_bytes(b"a")
    LocalCatalogue.create(folder, "f", 8, tmp_path, TUNING).close()
    state: State = {}
    draw = random.Random(0)
    seen: dict[str, int] = {}
    for round in range(ROUNDS):
        lines = killed(folder, round, draw.choice([0.0, 0.02, 0.1, 0.4, 0.8]) * draw.random())
        under_way = None
        for line in lines:
            if line["what"] == "done":
                state, under_way = (applied(state, under_way) if under_way else state), None
            elif line["what"] != "open":
                under_way = line
        assert check_after(folder, state, under_way, seen) == [], f"round {round}"
        state = now(folder)
    sys.stdout.write(f"{ROUNDS} rounds; killed during {seen}; {len(state)} items at the end\n")
    assert seen


def killed(folder: Path, seed: int, delay: float) -> list[dict[str, Any]]:
    """What a writer said until it was killed, so many seconds after its first word."""
    command = [sys.executable, str(WRITER), str(folder), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        time.sleep(delay)
        process.kill()
        said = first + process.stdout.read()
        errors = process.stderr.read().decode()
    assert "Traceback" not in errors, errors
    assert first, errors
    return [json.loads(line) for line in said.splitlines() if line.endswith(b"}")]


def check_after(folder: Path, state: State, under_way: dict[str, Any] | None, seen: dict[str, int]) -> list[str]:
    found = now(folder)  # opened for writing: what a crash has left is cleared
    possible = [state] if under_way is None else [state, applied(state, under_way)]
    assert found in possible
    kind = under_way["what"] if under_way else "between"
    seen[kind] = seen.get(kind, 0) + 1
    return check(folder, deep=True)


def applied(state: State, change: dict[str, Any]) -> State:
    """The state after a change."""
    after = dict(state)
    if change["what"] == "put":
        for item in change["items"]:
            after[item["id"]] = item
    elif change["what"] == "delete":
        for id in change["ids"]:
            after.pop(id, None)
    elif change["what"] == "update":
        for id in change["ids"]:
            after[id] = {**after[id], "label": change["label"]}
    return after


def now(folder: Path) -> State:
    """What a catalogue says that it holds: items, vectors, content, the tags of each in the filters' tables."""
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=TUNING)
    items = list(catalogue.list())
    vectors = catalogue.vectors([item.id for item in items])
    if items:
        for modality in ("image", "sound"):
            count = sum(item.modality == modality for item in items)
            assert len(catalogue.search(vectors[:1], modality, 1000)[0]) == count
    assert all(whole(catalogue, item) for item in items)
    catalogue.close()
    return {item.id: described(item, vector.tolist()) for item, vector in zip(items, vectors, strict=True)}


def whole(catalogue: LocalCatalogue, item: Item) -> bool:
    return item.tags == (item.label,) and catalogue.file(item).is_file()


def described(item: Item, z: list[float]) -> dict[str, Any]:
    assert np.isfinite(z).all()
    return {"id": item.id, "modality": item.modality, "label": item.label, "content": item.content, "z": z}
