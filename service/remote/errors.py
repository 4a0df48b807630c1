"""What can go wrong between a client and a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ServiceError(Exception):
    """An answer that is an error: `status`, and the problem document in `problem`."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"the service answered {status}"))
        self.status = status
        self.problem = dict(problem)


class NoAnswer(ServiceError):
    """No answer came: nobody listens there, the connection broke or took too long; `status` is 0."""

    def __init__(self, sentence: str) -> None:
        super().__init__(0, {"detail": sentence})
