"""JSON that clients write, nested no deeper than the limit."""

from __future__ import annotations

import json
from typing import Any

from service.limits import Limits
from service.problems import Problem


def read_json(text: str | bytes, what: str, limits: Limits) -> Any:
    """What a JSON text says.

    Args:
        text: as it came.
        what: it is, for the message.
        limits: with `json_depth`.

    Raises:
        ValueError: it is not JSON.
        Problem: its objects and lists are nested deeper than the limit.
    """
    most = limits.json_depth
    try:
        value = json.loads(text)
    except RecursionError:
        value = None
    else:
        if not _deeper(value, most):
            return value
    raise Problem("invalid-request", f"{what} may be nested {most} deep; flatten it.", limit=most)


def _deeper(value: Any, most: int) -> bool:
    """Whether there are more than so many objects and lists in each other."""
    level = [value]
    for _ in range(most):
        level = [inner for outer in level for inner in _inside(outer)]
    return any(isinstance(inner, dict | list) for inner in level)


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
