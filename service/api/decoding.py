"""The files of a request, decoded and embedded, and the errors of those that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from service.engine import Engine, Upload
from service.parts import Parts
from service.problems import Problem, media_problem
from service.schemas import ProblemDocument
from training.model.embedder import Embedding
from training.model.media.source import MediaError
from training.model.memory import Modality

T = TypeVar("T")


class Decoded:
    """What became of a request's files.

    Args:
        outcomes: of each file, in order, its packed form or what is wrong with it.
    """

    def __init__(self, outcomes: Sequence[npt.NDArray[Any] | MediaError]) -> None:
        self.packed = [outcome for outcome in outcomes if not isinstance(outcome, MediaError)]
        self.errors: list[Problem | None] = [
            media_problem(outcome) if isinstance(outcome, MediaError) else None for outcome in outcomes
        ]

    def keep(self, outcomes: Sequence[T | Problem]) -> list[T]:
        """What became of the decoded files since: those that failed have an error from now on.

        Raises:
            Problem: all files have failed.
        """
        places = [place for place, problem in enumerate(self.errors) if problem is None]
        for place, outcome in zip(places, outcomes, strict=True):
            if isinstance(outcome, Problem):
                self.errors[place] = outcome
        kept = [outcome for outcome in outcomes if not isinstance(outcome, Problem)]
        if not kept:
            raise all_failed([problem for problem in self.errors if problem])
        return kept

    def results(self, uploads: Sequence[Upload], kind: Callable[..., T], result: Callable[[Upload, int], T]) -> list[T]:
        """Of each upload its result, in order.

        Args:
            uploads: the request's.
            kind: the results' schema; one of a file that failed has its `error`.
            result: makes the others, of an upload and its place among those that did not fail.
        """
        results: list[T] = []
        place = 0
        for upload, problem in zip(uploads, self.errors, strict=True):
            if problem:
                results.append(kind(name=upload.name, error=ProblemDocument(**problem.document())))
            else:
                results.append(result(upload, place))
                place += 1
        return results


async def decode(engine: Engine, uploads: Sequence[Upload], modality: Modality) -> Decoded:
    """Decode a request's files; when all fail, the first one's problem is the answer."""
    decoded = Decoded(await engine.decode(uploads, modality))
    if not decoded.packed:
        raise all_failed([problem for problem in decoded.errors if problem])
    return decoded


async def embed(engine: Engine, decoded: Decoded, modality: Modality) -> Embedding:
    """h and z of decoded files; one that the model has no answer for fails alone."""
    found = decoded.keep(await engine.embed_each(decoded.packed, modality))
    return Embedding(np.stack([h for h, _ in found]), np.stack([z for _, z in found]))


async def embed_parts(engine: Engine, decoded: Decoded, modality: Modality) -> Parts:
    """The same part by part; the whole is made of the parts, so nothing is computed twice."""
    if modality == "image":
        whole = await embed(engine, decoded, modality)
        return Parts(modality, whole, whole, [[] for _ in whole.z], [1] * len(whole.z))
    windows = [engine.embedder.cut(wave) for wave in decoded.packed]
    outcomes = iter(await engine.embed_each([window.wave for pieces in windows for window in pieces], modality))
    # a sound of which the model has no answer for one window has none for the whole
    sounds = [[next(outcomes) for _ in pieces] for pieces in windows]
    failed = [next((part for part in parts if isinstance(part, Problem)), None) for parts in sounds]
    kept = decoded.keep([problem or place for place, problem in enumerate(failed)])
    parts = [part for place in kept for part in sounds[place] if not isinstance(part, Problem)]
    each = Embedding(np.stack([h for h, _ in parts]), np.stack([z for _, z in parts]))
    counts = [len(windows[place]) for place in kept]
    whole = await engine.call(engine.embedder.pool, each.h, counts)
    return Parts(modality, whole, each, [windows[place] for place in kept], counts)


def all_failed(problems: Sequence[Problem]) -> Problem:
    """The answer to a request of which each file failed: the first one's problem, with the others'."""
    first, *others = problems
    return first.having(errors=[problem.document() for problem in others]) if others else first
