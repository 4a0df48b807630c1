"""The decoded files of a request, and the errors of those that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from service.engine import Engine, Upload
from service.problems import Problem, media_problem
from service.schemas import ProblemDocument
from training.model.media.source import MediaError
from training.model.memory import Modality


class Decoded:
    """What became of a request's files.

    Args:
        outcomes: of each file, in order, its packed form or what is wrong with it.
    """

    def __init__(self, outcomes: Sequence[npt.NDArray[Any] | MediaError]) -> None:
        self.packed = [outcome for outcome in outcomes if not isinstance(outcome, MediaError)]
        self.errors = [media_problem(outcome) if isinstance(outcome, MediaError) else None for outcome in outcomes]

    def places(self, uploads: Sequence[Upload]) -> list[tuple[Upload, ProblemDocument | None, int]]:
        """Each upload with its error, or with its place among the decoded ones."""
        places, place = [], 0
        for upload, problem in zip(uploads, self.errors, strict=True):
            places.append((upload, ProblemDocument(**problem.document()) if problem else None, place))
            place += problem is None
        return places


async def decode(engine: Engine, uploads: Sequence[Upload], modality: Modality) -> Decoded:
    """Decode a request's files; when all fail, the first one's problem is the answer."""
    decoded = Decoded(await engine.decode(uploads, modality))
    if not decoded.packed:
        raise all_failed([problem for problem in decoded.errors if problem])
    return decoded


def all_failed(problems: Sequence[Problem]) -> Problem:
    """The answer to a request of which each file failed: the first one's problem, with the others'."""
    first, *others = problems
    if others:
        first.extra["errors"] = [problem.document() for problem in others]
    return first
