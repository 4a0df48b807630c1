"""The vectors of one modality in FAISS, by number: added, removed, searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from index.plan import Plan, candidates

Numbers = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Found = list[list[tuple[float, int]]]  # of each query (score, number), best first
Fetch = Callable[[Numbers], Vectors]  # vectors as they are, of numbers that are there, in order

FORGOTTEN = 256  # numbers that searches skip before they are taken out of the index, which reads all of it
FEW = 2_000  # that pass a filter: fetched and compared, rather than sought in the lists
TIE = 5e-7  # scores that differ by no more are of equal vectors
PASSING = 200_000  # that pass a filter: all lists are read, as most of what is in them is skipped


@dataclass(frozen=True)
class Passing:
    """The numbers of a modality that pass a filter, ascending, and FAISS's selector of them."""

    numbers: Numbers
    selector: Any

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class Position:
    """How far an index has followed the database.

    Attributes:
        number: of the last item that was added.
        removal: the last one.
        generation: how often all vectors were made anew.
        change: the last transaction of any kind.
    """

    number: int = 0
    removal: int = 0
    generation: int = 0
    change: int = 0


@dataclass(frozen=True)
class Curve:
    """Recall by the number of lists read, as it was measured when the index was made.

    Attributes:
        count: vectors that were in the index.
        recalls: for each k that was measured, (lists read, recall at k) in rising order.
    """

    count: int = 0
    recalls: dict[int, list[tuple[int, float]]] = field(default_factory=dict)

    def lists(self, k: int, recall: float, most: int) -> int:
        """The fewest lists whose recall reached `recall` for k hits; all where none did, or none was measured."""
        measured = [at for at in sorted(self.recalls) if at >= k]
        if not measured:
            return most
        return min(next((lists for lists, reached in self.recalls[measured[0]] if reached >= recall), most), most)


class Neighbours:
    """A FAISS index, what has been removed from it, and how far it has followed the database.

    Searches may run side by side; `add` and `remove` must be alone. Scores are inner products of whole vectors: where
    codes are compressed, candidates are compared again.

    Args:
        index: takes ids of ours; trained.
        plan: what it is.
        position: of the database when the vectors in it were read.
        curve: recall by lists read; empty for an exact index.
    """

    def __init__(self, index: Any, plan: Plan, position: Position | None = None, curve: Curve | None = None) -> None:
        self.index, self.plan = index, plan
        self.position = position or Position()
        self.curve = curve or Curve()
        self.saved = self.position  # where a snapshot of it was last written, or tried
        self._forgotten: set[int] = set()

    def __len__(self) -> int:
        return int(self.index.ntotal) - len(self._forgotten)

    @property
    def is_exact(self) -> bool:
        """Whether a search compares every vector."""
        return self.plan.kind == "flat"

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        """Vectors `[N, d]` under numbers that are not there."""
        self.index.add_with_ids(np.ascontiguousarray(vectors), numbers)

    def remove(self, numbers: Numbers) -> None:
        """Forget numbers that are there."""
        self._forgotten.update(numbers.tolist())
        if len(self._forgotten) > FORGOTTEN:
            self.settle()

    def settle(self) -> None:
        """Take what is forgotten out of the index."""
        if self._forgotten:
            self.index.remove_ids(np.fromiter(self._forgotten, np.int64, len(self._forgotten)))
            self._forgotten.clear()

    def numbers(self) -> Numbers:
        """All that are in it, in no order."""
        if self.is_exact:
            there = faiss.vector_to_array(self.index.id_map)
        else:
            lists = self.index.invlists
            parts = [
                faiss.rev_swig_ptr(lists.get_ids(at), lists.list_size(at)).copy()
                for at in range(lists.nlist)
                if lists.list_size(at)
            ]
            there = np.concatenate(parts) if parts else np.empty(0, np.int64)
        gone = np.fromiter(self._forgotten, np.int64, len(self._forgotten))
        return np.setdiff1d(there, gone) if len(gone) else there

    def search(self, queries: Vectors, k: int, recall: float, fetch: Fetch, passing: Passing | None = None) -> Found:
        """The k nearest numbers to each query, best first; ties by number.

        Args:
            queries: `[Q, d]` of unit length.
            k: hits; fewer come back only where fewer are there, or pass.
            recall: of the k nearest, the share that is to be found; an exact index finds all.
            fetch: whole vectors by number.
            passing: only these numbers, all of them there.
        """
        available = len(self) if passing is None else len(passing)
        k = min(k, available)
        if k == 0 or not len(queries):
            return [[] for _ in queries]
        if passing is not None and len(passing) <= FEW and not self.is_exact:
            return _best(passing.numbers, queries @ fetch(passing.numbers).T, k)
        lists = self._lists(k, recall, passing)
        selector = None if passing is None else passing.selector
        found = self.read(queries, k, lists, fetch, selector, available)
        # Lists may hold fewer than asked for. And where a filter goes along with the lists (a label is a cluster), how
        # many to read can't be known: more are read until that changes nothing.
        doubtful = [at for at, row in enumerate(found) if len(row) < k or selector is not None]
        while doubtful and lists < self.plan.lists:
            lists = min(4 * lists, self.plan.lists)
            rows = self.read(queries[doubtful], k, lists, fetch, selector, available)
            settled = {at for at, row in zip(doubtful, rows, strict=True) if row == found[at] and len(row) == k}
            for at, row in zip(doubtful, rows, strict=True):
                found[at] = row
            doubtful = [at for at in doubtful if at not in settled and (len(found[at]) < k or selector is not None)]
        return found

    def read(
        self, queries: Vectors, k: int, lists: int, fetch: Fetch, selector: Any = None, available: int | None = None
    ) -> Found:
        """The k nearest that the lists nearest to each query hold, as `search` gives them; fewer where they hold fewer.

        Args:
            queries: `[Q, d]` of unit length.
            k: hits.
            lists: how many to read; not used by an exact index.
            fetch: whole vectors by number.
            selector: FAISS's, of the numbers that pass.
            available: how many pass.
        """
        found = self._candidates(queries, k, len(self) if available is None else available, lists, selector)
        if self.plan.kind in ("flat", "ivf-flat"):
            return [_ranked(row)[:k] for row in found]
        return [_again(row, query, k, fetch) for row, query in zip(found, queries, strict=True)]

    def _lists(self, k: int, recall: float, passing: Passing | None) -> int:
        if passing is None:
            return self.curve.lists(k, recall, self.plan.lists)
        if len(passing) <= PASSING:
            return self.plan.lists
        # k of those that pass are the nearest of so many of all
        return self.curve.lists(-(-k * len(self) // len(passing)) * 2, recall, self.plan.lists)

    def _candidates(self, queries: Vectors, k: int, available: int, lists: int, selector: Any) -> Found:
        """Of each query the best (score by codes, number): so many that the cut falls between two scores, as FAISS cuts
        through ties as it pleases, and that what is forgotten can be left out."""
        forgotten = len(self._forgotten) if selector is None else 0
        most = available + forgotten
        wanted = min(candidates(self.plan.kind, k) + 1 + forgotten, most)
        while True:
            scores, numbers = self._run(queries, wanted, lists, selector)
            cut = scores[:, min(k - 1 + forgotten, wanted - 1)]
            if wanted == most or ((scores[:, -1] < cut - TIE) | (numbers[:, -1] < 0)).all():
                break
            wanted = min(2 * wanted, most)
        pairs = (zip(row, at, strict=True) for row, at in zip(scores.tolist(), numbers.tolist(), strict=True))
        gone = self._forgotten
        return [[(score, at) for score, at in row if at >= 0 and at not in gone] for row in pairs]

    def _run(self, queries: Vectors, k: int, lists: int, selector: Any) -> tuple[Vectors, Numbers]:
        if self.is_exact:
            parameters = None if selector is None else faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        elif selector is None:
            parameters = faiss.SearchParametersIVF(nprobe=lists)  # type: ignore[call-arg]
        else:
            parameters = faiss.SearchParametersIVF(nprobe=lists, sel=selector)  # type: ignore[call-arg]
        scores, numbers = self.index.search(queries, k, params=parameters)
        return scores, numbers


def _again(row: list[tuple[float, int]], query: Vectors, k: int, fetch: Fetch) -> list[tuple[float, int]]:
    """Candidates that compressed codes have found, by their whole vectors."""
    numbers = np.sort(np.array([number for _, number in row], np.int64))
    return _best(numbers, (fetch(numbers) @ query)[None], k)[0] if len(numbers) else []


def _best(numbers: Numbers, scores: Vectors, k: int) -> Found:
    """The k best of `[Q, N]` scores."""
    if k < scores.shape[1]:
        kth = -np.partition(-scores, k - 1, axis=1)[:, k - 1]
        rows = [(row, np.flatnonzero(row >= least - TIE)) for row, least in zip(scores, kth, strict=True)]
    else:
        rows = [(row, np.arange(len(row))) for row in scores]
    return [_ranked(list(zip(row[at].tolist(), numbers[at].tolist(), strict=True)))[:k] for row, at in rows]


def _ranked(row: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Best first. Scores of equal vectors may differ by rounding, as libraries sum in blocks: such are made equal, and
    equal ones come by number."""
    ranked = sorted(row, key=_rank)
    for at in range(1, len(ranked)):
        first, (score, number) = ranked[at - 1][0], ranked[at]
        if first - score <= TIE:
            ranked[at] = (first, number)
    return sorted(ranked, key=_rank)


def _rank(scored: tuple[float, int]) -> tuple[float, int]:
    score, number = scored
    return -score, number
