"""What the answers look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Schema(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


class ProblemDocument(BaseModel):
    """An error, RFC 9457."""

    type: str = Field(examples=["urn:bma:problem:damaged-media"])
    title: str = Field(examples=["The file is damaged"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["dog.jpg is damaged (image file is truncated); export or download it again."])


def problems(described: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Errors for a path's `responses`, each status with what it means."""
    content = {"application/problem+json": {"schema": ProblemDocument.model_json_schema()}}
    return {status: {"description": what, "content": content} for status, what in described.items()}


class Embedded(Schema):
    """One file's vectors; a file that failed carries `error` instead."""

    name: str = Field(examples=["bark.wav"])
    h: list[float] | str | None = Field(
        default=None,
        description="Representation [visual ; sound], 2c floats; base64 of little-endian float32 if asked.",
    )
    z: list[float] | str | None = Field(default=None, description="Projection with unit norm, 128 floats; likewise.")
    error: ProblemDocument | None = None


class EmbedAnswer(Schema):
    """One result per file, in order."""

    model: str = Field(examples=["bma-demo-1f2e3d4c"])
    results: list[Embedded]


class ClassProbability(Schema):
    """A class and how probable it is."""

    label: str = Field(examples=["train"])
    probability: float = Field(examples=[0.93])


class Classified(Schema):
    """One file's classes, best first."""

    name: str = Field(examples=["photo.jpg"])
    classes: list[ClassProbability] | None = None
    error: ProblemDocument | None = None


class ClassifyAnswer(Schema):
    """One result per file, in order."""

    model: str = Field(examples=["bma-demo-1f2e3d4c"])
    results: list[Classified]


class ItemAnswer(Schema):
    """An item of the catalogue."""

    id: str = Field(examples=["test-0042:image"])
    modality: str = Field(examples=["image"])
    media_type: str = Field(examples=["image/jpeg"])
    label: str = Field(examples=["train"])
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    created: str
    updated: str
    content: str = Field(examples=["/v1/items/test-0042:image/content"])
    thumbnail: str = Field(examples=["/v1/items/test-0042:image/thumbnail"])


class ItemsAnswer(Schema):
    """A page of items."""

    items: list[ItemAnswer]
    cursor: str | None = Field(default=None, description="Ask with it for the next page; null on the last.")


class Added(Schema):
    """One file as an item; a file that failed carries `error` instead."""

    name: str = Field(examples=["bark.wav"])
    created: bool | None = Field(
        default=None, description="False where an item of this id and these bytes was there: it stays as it was."
    )
    item: ItemAnswer | None = None
    error: ProblemDocument | None = None


class AddAnswer(Schema):
    """One result per file, in order."""

    model: str = Field(examples=["bma-demo-1f2e3d4c"])
    results: list[Added]


class SearchHit(Schema):
    """An item that matched, with the cosine of its projection to the query's."""

    id: str = Field(examples=["test-0042:image"])
    score: float = Field(examples=[0.81])
    modality: str = Field(examples=["image"])
    media_type: str = Field(examples=["image/jpeg"])
    label: str = Field(examples=["train"])
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    content: str = Field(examples=["/v1/items/test-0042:image/content"])
    thumbnail: str = Field(examples=["/v1/items/test-0042:image/thumbnail"])


class Searched(Schema):
    """One file's hits, best first."""

    name: str = Field(examples=["bark.wav"])
    hits: list[SearchHit] | None = None
    error: ProblemDocument | None = None


class SearchAnswer(Schema):
    """One result per file, in order."""

    model: str = Field(examples=["bma-demo-1f2e3d4c"])
    results: list[Searched]


class ModelAnswer(Schema):
    """The model that serves, the catalogue beside it, and the limits in force."""

    name: str
    fingerprint: str
    preset: str
    device: str
    precision: str
    representation_dim: int
    projection_dim: int
    image_size: int
    sample_rate: int
    window_seconds: float
    classes: dict[str, list[str]]
    catalogue: dict[str, int] | None
    limits: dict[str, float]
    training: dict[str, Any]


class Status(Schema):
    """How the service is."""

    status: str = Field(examples=["ok"])
