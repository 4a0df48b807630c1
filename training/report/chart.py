"""A chart as inline SVG: readable without a script, with the points that a script reads out and a table beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from training.report.markup import Markup, data_block, element, join
from training.report.metrics import Values, evenly
from training.report.scale import Scale, plain

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 24
TABLE_ROWS = 9


@dataclass(frozen=True)
class Line:
    """One line, or one set of bars, of a chart.

    Attributes:
        name: in the legend.
        look: its CSS class.
        y: `[P]`, over the chart's x.
        faint: x and y `[R]` of a fainter line behind it, such as the values that `y` smooths.
    """

    name: str
    look: str
    y: Values
    faint: tuple[Values, Values] | None = None


@dataclass(frozen=True)
class Chart:
    """Lines over a common x.

    Attributes:
        title: a few words.
        about: one sentence on what is drawn.
        x_name: what a place on x is called, as in "step 12".
        x: `[P]`, rising.
        lines: at least one.
        bars: bars in place of lines.
        zero: y begins at 0.
        log: whether y is logarithmic; None decides by the values.
        text: how a y is written.
        x_texts: `[P]`, what a place is called where its number is not enough.
    """

    title: str
    about: str
    x_name: str
    x: Values
    lines: Sequence[Line]
    bars: bool = False
    zero: bool = False
    log: bool | None = None
    text: Callable[[float], str] = plain
    x_texts: Sequence[str] = field(default_factory=tuple)

    def name_of(self, place: int) -> str:
        """What a place on x is called."""
        return self.x_texts[place] if self.x_texts else f"{self.x_name} {plain(float(self.x[place]))}"


def draw(chart: Chart) -> Markup:
    """A figure: title, legend with the last values, the drawing, the table."""
    last = len(chart.x) - 1
    resting = "" if chart.bars else chart.name_of(last)
    legend = [
        element(
            "li",
            element("span", class_="key"),
            element("span", line.name),
            element("output", "" if chart.bars else chart.text(float(line.y[last]))),
            class_=line.look,
        )
        for line in chart.lines
    ]
    return element(
        "figure",
        element(
            "figcaption",
            element("div", element("h3", chart.title), element("output", resting, class_="place"), class_="titled"),
            element("p", chart.about, class_="note"),
        ),
        element("ul", *legend, class_="legend"),
        plot(chart),
        _points(chart, *_scales(chart)),
        element("details", element("summary", "As a table"), _table(chart)),
        class_="chart",
    )


def plot(chart: Chart, **attributes: object) -> Markup:
    """The drawing alone, an `svg` with these attributes beside its own: no title, legend or table."""
    x_scale, y_scale = _scales(chart)
    drawn = []
    for line in chart.lines:
        if line.faint:
            x, y = line.faint
            drawn.append(_path(_across(x_scale, x), _down(y_scale, y), f"faint {line.look}"))
    for number, line in enumerate(chart.lines):
        if chart.bars:
            drawn.append(_bars(chart, number, x_scale, y_scale))
        else:
            drawn.append(_path(_across(x_scale, chart.x), _down(y_scale, line.y), f"line {line.look}"))
    return element(
        "svg",
        *_grid(chart, x_scale, y_scale),
        *drawn,
        element("g", class_="reading"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{chart.title}. {chart.about}",
        **attributes,
    )


def _scales(chart: Chart) -> tuple[Scale, Scale]:
    """Of x and of y."""
    shown = [line.y for line in chart.lines] + [line.faint[1] for line in chart.lines if line.faint]
    return _x_scale(chart), Scale.around(np.concatenate(shown), log=chart.log, zero=chart.zero or chart.bars)


def _x_scale(chart: Chart) -> Scale:
    if len(chart.x) < 2:
        return Scale.around(chart.x)
    room = float(chart.x[1] - chart.x[0]) / 2 if chart.bars else 0.0
    return Scale(float(chart.x[0]) - room, float(chart.x[-1]) + room)


def _across(scale: Scale, x: Values) -> Values:
    return LEFT + scale.place(x) * (WIDTH - LEFT - RIGHT)


def _down(scale: Scale, y: Values) -> Values:
    return HEIGHT - BOTTOM - np.clip(scale.place(y), 0, 1) * (HEIGHT - TOP - BOTTOM)


def _grid(chart: Chart, x_scale: Scale, y_scale: Scale) -> list[Markup]:
    marks = []
    for tick in y_scale.ticks():
        y = f"{float(_down(y_scale, np.array(tick))):.1f}"
        marks.append(element("path", d=f"M{LEFT} {y}H{WIDTH - RIGHT}", class_="grid"))
        marks.append(element("text", chart.text(tick), x=LEFT - 6, y=y, dy="0.35em", text_anchor="end"))
    for tick in x_scale.ticks():
        x = float(_across(x_scale, np.array(tick)))
        anchor = "end" if x > WIDTH - RIGHT - 16 else "middle"
        marks.append(element("text", plain(tick), x=f"{x:.1f}", y=HEIGHT - 6, text_anchor=anchor))
    return marks


def _path(x: Values, y: Values, look: str) -> Markup:
    """A line through the points, broken where there is none; a point alone is a dot."""
    parts, pen = [], "M"
    for place, (across, down) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        if not np.isfinite(down):
            pen = "M"
            continue
        alone = pen == "M" and (place + 1 == len(y) or not np.isfinite(y[place + 1]))
        parts.append(f"{pen}{across:.1f} {down:.1f}{'h0' if alone else ''}")
        pen = "L"
    return element("path", d="".join(parts), class_=look)


def _bars(chart: Chart, number: int, x_scale: Scale, y_scale: Scale) -> Markup:
    line = chart.lines[number]
    centres = _across(x_scale, chart.x)
    room = float(centres[1] - centres[0]) if len(centres) > 1 else float(WIDTH - LEFT - RIGHT)
    wide = 0.86 * room / len(chart.lines)
    base = float(_down(y_scale, np.array(0.0)))
    parts = [
        f"M{centre - 0.43 * room + number * wide:.1f} {base:.1f}V{top:.1f}h{wide:.1f}V{base:.1f}z"
        for centre, top, y in zip(centres.tolist(), _down(y_scale, line.y).tolist(), line.y.tolist(), strict=True)
        if y
    ]
    return element("path", d="".join(parts), class_=f"bars {line.look}")


def _points(chart: Chart, x_scale: Scale, y_scale: Scale) -> Markup:
    """What the script reads out: places in the drawing, and the words for them."""
    lines = [
        {
            "y": [round(y, 1) if np.isfinite(y) else None for y in _down(y_scale, line.y).tolist()],
            "text": [chart.text(y) for y in line.y.tolist()],
        }
        for line in chart.lines
    ]
    return data_block(
        {
            "x": _across(x_scale, chart.x).round(1).tolist(),
            "name": [chart.name_of(place) for place in range(len(chart.x))],
            "lines": lines,
            "top": TOP,
            "bottom": HEIGHT - BOTTOM,
        }
    )


def _table(chart: Chart) -> Markup:
    places = range(len(chart.x)) if chart.bars else evenly(len(chart.x), TABLE_ROWS).tolist()
    head = element("tr", *(element("th", name, scope="col") for name in (chart.x_name, *(x.name for x in chart.lines))))
    rows = [
        element(
            "tr",
            element("th", chart.name_of(place).removeprefix(f"{chart.x_name} "), scope="row"),
            *(element("td", chart.text(float(line.y[place]))) for line in chart.lines),
        )
        for place in places
    ]
    table = element("table", element("thead", head), element("tbody", join(rows)))
    return element("div", table, class_="table")
