"""Scores as tables to read, each with its chance level beside it, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_MODALITIES = ("image", "sound")
_WAYS = ("sound_to_image", "image_to_sound")
_WIDEST = 30  # classes whose confusion matrix still fits on a screen
_NOTHING = "–"

Pair = tuple[str, str]  # a score and its chance level
Column = tuple[str, Sequence[str]]  # a heading and the cells below it


def describe_scores(scores: dict[str, Any], by_class: bool = False) -> str:
    """The scores that `training.evaluate.measure` gives, as tables.

    Args:
        scores: "raw_probe" of a modality may have been added to them.
        by_class: also scores by class, and the confusion matrix of the linear probe.
    """
    blocks = [*_classification(scores), *_retrieval(scores)]
    if by_class:
        for modality, way in zip(reversed(_MODALITIES), _WAYS, strict=True):
            blocks += _by_class(modality, scores.get(modality), scores.get(way))
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def scores_json(scores: dict[str, Any]) -> str:
    """The scores as JSON, a row of numbers to a line."""
    # only between values are there line breaks, as those in strings are escaped
    return re.sub(
        r"\[\n[^\[\]{}\"]+\]",
        lambda row: "[" + ", ".join(row[0][1:-1].replace(",", " ").split()) + "]",
        json.dumps(scores, indent=2),
    )


def _classification(scores: dict[str, Any]) -> list[list[str]]:
    parts = {modality: scores[modality] for modality in _MODALITIES if modality in scores}
    missing = [
        f"{modality}s are not classified: that takes labelled {modality}s in train, of two classes, and in test"
        for modality in _MODALITIES
        if modality not in parts
    ]
    if not parts:
        return [missing]
    rows = {
        "linear probe": ("probe", "chance"),
        "  over whole files": ("probe_clip", "probe_clip_chance"),
        "  on raw inputs": ("raw_probe", "chance"),
        "kNN": ("knn", "chance"),
    }
    cells = {
        name: [_pair(parts.get(modality, {}), score, chance) for modality in _MODALITIES]
        for name, (score, chance) in rows.items()
        if any(score in part for part in parts.values())
    }
    (data,) = {part["data"] for part in parts.values()}
    lines = _table(f"classes, fitted on train and scored on test of {data}", ("image", "sound"), cells)
    return [lines + [_about(modality, part) for modality, part in parts.items()] + missing]


def _pair(part: dict[str, Any], score: str, chance: str) -> Pair:
    return (f"{part[score]:.3f}", f"{part[chance]:.3f}") if score in part else (_NOTHING, _NOTHING)


def _about(modality: str, part: dict[str, Any]) -> str:
    """How many were tested, what chance is, what was chosen."""
    of = [sum(row) for row in part["confusion"]]
    left_out = f" ({part['left_out']} more of classes that train does not have)" if part.get("left_out") else ""
    guess = f"1 / {len(of)}" if min(of) == max(of) else "the share of the most frequent"
    chosen = f"chosen on {part['chosen_on']}" if part["chosen_on"] else "the defaults, as there is no val"
    return (
        f"{modality}: {part['tested']} to test{left_out} of {len(of)} classes, chance is {guess}; "
        f"regularisation {part['strength']:g} and k = {part['neighbours']}, {chosen}"
    )


def _retrieval(scores: dict[str, Any]) -> list[list[str]]:
    parts = {way: scores[way] for way in _WAYS if way in scores}
    if not parts:
        return []
    names = {f"hit@{k}": f"hit@{k}" for k in range(1, 6)} | {"mAP": "map"}
    names |= {f"recall@{k}": f"recall@{k}" for k in (1, 5, 10)} | {"median rank": "median_rank"}
    cells: dict[str, list[Pair]] = {}
    for name, key in names.items():
        form = "{:g}" if key == "median_rank" else "{:.3f}"
        cells[name] = [
            (form.format(parts[way][key]), form.format(parts[way]["chances"][key])) if way in parts else (_NOTHING,) * 2
            for way in _WAYS
        ]
    (data,) = {part["data"] for part in parts.values()}
    lines = _table(f"retrieval in test of {data}", [way.replace("_to_", " to ") for way in _WAYS], cells)
    for way, part in parts.items():
        query, target = way.split("_to_")
        lines.append(f"{query} to {target}: {part['queries']} {query}s, {part['targets']} {target}s to find")
        if part["chance"] == 1:
            lines[-1] += "; there is one class to retrieve, so this says nothing: add clips of the others"
    return [lines]


def _table(title: str, columns: Sequence[str], rows: dict[str, list[Pair]]) -> list[str]:
    """Scores with their chance levels, a column of both for each of `columns`."""
    first = max(map(len, rows))
    lines = [
        title,
        " " * first + "".join(f"  {column:^15}" for column in columns),
        " " * first + "    score  chance" * len(columns),
    ]
    for name, pairs in rows.items():
        lines.append(f"{name:{first}}" + "".join(f"  {score:>7} {chance:>7}" for score, chance in pairs))
    return [line.rstrip() for line in lines]


def _by_class(modality: str, part: dict[str, Any] | None, way: dict[str, Any] | None) -> list[list[str]]:
    """Scores of a modality's items by class: how the probe classifies them and what they retrieve."""
    if part and way and part["data"] != way["data"]:
        return [*_by_class(modality, part, None), *_by_class(modality, None, way)]
    names = sorted({name for known in (part, way) if known for name in known["classes"]})
    width = len(str(len(names)))
    columns: list[Column] = [("", [f"{number:{width}} {name}" for number, name in enumerate(names, start=1)])]
    confused: list[Column] = []
    title = ""
    if part:
        title = f"{modality}s by class, in test of {part['data']}"
        rows = dict(zip(part["classes"], part["confusion"], strict=True))
        recalls = dict(zip(part["classes"], part["class_recall"], strict=True))
        columns.append(("to test", [str(sum(rows.get(name, ()))) for name in names]))
        columns.append(("recall", [_share(recalls.get(name)) for name in names]))
        confused = _confused(names, rows)
        if len(confused) > 1:
            title += "; the numbered columns are the classes that the linear probe takes them for"
    if way:
        title = title or f"{modality}s by class, in test of {way['data']}"
        hits = dict(zip(way["classes"], way["class_hit@1"], strict=True))
        columns.append(("hit@1", [_share(hits.get(name)) for name in names]))
    return [[title, *_aligned([*columns, *confused])]] if names else []


def _confused(names: Sequence[str], rows: dict[str, Sequence[int]]) -> list[Column]:
    """The confusion matrix, numbered as the names are; of many classes the most frequent mistake of each."""
    classes = list(rows)
    if len(names) > _WIDEST:
        return [("mostly mistaken for", [_mistake(name, rows.get(name), classes) for name in names])]
    return [
        (str(names.index(taken) + 1), [str(rows[name][place] or "·") if name in rows else _NOTHING for name in names])
        for place, taken in enumerate(classes)
    ]


def _mistake(name: str, row: Sequence[int] | None, classes: Sequence[str]) -> str:
    """The class that a class's items are most often mistaken for, and the share of them."""
    wrong = {taken: count for taken, count in zip(classes, row or (), strict=False) if taken != name and count}
    if not wrong:
        return _NOTHING
    worst = max(wrong, key=lambda taken: wrong[taken])
    return f"{wrong[worst] / sum(row or ()):.3f} {worst}"


def _share(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"


def _aligned(columns: Sequence[Column]) -> list[str]:
    """Columns under their headings: numbers to the right, names and mistakes to the left."""
    lines = []
    rows = [[heading for heading, _ in columns], *zip(*(cells for _, cells in columns), strict=True)]
    widths = [max(len(heading), *map(len, cells)) for heading, cells in columns]
    sides = ["<" if heading in ("", "mostly mistaken for") else ">" for heading, _ in columns]
    for row in rows:
        cells = (f"{cell:{side}{width}}" for cell, width, side in zip(row, widths, sides, strict=True))
        lines.append("  ".join(cells).rstrip())
    return lines
