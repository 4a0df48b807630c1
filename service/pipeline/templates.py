"""Paths as they are counted: by their templates, of which there are few."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable

from starlette.routing import compile_path
from starlette.types import Scope

OTHER = "other"
PATHS = 256  # that were asked for lately


class Templates:
    """Finds the template of a request's path, such as `/v1/items/{id}`.

    Args:
        templates: all that there are; asked once, when first needed.
    """

    def __init__(self, templates: Callable[[], Iterable[str]]) -> None:
        self._templates = templates
        self._compiled: list[tuple[str, re.Pattern[str]]] = []
        self._template = functools.lru_cache(PATHS)(self._find)

    def __call__(self, scope: Scope) -> str:
        """Of the route that answered or, where something before it did, would have; `OTHER` where there is none."""
        if path := getattr(scope.get("route"), "path", None):
            return str(path)
        return self._template(scope["path"])

    def _find(self, sent: str) -> str:
        if not self._compiled:
            self._compiled = [(path, compile_path(path)[0]) for path in self._templates()]
        return next((path for path, pattern in self._compiled if pattern.match(sent)), OTHER)
