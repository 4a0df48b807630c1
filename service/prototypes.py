"""Classes that nobody trained: of each label in the catalogue the mean of its items' projections."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from index.catalogue import MODALITIES, Catalogue, Item, Modality
from index.filter import Filter
from service.explaining import vectors_of
from service.limits import Limits
from service.problems import Problem

TEMPERATURE = 0.1  # of the softmax: the one at which the paper's losses compare projections, tau_l
EACH = 500  # items of a modality that make a label's prototype: the first that came
LOOKED_AT = 10_000  # items of a label that are looked at to find them
ALL = 50_000  # items that are looked at to find every label
FRESH = 1.0  # seconds for which prototypes are kept where a catalogue can't tell that it has changed
REST = 10  # times as long as it took to make prototypes they are kept, whatever changes, so that changes cost little
KEPT = 64  # prototypes of different questions

Kind = Literal["image", "sound", "both"]
Floats = npt.NDArray[np.float32]
Ids = dict[Modality, list[str]]
Question = tuple[tuple[str, ...], Kind]


@dataclass(frozen=True)
class Prototypes:
    """Labels with a unit vector each.

    Attributes:
        labels: L of them.
        vectors: `[L, d]`.
    """

    labels: list[str]
    vectors: Floats

    def probabilities(self, z: Floats) -> Floats:
        """Softmax over the cosines of projections `[..., d]` with the prototypes, `[..., L]`."""
        logits = z @ self.vectors.T / TEMPERATURE
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
        return shares


@dataclass(frozen=True)
class Kept:
    """Prototypes with the change of the catalogue that they are of, and until when they are good whatever changes."""

    prototypes: Prototypes
    change: int | None
    until: float


class Shelf:
    """Prototypes of a catalogue's labels, kept until it changes so that many requests do not each read the catalogue.

    Safe to use from many threads.

    Args:
        catalogue: that holds the items.
        most: labels that may be named.
    """

    def __init__(self, catalogue: Catalogue, most: int = Limits.labels) -> None:
        self.catalogue, self.most = catalogue, most
        self._lock = threading.Lock()
        self._kept: dict[Question, Kept] = {}  # the last that was asked for comes last

    def prototypes(self, labels: Sequence[str], kind: Kind) -> Prototypes:
        """The prototypes of some labels, or with `*` among them of all that have items of this kind.

        Raises:
            Problem: a label has no items, or there are too many labels.
        """
        key: Question = (("*",) if "*" in labels else tuple(labels), kind)
        with self._lock:  # so that the same is not made twice at once
            change, begun = self.catalogue.changes(), time.monotonic()
            kept = self._kept.pop(key, None)
            if kept is None or (begun >= kept.until and (change is None or change != kept.change)):
                made, now = self._make(labels, kind), time.monotonic()
                rest = max(REST * (now - begun), FRESH if change is None else 0)
                kept = Kept(made, change, now + rest)
            self._kept[key] = kept
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
            return kept.prototypes

    def _make(self, labels: Sequence[str], kind: Kind) -> Prototypes:
        wanted: tuple[Modality, ...] = MODALITIES if kind == "both" else (kind,)
        ids = self._every(wanted) if "*" in labels else self._named(labels, wanted)
        vectors = vectors_of(self.catalogue, [id for of in ids.values() for some in of.values() for id in some])
        means = {label: _mean(of, vectors) for label, of in ids.items()}
        there = {label: mean for label, mean in means.items() if mean is not None}
        if not there:
            raise Problem("invalid-request", f"No {_what(wanted)} of the catalogue has a label; add some with labels.")
        return Prototypes(list(there), np.stack(list(there.values())))

    def _every(self, wanted: Sequence[Modality]) -> dict[str, Ids]:
        items = self.catalogue.list()
        ids: dict[str, Ids] = defaultdict(lambda: {modality: [] for modality in wanted})
        for item in islice(items, ALL):
            if item.label and item.modality in wanted:
                some = ids[item.label][item.modality]
                if len(some) < EACH:
                    some.append(item.id)
        if next(items, None) is not None:
            raise Problem(
                "invalid-request",
                f"labels=* reads {ALL:,} items and the catalogue has more; name the labels.",
                limit=ALL,
            )
        return ids

    def _named(self, labels: Iterable[str], wanted: Sequence[Modality]) -> dict[str, Ids]:
        """The items of each label; a text with commas that is no label is several."""
        ids: dict[str, Ids] = {}
        for text in labels:
            found = self._of(text, wanted)
            parts = [text] if found or "," not in text else [part.strip() for part in text.split(",")]
            for label in filter(None, parts):
                if len(ids) >= self.most and label not in ids:
                    said = f"A request may name {self.most} labels; name fewer."
                    raise Problem("invalid-request", said, limit=self.most)
                of = ids[label] if label in ids else found if label == text else self._of(label, wanted)
                if not of:
                    raise Problem(
                        "invalid-request",
                        f"No {_what(wanted)} of the catalogue has the label '{label[:80]}'; GET /v1/labels lists those "
                        "that there are.",
                    )
                ids[label] = of
        return ids

    def _of(self, label: str, wanted: Sequence[Modality]) -> Ids:
        """The ids of a label's first items, of each modality that it has."""
        ids: Ids = {}
        item: Item
        for item in islice(self.catalogue.list(Filter(labels=(label,))), LOOKED_AT):
            some = ids.setdefault(item.modality, []) if item.modality in wanted else []
            if item.modality in wanted and len(some) < EACH:
                some.append(item.id)
            if len(ids) == len(wanted) and all(len(some) >= EACH for some in ids.values()):
                break
        return ids


def _mean(ids: Ids, vectors: dict[str, Floats]) -> Floats | None:
    """The unit vector amid a label's items, images and sounds weighing the same; None where none is left."""
    there = [[vectors[id] for id in some if id in vectors] for some in ids.values()]
    means = [np.mean(some, axis=0) for some in there if some]
    if not means:
        return None
    middle = np.mean(means, axis=0)
    unit: Floats = (middle / max(float(np.linalg.norm(middle)), 1e-12)).astype(np.float32)
    return unit


def _what(wanted: Sequence[Modality]) -> str:
    return wanted[0] if len(wanted) == 1 else "item"
