"""Changes a catalogue at random until it is killed, saying what it does before and after: the other half of
test_crash.py. It needs no torch, so that it starts fast."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

from index.catalogue import Item
from index.compact import compact
from index.content import content_hash
from index.local import LocalCatalogue
from index.tuning import Tuning

D = 8
TUNING = Tuning(exact=60)


def main(folder: Path, seed: int) -> None:
    draw = random.Random(seed)
    if seed % 7 == 0:
        say("compact")
        compact(folder, TUNING)
        say("done")
    catalogue = LocalCatalogue.open(folder, writable=True, tuning=TUNING)
    say("open")
    for step in range(100_000):
        change(catalogue, draw, f"{seed}-{step}")


def change(catalogue: LocalCatalogue, draw: random.Random, label: str) -> None:
    ids = [f"i{n}" for n in draw.sample(range(400), draw.randint(1, 30))]
    kind = draw.choice(["put", "put", "delete", "update", "upkeep"])
    if kind == "put":
        put(catalogue, draw, ids, label)
    elif kind == "delete":
        say("delete", ids=ids)
        catalogue.delete(ids)
        say("done")
    elif kind == "update":
        there = [item for id in ids[:5] if (item := catalogue.get(id))]
        items = [Item(**{**vars(item), "label": label, "tags": (label,)}) for item in there]
        say("update", ids=[item.id for item in items], label=label)
        catalogue.update(items)
        say("done")
    elif draw.random() < 0.2:  # training and saving, besides what growth brings by itself
        catalogue.upkeep.make("image")
        catalogue.upkeep.save("image")


def put(catalogue: LocalCatalogue, draw: random.Random, ids: list[str], label: str) -> None:
    vectors = np.random.default_rng(draw.randrange(10**9)).normal(size=(len(ids), D)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    contents = [f"{draw.randrange(200)}".encode() * 50 if draw.random() < 0.3 else b"" for _ in ids]
    items = [
        Item(
            id,
            "sound" if draw.random() < 0.2 else "image",
            "" if data else "a.jpg",
            "image/jpeg",
            label,
            (label,),
            {"n": len(label)},
            content_hash(data) if data else "",
        )
        for id, data in zip(ids, contents, strict=True)
    ]
    described = [
        {"id": item.id, "modality": item.modality, "label": label, "content": item.content, "z": vector.tolist()}
        for item, vector in zip(items, vectors, strict=True)
    ]
    say("put", items=described)
    catalogue.put(items, vectors, {content_hash(data): data for data in contents if data})
    say("done")


def say(what: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"what": what, **more}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
