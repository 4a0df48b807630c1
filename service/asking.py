"""`bma query`: ask a running service from the shell."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from service.client import Client, ServiceError
from training.model.media import suffixes


class QueryError(ValueError):
    """A question that can't be asked; `str()` is one sentence with the remedy."""


def query(arguments: argparse.Namespace) -> None:
    """Ask about files and print the answers."""
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
    with Client(arguments.url) as client:
        try:
            if arguments.what == "images":
                results = client.search_images(**files, k=arguments.k, filter=condition)
            elif arguments.what == "sounds":
                results = client.search_sounds(**files, k=arguments.k, filter=condition)
            else:
                results = getattr(client, arguments.what)(**files)
        except ServiceError as error:
            raise QueryError(str(error)) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise QueryError(f"{arguments.url} is not a URL; write it like http://127.0.0.1:8000") from None
        except httpx.TransportError as error:
            raise QueryError(f"no answer from {arguments.url} ({error}); is 'bma serve' running there?") from None
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    for result in results:
        print("\n".join(describe(result)))


def modality_of(file: Path) -> str:
    """`image` or `sound`, by the file's ending."""
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
    if result.get("error"):
        lines.append(f"  {result['error']['detail']}")
    for hit in result.get("hits") or []:
        lines.append(f"  {hit['score']:.3f}  {hit['label'] or '-':<16} {hit['id']}")
    for entry in (result.get("classes") or [])[:5]:
        lines.append(f"  {entry['probability']:.3f}  {entry['label']}")
    for key in ("h", "z"):
        if result.get(key):
            lines.append(f"  {key}: {len(result[key])} numbers, {', '.join(f'{x:.4f}' for x in result[key][:4])}, …")
    return lines
