"""What the answers look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

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
    limit: int | float | None = Field(default=None, description="The limit that was passed, where it is a number.")


def problems(described: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Errors for a path's `responses`, each status with what it means."""
    content = {"application/problem+json": {"schema": ProblemDocument.model_json_schema()}}
    return {status: {"description": what, "content": content} for status, what in described.items()}


class OpenAIError(BaseModel):
    """What is wrong, as OpenAI's API says it."""

    message: str = Field(examples=["input[0] is not valid base64; encode the file's bytes with the standard alphabet."])
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(default=None, description="The part of the request that is at fault.")
    code: str | None = Field(default=None, examples=["invalid_request"])


class OpenAIErrorDocument(BaseModel):
    """An error, as OpenAI's API answers it."""

    error: OpenAIError


def refusals(described: Mapping[int | str, str]) -> dict[int | str, dict[str, Any]]:
    """Errors for `responses` of a path in OpenAI's dialect."""
    return {status: {"description": what, "model": OpenAIErrorDocument} for status, what in described.items()}


class Span(Schema):
    """A window of a sound: what the model hears at once."""

    start: float = Field(description="Seconds from the sound's beginning.", examples=[2.0])
    end: float = Field(examples=[4.0])


class EmbeddedWindow(Span):
    """A window's projection."""

    z: list[float] | str = Field(description="Projection with unit norm, 128 floats; base64 if asked.")


class Embedded(Schema):
    """One file's vectors; a file that failed carries `error` instead."""

    name: str = Field(examples=["bark.wav"])
    h: list[float] | str | None = Field(
        default=None,
        description="Representation [visual ; sound], 2c floats; base64 of little-endian float32 if asked.",
    )
    z: list[float] | str | None = Field(default=None, description="Projection with unit norm, 128 floats; likewise.")
    windows: list[EmbeddedWindow] | None = Field(default=None, description="Of a sound, with `windows=true`.")
    error: ProblemDocument | None = None


class EmbedAnswer(Schema):
    """One result per file, in order."""

    model: str = Field(examples=["bma-demo-1f2e3d4c"])
    results: list[Embedded]


class NearItem(Schema):
    """An item, with the cosine of its projection to another."""

    id: str = Field(examples=["test-0042:image"])
    score: float = Field(examples=[0.81])
    modality: str = Field(examples=["image"])
    media_type: str = Field(examples=["image/jpeg"])
    label: str = Field(examples=["train"])
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    content: str = Field(examples=["/v1/items/test-0042:image/content"])
    thumbnail: str = Field(examples=["/v1/items/test-0042:image/thumbnail"])


class Slot(Schema):
    """A memory slot that a file addressed, and what lies nearest to it."""

    slot: int = Field(description="Its number in both memories, from 0.", examples=[17])
    weight: float = Field(description="Its addressing weight; all slots' sum to 1.", examples=[0.12])
    images: list[NearItem] = Field(description="The catalogue's images nearest to the slot, best first.")
    sounds: list[NearItem] = Field(description="The catalogue's sounds nearest to the slot, best first.")


class Explanation(Schema):
    """How the memory was addressed, read from the model itself."""

    slots: list[Slot] = Field(description="The weightiest, at most five.")
    covered: float = Field(description="Their weights' sum; the rest lies on slots not shown.", examples=[0.31])
    effective_slots: float = Field(
        description="Over how many slots the addressing spreads: the exponential of its entropy.", examples=[24.5]
    )
    of_slots: int = Field(description="How many slots the memory has.", examples=[200])


class SlotEffect(Schema):
    """What a slot did for an answer."""

    slot: int = Field(examples=[17])
    effect: float = Field(
        description="The answer's score or probability, less what it would be had the memory not this slot.",
        examples=[0.04],
    )
    similarity: float | None = Field(
        default=None, description="Of a hit: the cosine of its projection to the slot's.", examples=[0.7]
    )


class ClassProbability(Schema):
    """A class and how probable it is."""

    label: str = Field(examples=["train"])
    probability: float = Field(examples=[0.93])
    slots: list[SlotEffect] | None = Field(default=None, description="Of the best classes, with `explain=true`.")


class ClassifiedWindow(Span):
    """A window's classes."""

    classes: list[ClassProbability] = Field(description="The five most probable, best first.")


class Classified(Schema):
    """One file's classes, best first."""

    name: str = Field(examples=["photo.jpg"])
    classes: list[ClassProbability] | None = None
    windows: list[ClassifiedWindow] | None = Field(default=None, description="Of a sound, with `windows=true`.")
    explanation: Explanation | None = Field(default=None, description="With `explain=true`.")
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


class LabelCount(Schema):
    """A label of the catalogue."""

    label: str = Field(examples=["train"])
    count: int = Field(description="How many items have it.", examples=[42])


class LabelsAnswer(Schema):
    """Labels, those of most items first."""

    labels: list[LabelCount]
    total: int = Field(description="How many labels there are.", examples=[10])


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


class MatchedWindow(Span):
    """The window of a sound that matches a hit best."""

    score: float = Field(examples=[0.85])


class SearchHit(NearItem):
    """An item that matched, with the cosine of its projection to the query's."""

    window: MatchedWindow | None = Field(default=None, description="With `windows=true`.")
    window_scores: list[float] | None = Field(
        default=None, description="With `windows=true`: of each of the result's `windows`, in order."
    )
    slots: list[SlotEffect] | None = Field(default=None, description="With `explain=true`: of the slots shown.")


class Searched(Schema):
    """One file's hits, best first."""

    name: str = Field(examples=["bark.wav"])
    hits: list[SearchHit] | None = None
    windows: list[Span] | None = Field(default=None, description="Of a sound, with `windows=true`.")
    explanation: Explanation | None = Field(default=None, description="With `explain=true`.")
    error: ProblemDocument | None = None


class SearchAnswer(Schema):
    """One result per file, in order."""

    model: str = Field(examples=["bma-demo-1f2e3d4c"])
    results: list[Searched]


class EmbeddingsRequest(BaseModel):
    """What `/v1/embeddings` takes: OpenAI's request, and `modality`."""

    model_config = ConfigDict(extra="forbid")

    input: str | list[str] = Field(
        description="An image or a sound as a data URI, or a list of them.",
        examples=[
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
        ],
    )
    model: str = Field(description="The model's name, or `bma`.", examples=["bma"])
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="Numbers (so if left out), or base64 of little-endian float32."
    )
    dimensions: int | None = Field(default=None, description="Only the model's own number is taken; leave it out.")
    modality: Literal["image", "sound", "audio"] | None = Field(
        default=None, description="What the inputs are, where their data URIs do not say image/…, audio/… or video/…."
    )
    user: str | None = Field(default=None, description="Taken as OpenAI's API does, and not looked at.")


class EmbeddingVector(Schema):
    """The projection z of one input."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(examples=[0])
    embedding: list[float] | str = Field(
        description="128 floats of unit norm; base64 of little-endian float32 if asked."
    )


class Usage(Schema):
    """Tokens, of which images and sounds have none."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingsAnswer(Schema):
    """One vector per input, in order."""

    object: Literal["list"] = "list"
    data: list[EmbeddingVector]
    model: str = Field(examples=["bma-demo-1f2e3d4c"])
    usage: Usage = Usage()


class OpenAIModel(Schema):
    """A model."""

    id: str = Field(examples=["bma-demo-1f2e3d4c"])
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="Not known, so 0.")
    owned_by: Literal["bma-memory"] = "bma-memory"


class OpenAIModels(Schema):
    """The models of the service."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]


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
    writable: bool = Field(description="Whether the catalogue takes changes, and from the key that was sent.")
    limits: dict[str, int | float] = Field(description="Counts and bytes are whole numbers, seconds may be others.")
    training: dict[str, Any]


class Status(Schema):
    """How the service is."""

    status: str = Field(examples=["ok"])
    restarts: dict[str, int] = Field(default={}, description="Stages that crashed and were started again.")
