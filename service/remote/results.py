"""What the service answers, typed: attributes for programs that know it, and the JSON object as it came.

A result is also a mapping with the JSON's own keys and values, so `result.hits[0].id` and `result["hits"][0]["id"]`
are the same, and what a later service says beyond this is not lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

Nested = dict[str, "type[Record]"]


@dataclass(frozen=True, eq=False)
class Record(Mapping[str, Any]):
    """Base of all results.

    Attributes:
        json: the JSON object as it came.
    """

    json: dict[str, Any] = field(default_factory=dict, repr=False, kw_only=True)

    nested: ClassVar[Nested] = {}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """A result from its JSON object.

        Raises:
            TypeError: a part of it is not what this should have.
        """
        names = {each.name for each in fields(cls)} - {"json"}
        values = {name: cls._read(name, value) for name, value in document.items() if name in names}
        return cls(**values, json=document)

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        kind = cls.nested.get(name)
        if kind is None or value is None:
            return value
        if isinstance(value, list):
            return [kind.of(_object(entry)) for entry in value]
        return kind.of(_object(value))

    def __getitem__(self, key: str) -> Any:
        return self.json[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.json)

    def __len__(self) -> int:
        return len(self.json)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value


@dataclass(frozen=True, eq=False)
class Failure(Record):
    """What is wrong with one file among several (RFC 9457)."""

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""


@dataclass(frozen=True, eq=False)
class SlotEffect(Record):
    """By how much a memory slot lifted a score or a probability; of a hit, also its similarity to the slot."""

    slot: int = 0
    effect: float = 0.0
    similarity: float | None = None


@dataclass(frozen=True, eq=False)
class Class(Record):
    """A class and how probable it is."""

    label: str = ""
    probability: float = 0.0
    slots: list[SlotEffect] | None = None

    nested: ClassVar[Nested] = {"slots": SlotEffect}


@dataclass(frozen=True, eq=False)
class Window(Record):
    """A part of a sound, in seconds; with its projection `z`, its best `classes`, or the `score` of its match."""

    start: float = 0.0
    end: float = 0.0
    z: list[float] | None = None
    classes: list[Class] | None = None
    score: float | None = None

    nested: ClassVar[Nested] = {"classes": Class}


@dataclass(frozen=True, eq=False)
class Hit(Record):
    """An item that matched; `score` is the cosine to the query."""

    id: str = ""
    score: float = 0.0
    modality: str = ""
    media_type: str = ""
    label: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    content: str = ""
    thumbnail: str = ""
    window: Window | None = None
    window_scores: list[float] | None = None
    slots: list[SlotEffect] | None = None

    nested: ClassVar[Nested] = {"window": Window, "slots": SlotEffect}


@dataclass(frozen=True, eq=False)
class Slot(Record):
    """A memory slot that a file addressed, its weight, and the items nearest to it."""

    slot: int = 0
    weight: float = 0.0
    images: list[Hit] = field(default_factory=list)
    sounds: list[Hit] = field(default_factory=list)

    nested: ClassVar[Nested] = {"images": Hit, "sounds": Hit}


@dataclass(frozen=True, eq=False)
class Explanation(Record):
    """How the memory was addressed: the weightiest slots, their share, and over how many of all it spreads."""

    slots: list[Slot] = field(default_factory=list)
    covered: float = 0.0
    effective_slots: float = 0.0
    of_slots: int = 0

    nested: ClassVar[Nested] = {"slots": Slot}


@dataclass(frozen=True, eq=False)
class Found(Record):
    """One file's hits, best first; a file that failed among others has `error`."""

    name: str = ""
    hits: list[Hit] = field(default_factory=list)
    windows: list[Window] | None = None
    explanation: Explanation | None = None
    error: Failure | None = None

    nested: ClassVar[Nested] = {
        "hits": Hit,
        "windows": Window,
        "explanation": Explanation,
        "error": Failure,
    }


@dataclass(frozen=True, eq=False)
class Classified(Record):
    """One file's classes, best first; a file that failed among others has `error`."""

    name: str = ""
    classes: list[Class] = field(default_factory=list)
    windows: list[Window] | None = None
    explanation: Explanation | None = None
    error: Failure | None = None

    nested: ClassVar[Nested] = {
        "classes": Class,
        "windows": Window,
        "explanation": Explanation,
        "error": Failure,
    }


@dataclass(frozen=True, eq=False)
class Embedded(Record):
    """One file's representation and projection; a file that failed among others has `error`."""

    name: str = ""
    h: list[float] | None = None
    z: list[float] | None = None
    windows: list[Window] | None = None
    error: Failure | None = None

    nested: ClassVar[Nested] = {"windows": Window, "error": Failure}


@dataclass(frozen=True, eq=False)
class Item(Record):
    """An item of the catalogue."""

    id: str = ""
    modality: str = ""
    media_type: str = ""
    label: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    created: str = ""
    updated: str = ""
    content: str = ""
    thumbnail: str = ""


@dataclass(frozen=True, eq=False)
class LabelCount(Record):
    """A label, and how many items have it."""

    label: str = ""
    count: int = 0


@dataclass(frozen=True, eq=False)
class Labels(Record):
    """Labels of the catalogue, those of most items first; `total` says how many there are."""

    labels: list[LabelCount] = field(default_factory=list)
    total: int = 0

    nested: ClassVar[Nested] = {"labels": LabelCount}


@dataclass(frozen=True, eq=False)
class Added(Record):
    """One file as an item; `created` is False where it was there. A file that failed among others has `error`."""

    name: str = ""
    created: bool | None = None
    item: Item | None = None
    error: Failure | None = None

    nested: ClassVar[Nested] = {"item": Item, "error": Failure}
