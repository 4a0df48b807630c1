"""A picture that stands alone as an SVG file: panels side by side, with titles, legends and a style of their own."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from training.report.markup import Markup, element

MARGIN, GAP = 24, 32
TITLE, LINE, KEYS = 18, 17, 22  # heights: of a title, of a line of text, of a line of the legend
LETTER = 6.6  # widths can't be measured here: about that of a letter at 13 px
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Key:
    """What a legend says of one thing: its name, its look (CSS classes), its value, and the path of its mark around
    (0, 0)."""

    name: str
    look: str
    value: str = ""
    mark: str = "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"


@dataclass(frozen=True)
class Panel:
    """A drawing with what stands above it.

    Attributes:
        title: a few words.
        about: what is drawn, in a sentence or two.
        drawing: an `svg` or `g` that fills width and height from (0, 0).
        width: in pixels.
        height: in pixels.
        keys: the legend.
    """

    title: str
    about: str
    drawing: Markup
    width: int
    height: int
    keys: Sequence[Key] = field(default_factory=tuple)


def frame(panels: Sequence[Panel], foot: str) -> str:
    """An SVG document of at least one panel, with a line below that says what it was made of. It refers to nothing
    outside."""
    about = [textwrap.wrap(panel.about, int(panel.width / LETTER)) for panel in panels]
    keys = [_flow(panel) for panel in panels]
    text = TITLE + LINE * max(map(len, about)) + 6
    head = text + KEYS * max(len(lines) for lines in keys) + 6
    height = MARGIN + head + max(panel.height for panel in panels) + 30 + MARGIN // 2
    width = 2 * MARGIN + sum(panel.width for panel in panels) + GAP * (len(panels) - 1)
    drawn, left = [], MARGIN
    for panel, words, lines in zip(panels, about, keys, strict=True):
        drawn.append(
            element(
                "g",
                element("text", panel.title, y=TITLE - 4, class_="title"),
                *(element("text", line, y=TITLE + 13 + LINE * n, class_="note") for n, line in enumerate(words)),
                *(_key(key, x, text + KEYS * n + 11) for n, line in enumerate(lines) for x, key in line),
                element("g", panel.drawing, transform=f"translate(0 {head})"),
                transform=f"translate({left} {MARGIN})",
            )
        )
        left += panel.width + GAP
    document = element(
        "svg",
        element("style", Markup((files("training.report") / "picture.css").read_text(encoding="utf-8"))),
        element("rect", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=10, class_="ground"),
        *drawn,
        element("text", foot, x=MARGIN, y=height - MARGIN // 2 - 4),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=" ".join(f"{panel.title}. {panel.about}" for panel in panels),
    )
    return _NOT_XML.sub("\ufffd", document) + "\n"


def _flow(panel: Panel) -> list[list[tuple[float, Key]]]:
    """The legend's lines: keys with their places."""
    lines: list[list[tuple[float, Key]]] = []
    x = float(panel.width)
    for key in panel.keys:
        wide = 16 + LETTER * len(key.name) + 8 * len(key.value) + 26
        if x + wide > panel.width + 26:
            lines.append([])
            x = 0.0
        lines[-1].append((x, key))
        x += wide
    return lines


def _key(key: Key, x: float, y: float) -> Markup:
    return element(
        "g",
        element("path", d=key.mark, class_=key.look, transform="translate(5 -4.5)"),
        element(
            "text",
            key.name,
            element("tspan", f" {key.value}", class_="value") if key.value else None,
            x=16,
            class_="name",
        ),
        transform=f"translate({x:.1f} {y})",
    )
