"""HTML made of elements, in which text is escaped unless it already is HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

VOID = {"img", "input", "br"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: object) -> Markup:
    """`<tag attributes>children</tag>`.

    Children that are not `Markup` are escaped, None is left out. So are attributes that are None or False; True stands
    without a value. `class_` is class, `aria_label` aria-label.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Markup(f"<{tag}{named}>")
    return Markup(f"<{tag}{named}>{join(child for child in children if child is not None)}</{tag}>")


def join(children: Iterable[str]) -> Markup:
    """Children one after the other, escaped unless they are `Markup`."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def data_block(value: Any) -> Markup:
    """JSON for a script to read; nothing in it can end the block."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return element("script", Markup(text), type="application/json")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
