"""The page's sections: curves, memory, retrieval, slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from training.model.memory import Modality, other
from training.report.cards import Cards
from training.report.chart import Chart, Line, draw
from training.report.curves import find_curves
from training.report.gallery import Answer
from training.report.markup import Markup, element
from training.report.metrics import evenly
from training.report.report import Findings, Report
from training.report.sample import Sample
from training.report.scale import percent, plain
from training.report.usage import SHARES, Slot, Usage

BINS = 24
RANKS = 240


@dataclass(frozen=True)
class Section:
    """A part of the page: its name in links, its title, what it holds."""

    name: str
    title: str
    markup: Markup


def show_curves(report: Report) -> Section:
    """The run's scalars over its steps."""
    known, others = find_curves(report.record.metrics)
    if not known and not others:
        return _section("curves", "Curves", "No step is written yet.")
    about = "Strong lines are means over a fortieth of the run, faint ones the steps themselves."
    more: list[Markup] = []
    if others:
        more = [element("h3", "More", class_="more"), _charts(others)]
    return _section("curves", "Curves", about, _charts(known) if known else None, *more)


def show_memory(report: Report) -> Section | None:
    """How queries spread over the slots, and how the slots share the weight."""
    if report.findings is None:
        return None
    if not report.findings.usages:
        return _section("memory", "Memory", "This model was trained without its memory (use_memory=false): no slots.")
    usages = report.findings.usages
    n = len(usages[0].mean)
    queries = " and ".join(
        f"{usage.queries:,} {'images' if usage.modality == 'image' else 'windows of sound'}" for usage in usages
    )
    about = f"{queries} of split {report.findings.split} address {n:,} slots. {_sampled(report.findings)}".strip()
    charts = element("div", draw(chart_spread(usages)), draw(chart_ranks(usages)), _shares(usages), class_="charts")
    return _section("memory", "Memory", about, charts)


def show_gallery(report: Report, cards: Cards | None) -> Section | None:
    """Queries with what was found for each, both ways."""
    findings = report.findings
    if findings is None or cards is None:
        return None
    classes = any(findings.samples["image"].items.labels)
    about = (
        f"The nearest of split {findings.split}, the closest first, with their cosine similarity, at most 1. "
        f"✓ is of the query's {'class' if classes else 'clip'}, ✕ is not. {_sampled(findings)}"
    ).strip()
    ways: tuple[tuple[Modality, str], ...] = (("sound", "A sound finds images"), ("image", "An image finds sounds"))
    shown = []
    for modality, title in ways:
        samples = findings.samples[modality], findings.samples[other(modality)]
        rows = [_answer(cards, answer, *samples) for answer in findings.answers[modality]]
        shown += [element("h3", title), element("ol", *rows, class_=f"answers of-{modality}")]
    return _section("retrieval", "Retrieval", about, *shown)


def show_slots(report: Report, cards: Cards | None) -> Section | None:
    """The most used slots with the items that address them most."""
    if report.findings is None or cards is None or not report.findings.slots:
        return None
    about = (
        "Row r of the visual memory is linked to row r of the sound memory. Of the most used rows: the images and "
        f"sounds of split {report.findings.split} that address each most, with the weight they give it."
    )
    slots = [_slot(cards, slot, report.findings.samples) for slot in report.findings.slots]
    return _section("slots", "Most used slots", about, element("ol", *slots, class_="slots"))


def _section(name: str, title: str, about: str, *content: Markup | None) -> Section:
    heading = element("h2", title, id=f"{name}-title")
    markup = element(
        "section", heading, element("p", about, class_="note"), *content, id=name, aria_labelledby=f"{name}-title"
    )
    return Section(name, title, markup)


def _charts(charts: Sequence[Chart]) -> Markup:
    return element("div", *map(draw, charts), class_="charts")


def _sampled(findings: Findings) -> str:
    """A sentence on what was left out, where the split was too large to look at all of it."""
    parts = [
        f"{len(sample.items.numbers):,} of {sample.total:,} {sample.modality}s"
        for sample in findings.samples.values()
        if len(sample.items.numbers) < sample.total
    ]
    return f"Looked at: {' and '.join(parts)}, chosen evenly." if parts else ""


def chart_spread(usages: list[Usage]) -> Chart:
    """A histogram of effective slots, of at least one modality."""
    everything = np.concatenate([usage.effective for usage in usages])
    borders = np.histogram_bin_edges(everything, BINS)
    lines = [
        Line(_plural(usage), usage.modality, np.histogram(usage.effective, borders)[0] / usage.queries)
        for usage in usages
    ]
    texts = [f"{plain(low)} to {plain(high)} slots" for low, high in pairwise(borders.tolist())]
    return Chart(
        "Effective slots of a query",
        "Over how many slots the queries spread: the exponential of each query's addressing entropy.",
        "slots",
        (borders[:-1] + borders[1:]) / 2,
        lines,
        bars=True,
        text=percent,
        x_texts=texts,
    )


def chart_ranks(usages: list[Usage]) -> Chart:
    """Mean addressing weight of the slots, the most used first, of at least one modality."""
    n = len(usages[0].mean)
    ranks = evenly(n, RANKS)
    lines = [Line(_plural(usage), usage.modality, np.sort(usage.mean)[::-1][ranks]) for usage in usages]
    lines.append(Line("even shares", "even", np.full(len(ranks), 1 / n)))
    return Chart(
        "Weight of the slots",
        "Mean addressing weight of each slot, the most used first, on a logarithmic scale.",
        "rank",
        (ranks + 1).astype(np.float64),
        lines,
        log=True,
        text=percent,
    )


def _shares(usages: list[Usage]) -> Markup:
    rows = [("a query spreads over", *(plain(float(usage.effective.mean())) for usage in usages))]
    for number, share in enumerate(SHARES):
        rows.append((f"take {percent(share)} of the weight", *(f"{usage.covering[number]:,}" for usage in usages)))
    rows.append(("are never first choice", *(f"{usage.never:,}" for usage in usages)))
    head = element("tr", *(element("th", name, scope="col") for name in ("slots that", *map(_plural, usages))))
    body = [
        element("tr", element("th", name, scope="row"), *(element("td", value) for value in values))
        for name, *values in rows
    ]
    about = f"Of {len(usages[0].mean):,}; the most used make the weight first."
    table = element("table", element("thead", head), element("tbody", *body))
    return element("div", element("h3", "Slots in numbers"), element("p", about, class_="note"), table, class_="shares")


def _plural(usage: Usage) -> str:
    return f"{usage.modality}s"


def _answer(cards: Cards, answer: Answer, queries: Sample, targets: Sample) -> Markup:
    query = element("div", _card(cards, queries, answer.query), class_="query")
    hits = [element("li", _card(cards, targets, hit.item, f"{hit.score:.2f}", hit.right)) for hit in answer.hits]
    return element("li", query, element("ol", *hits, class_=f"hits {targets.modality}s"))


def _slot(cards: Cards, slot: Slot, samples: dict[Modality, Sample]) -> Markup:
    sides = []
    for modality, sample in samples.items():
        shown = [
            element("li", _card(cards, sample, place, f"{weight * 100:.1f} %"))
            for place, weight in slot.exemplars[modality]
        ]
        sides.append(element("ol", *shown, class_=f"exemplars {modality}s", aria_label=f"{modality}s".capitalize()))
    means = " and ".join(f"{mean * 100:.1f} % of the {modality}s' weight" for modality, mean in slot.mean.items())
    return element(
        "li", element("h3", f"Slot {slot.number}"), element("p", means, class_="note"), *sides, class_="slot"
    )


def _card(cards: Cards, sample: Sample, place: int, score: str = "", right: bool | None = None) -> Markup:
    """The card of an item by its place in a sample."""
    items = sample.items
    return cards.card(sample.modality, int(items.numbers[place]), items.labels[place], score, right)
