"""`bma query`: ask a running service from the shell."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.client import Client, ServiceError
from service.remote.asker import Prototypes
from service.remote.results import Record
from training.model.media import suffixes

HITS = 5  # for each file, where nobody says otherwise
OPTIONS = {  # what each goes with; the others go with everything
    "-k": ("search",),
    "--filter": ("search",),
    "--explain": ("search", "classify"),
    "--labels": ("classify",),
    "--prototypes": ("classify",),
}


class QueryError(ValueError):
    """A question that can't be asked; `str()` is one sentence with the remedy."""


def query(arguments: argparse.Namespace) -> int:
    """Ask about files and print the answers; files that failed are told on stderr. Status 1 where one did."""
    sides = {modality_of(file) for file in arguments.files}
    if len(sides) > 1:
        raise QueryError("the files are images and sounds; ask for one kind at a time")
    for file in arguments.files:
        if not file.is_file():
            raise QueryError(f"{file} does not exist; check the path")
    files: dict[str, Any] = {sides.pop(): arguments.files}
    try:
        condition = json.loads(arguments.filter) if arguments.filter else None
    except ValueError:
        raise QueryError('--filter takes a JSON object such as \'{"label": "train"}\'') from None
    key = arguments.key or os.environ.get("BMA_API_KEY") or None
    try:
        with Client(arguments.url, api_key=key) as client:
            results = _ask(client, arguments, files, condition)
    except ServiceError as error:
        if error.status == 401 and key is None:
            raise QueryError(f"{arguments.url} asks for an API key; give it with --key or as BMA_API_KEY") from None
        raise QueryError(str(error)) from None
    failed = [result for result in results if result.get("error")]
    if arguments.json:
        print(json.dumps([result.json for result in results], indent=2))
    else:
        for result in results:
            if not result.get("error"):
                print("\n".join(describe(result)))
    for result in failed:
        print(f"bma: {result['error']['detail']}", file=sys.stderr)
    return 1 if failed else 0


def _ask(
    client: Client, arguments: argparse.Namespace, files: Mapping[str, Any], condition: Mapping[str, Any] | None
) -> Sequence[Record]:
    """The results, of what was asked for."""
    of = {"images": "search", "sounds": "search"}.get(arguments.what, arguments.what)
    for option, takers in OPTIONS.items():
        if getattr(arguments, option.lstrip("-")) not in (None, False) and of not in takers:
            raise QueryError(f"{option} does not go with {arguments.what}; leave it out")
    if arguments.prototypes and not arguments.labels:
        raise QueryError("--prototypes is of labels of the catalogue; name some with --labels, or * for all")
    shown = {"windows": arguments.windows, "explain": arguments.explain}
    if of == "search":
        search = client.search_images if arguments.what == "images" else client.search_sounds
        return search(**files, k=HITS if arguments.k is None else arguments.k, filter=condition, **shown)
    if of == "classify":
        prototypes: Prototypes = arguments.prototypes or "both"
        return client.classify(**files, labels=arguments.labels or (), prototypes=prototypes, **shown)
    return client.embed(**files, windows=arguments.windows)


def modality_of(file: Path) -> str:
    """`image` or `sound`, by the file's ending."""
    if file.is_dir():
        raise QueryError(f"{file} is a folder; name the files in it that you ask about")
    suffix = file.suffix.lower()
    if suffix in suffixes.IMAGES:
        return "image"
    if suffix in suffixes.SOUNDS:
        return "sound"
    raise QueryError(
        f"{file}: the ending does not say whether it is an image or a sound; rename it, such as .jpg or .wav"
    )


def describe(result: Mapping[str, Any]) -> list[str]:
    """A result as lines to read."""
    lines = [f"{result['name']}:"]
    for hit in result.get("hits") or []:
        lines.append(f"  {hit['score']:.3f}  {hit['label'] or '-':<16} {_name(hit)}{_second(hit)}{_effects(hit)}")
    if result.get("hits") == []:
        lines.append("  no hits: the catalogue holds none, or none that the filter lets pass")
    for entry in (result.get("classes") or [])[:5]:
        padded = f"{entry['label']:<16}" if entry.get("slots") else entry["label"]
        lines.append(f"  {entry['probability']:.3f}  {padded}{_effects(entry)}")
    for key in ("h", "z"):
        if result.get(key):
            lines.append(f"  {key}: {_numbers(result[key])}")
    for window in result.get("windows") or []:
        if "z" in window:
            lines.append(f"  {_span(window)}  z: {_numbers(window['z'])}")
        if "classes" in window:
            best = ", ".join(f"{entry['label']} {entry['probability']:.3f}" for entry in window["classes"][:3])
            lines.append(f"  {_span(window)}  {best}")
    if result.get("explanation"):
        lines += _explained(result["explanation"])
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]  # a terminal would obey the rest


def _explained(explanation: Mapping[str, Any]) -> list[str]:
    lines = [
        f"  memory: addressed over {explanation['effective_slots']:.1f} of {explanation['of_slots']} slots, "
        f"of which these have {explanation['covered']:.0%} of the weight"
    ]
    for slot in explanation["slots"]:
        lines.append(f"  slot {slot['slot']:<5} {slot['weight']:.3f}")
        for kind in ("images", "sounds"):
            near = ", ".join(f"{item['label'] or _name(item)} {item['score']:.2f}" for item in slot[kind])
            if near:
                lines.append(f"    {kind}: {near}")
    return lines


def _name(item: Mapping[str, Any]) -> str:
    """What a person knows an item by: the path that it was indexed by, else its id."""
    path = (item.get("metadata") or {}).get("path")
    return path if isinstance(path, str) and path else str(item["id"])


def _second(hit: Mapping[str, Any]) -> str:
    window = hit.get("window")
    return f"  {_span(window)} {window['score']:.3f}" if window else ""


def _effects(answer: Mapping[str, Any]) -> str:
    """What the slots did for an answer, those that did most first."""
    slots = sorted(answer.get("slots") or [], key=lambda entry: -abs(entry["effect"]))
    told = ", ".join(f"slot {entry['slot']} {entry['effect']:+.4f}" for entry in slots[:3])
    return f"  ({told})" if told else ""


def _span(window: Mapping[str, Any]) -> str:
    return f"{window['start']:.1f}-{window['end']:.1f} s"


def _numbers(vector: Sequence[float]) -> str:
    return f"{len(vector)} numbers, {', '.join(f'{x:.4f}' for x in vector[:4])}, …"
