"""What a client says of items beside their files: checked before anything is decoded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Form

from index.catalogue import ID
from service.limits import Limits
from service.problems import Problem

Ids = Annotated[
    list[str],
    Form(
        description="One for each file, in order; without it, or where it is empty, the SHA-256 of the file. "
        "1 to 128 of the characters A-Z a-z 0-9 . _ : -",
        examples=[["dog-1"]],
    ),
]
Labels = Annotated[list[str], Form(description="Class names, one for each file, in order.", examples=[["dog"]])]
Tags = Annotated[list[str], Form(description="Free words, of all the files; repeatable.", examples=[["park"]])]
Metadata = Annotated[
    str | None, Form(description="A JSON object, of all the files.", examples=['{"year": 2026, "place": {"lat": 1.5}}'])
]


def check_id(id: str) -> str:
    """An id that an item can have; another is a 422."""
    if not ID.fullmatch(id):
        raise Problem(
            "invalid-request", f"'{id[:140]}' can't be an id; use 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
        )
    return id


def check_ids(ids: Sequence[str], files: int) -> list[str]:
    """An id for each of some files, empty where the client gives none; none twice."""
    spread = _for_each("id", ids, files)
    given = [check_id(id) for id in spread if id]
    twice = next((id for place, id in enumerate(given) if id in given[:place]), None)
    if twice is not None:
        raise Problem("invalid-request", f"The request gives the id '{twice}' twice; give each file an id of its own.")
    return spread


def check_labels(labels: Sequence[str], files: int, limits: Limits) -> list[str]:
    """A label for each of some files, empty where the client gives none."""
    return [check_label(label, limits) for label in _for_each("label", labels, files)]


def check_label(label: str, limits: Limits) -> str:
    """A label of text within the limit."""
    return check_text("field 'label'", label, limits.label_length)


def check_tags(tags: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """Tags within the limits, each once; empty ones say nothing."""
    once = tuple(dict.fromkeys(tag for tag in tags if tag))
    if len(once) > limits.tags:
        raise Problem(
            "invalid-request", f"An item may have {limits.tags} tags, not {len(once)}; send fewer.", limit=limits.tags
        )
    return tuple(check_text("field 'tags'", tag, limits.tag_length) for tag in once)


def check_text(what: str, text: str, most: int | None = None) -> str:
    """Text that a catalogue can hold, of so many characters at most; another is a 422 that says what it is."""
    if "\0" in text:
        raise Problem("invalid-request", f"{what} holds the character U+0000; leave it out.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Problem("invalid-request", f"{what} holds half a surrogate pair, which is no text; leave it out.")
    if most is not None and len(text) > most:
        raise Problem("invalid-request", f"{what} may have {most} characters, not {len(text)}; shorten it.", limit=most)
    return text


def parse_metadata(text: str | None, limits: Limits) -> dict[str, Any]:
    """The JSON object that a client wrote, within the limits; empty where it wrote nothing."""
    if not text:
        return {}
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.metadata_bytes:
        most = limits.metadata_bytes
        raise Problem(
            "invalid-request", f"field 'metadata' may hold {most:,} bytes of JSON, not {size:,}; say less.", limit=most
        )
    try:
        metadata = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise _too_deep(limits) from None
    except ValueError as error:
        raise Problem("invalid-request", f"field 'metadata' is no valid JSON ({error}); mend it.") from None
    if not isinstance(metadata, dict):
        raise Problem("invalid-request", "field 'metadata' takes a JSON object such as {\"year\": 2026}.")
    _check_value(metadata, 1, limits)
    return metadata


def _for_each(field: str, values: Sequence[str], files: int) -> list[str]:
    if not values:
        return [""] * files
    if len(values) != files:
        raise Problem(
            "invalid-request",
            f"The request has {_count(files, 'file')} and gives field '{field}' {_count(len(values), 'time')}; "
            "give it once for each file, in the same order, or leave it out.",
        )
    return list(values)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _check_value(value: Any, depth: int, limits: Limits) -> None:
    """What SQLite, or a JSON reader of another language, would not give back as it was."""
    if isinstance(value, str):
        check_text("field 'metadata'", value)
    elif isinstance(value, float) and not math.isfinite(value):  # such as 1e999
        _no_number("a number that is too large")
    elif isinstance(value, dict | list):
        if depth > limits.metadata_depth:
            raise _too_deep(limits)
        for key in value if isinstance(value, dict) else ():
            check_text("field 'metadata'", key)
        for inner in value.values() if isinstance(value, dict) else value:
            _check_value(inner, depth + 1, limits)


def _no_number(name: str) -> None:
    raise Problem("invalid-request", f"field 'metadata' holds {name}, which is no number in JSON; leave it out.")


def _too_deep(limits: Limits) -> Problem:
    most = limits.metadata_depth
    return Problem("invalid-request", f"field 'metadata' may be nested {most} deep; flatten it.", limit=most)
