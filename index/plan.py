"""Which FAISS index suits how many vectors and how much memory."""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import faiss

Kind = Literal["flat", "ivf-flat", "ivf-sq8", "ivf-pq"]

EXACT = 50_000  # vectors of a modality; up to here a search compares all of them
SAMPLES = 64  # training vectors for each list
ID_BYTES = 8
# Of ten hits asked for, how many more candidates are compared again by their whole vectors; of more hits, as many times
# more as their square root.
CANDIDATES: dict[Kind, int] = {"flat": 0, "ivf-flat": 0, "ivf-sq8": 10, "ivf-pq": 70}


@dataclass(frozen=True)
class Plan:
    """An index to make.

    Attributes:
        kind: `flat` compares every vector; `ivf-…` those in the lists nearest to the query, as whole vectors, as 8 bits
            a component (SQ8), or as product-quantised codes of 4 bits a component (PQ).
        lists: of the inverted file; 0 for `flat`.
    """

    kind: Kind
    lists: int = 0

    def make(self, dimension: int) -> Any:
        """The FAISS index, empty and not trained, that takes vectors under ids of ours."""
        if self.kind == "flat":
            return faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        return faiss.index_factory(
            dimension, f"IVF{self.lists},{_codes(self.kind, dimension)}", faiss.METRIC_INNER_PRODUCT
        )


def plan(count: int, dimension: int, memory: int, exact: int = EXACT) -> Plan:
    """The most exact kind of index whose `count` vectors of float32 `[dimension]` fit into `memory` bytes.

    PQ is taken where nothing fits: it is the smallest that there is.
    """
    if count <= exact:
        return Plan("flat")
    # FAISS's guidance: some sqrt(count) lists; a power of two
    lists = 2 ** round(math.log2(max(4.0, 2 * math.sqrt(count))))
    kinds: tuple[Kind, ...] = ("ivf-flat", "ivf-sq8", "ivf-pq")
    for kind in kinds:
        if count * (code_bytes(kind, dimension) + ID_BYTES) <= memory:
            break
    return Plan(kind, lists)


def candidates(kind: Kind, k: int) -> int:
    """How many candidates by their codes are compared again for k hits."""
    return k + math.ceil(CANDIDATES[kind] * math.sqrt(k / 10))


def code_bytes(kind: Kind, dimension: int) -> int:
    """What a vector takes in an index, without its id."""
    return {"flat": 4 * dimension, "ivf-flat": 4 * dimension, "ivf-sq8": dimension, "ivf-pq": (dimension + 1) // 2}[
        kind
    ]


def default_memory() -> int:
    """Half of this machine's memory, in bytes, or of what its control group allows."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no such group, or no limit
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return total // 2


def _codes(kind: Kind, dimension: int) -> str:
    if kind == "ivf-pq":
        # np: codes are numbered as they come; to number them so that their Hamming distances mean something takes
        # eighteen times as long as all the rest of the training, and no search here asks for that
        return f"PQ{max(1, dimension // 2)}x8np" if dimension % 2 == 0 else "SQ4"
    return "SQ8" if kind == "ivf-sq8" else "Flat"
