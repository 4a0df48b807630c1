"""The map drawn: images and sounds of a split in the plane of z, coloured by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.report.frame import Key, Panel
from training.report.map import Places, flatten
from training.report.markup import Markup, element
from training.report.report import Findings
from training.report.scale import percent

CLASSES = 10  # with a colour of their own
WIDTH, HEIGHT, ROOM = 872, 580, 14
APART = 15  # between two names, in pixels
DISC, TRIANGLE = "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", "m0 -4.6l4.4 7.6h-8.8z"


def show_map(findings: Findings) -> Panel:
    """A panel with a mark for each item; both axes have the same scale."""
    samples = list(findings.samples.values())
    flat = flatten(np.concatenate([sample.z for sample in samples]))
    places = _fit(flat.places)
    labels = [label for sample in samples for label in sample.items.labels]
    kinds = [sample.modality for sample in samples for _ in sample.items.labels]
    looks = _looks(labels)
    marks: dict[str, list[str]] = {}
    for (x, y), label, kind in zip(places.tolist(), labels, kinds, strict=True):
        shape = DISC if kind == "image" else TRIANGLE
        marks.setdefault(f"marks {kind} {looks[label]}".rstrip(), []).append(f"M{x:.1f} {y:.1f}{shape}")
    plain = "" if looks.keys() == {""} else " any"
    keys = [
        Key("image", f"marks image{plain}", mark=f"M0 0{DISC}"),
        Key("sound", f"marks sound{plain}", mark=f"M0 0{TRIANGLE}"),
    ]
    named = {label: look for label, look in looks.items() if look.startswith("of-")}
    keys += [Key(label, f"marks image {look}", mark=f"M0 0{DISC}") for label, look in named.items()]
    counts = " and ".join(f"{len(sample.items.labels):,} {sample.modality}s" for sample in samples)
    about = (
        f"The plane in which z varies most (its first two principal components); it keeps {percent(flat.share)} of the "
        f"variance. {counts} of split {findings.split}, each with a mark."
    )
    if len(looks) > CLASSES:
        about += f" The {CLASSES} most frequent of {len(looks):,} classes are coloured."
    drawn = [element("path", d="".join(paths), class_=look) for look, paths in marks.items()]
    drawing = element("g", *drawn, *_names(places, labels, named))
    return Panel("Map of z", about, drawing, WIDTH, HEIGHT, keys)


def _fit(places: Places) -> Places:
    """Places on the panel, in its middle."""
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array([WIDTH - 2 * ROOM, HEIGHT - 2 * ROOM])
    unit = float((room / np.maximum(high - low, 1e-9)).min())
    fitted: Places = (places - (low + high) / 2) * [unit, -unit] + [WIDTH / 2, HEIGHT / 2]
    return fitted


def _looks(labels: Sequence[str]) -> dict[str, str]:
    """By class: a colour for the most frequent, grey for the others. Where there are no classes, the modality's."""
    names = sorted(set(labels))
    if names == [""]:
        return {"": ""}
    known = sorted(filter(None, names), key=lambda name: (-labels.count(name), name))
    chosen = sorted(known[:CLASSES])
    return {name: f"of-{chosen.index(name)}" if name in chosen else "others" for name in names}


def _names(places: Places, labels: Sequence[str], named: dict[str, str]) -> list[Markup]:
    """The classes' names, each at the median of its marks, moved down where it would lie on another."""
    middles = {label: np.median(places[[one == label for one in labels]], axis=0) for label in named}
    taken: list[tuple[float, float, float]] = []
    drawn = []
    for label, (x, y) in sorted(middles.items(), key=lambda pair: (float(pair[1][1]), pair[0])):
        half, down = 4.0 * len(label), float(y)
        for other_x, other_y, other_half in sorted(taken, key=lambda one: one[1]):
            if abs(other_x - x) < half + other_half and abs(other_y - down) < APART:
                down = other_y + APART
        taken.append((float(x), down, half))
        drawn.append(element("text", label, x=f"{x:.1f}", y=f"{down + 5:.1f}", class_=f"class {named[label]}"))
    return drawn
