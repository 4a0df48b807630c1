"""Queries by example: embed, classify, search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from index.catalogue import Hit
from service.api.decoding import decode
from service.api.items import catalogue_of, described
from service.api.parameters import FilterText, K, check_k, parse_filter
from service.api.uploads import ImageFiles, SoundFiles, engine_of, read_uploads
from service.api.vectors import as_base64, as_floats
from service.engine import Engine, Upload
from service.problems import Problem
from service.schemas import (
    Classified,
    ClassifyAnswer,
    ClassProbability,
    EmbedAnswer,
    Embedded,
    SearchAnswer,
    Searched,
    SearchHit,
    problems,
)
from training.model.memory import Modality

ERRORS = problems(
    {
        400: "The body can't be parsed",
        409: "The model has no class head, or the service no catalogue",
        413: "Too large, too long or too many files",
        415: "Not a format that is read",
        422: "No file, a damaged or empty one, or a parameter out of range",
    }
)

router = APIRouter(prefix="/v1", tags=["queries"], responses=ERRORS)

EngineDependency = Annotated[Engine, Depends(engine_of)]


@router.post("/embed", summary="Vectors of images or sounds", response_model_exclude_unset=True)
async def embed(
    engine: EngineDependency,
    image: ImageFiles = [],  # noqa: B006 - FastAPI copies it
    sound: SoundFiles = [],  # noqa: B006
    include: Annotated[Literal["h", "z", "h,z", "z,h"], Query(description="`h`, `z`, or both as `h,z`.")] = "h,z",
    encoding: Annotated[
        Literal["float", "base64"], Query(description="Numbers, or base64 of little-endian float32.")
    ] = "float",
) -> EmbedAnswer:
    """The representation `h` ([visual ; sound]) and the projection `z` (unit norm) of each file."""
    uploads, modality = await read_uploads(engine, image, sound)
    decoded = await decode(engine, uploads, modality)
    embedding = await engine.embed(decoded.packed, modality)
    encode = as_base64 if encoding == "base64" else as_floats
    wanted = include.split(",")

    def result(upload: Upload, place: int) -> Embedded:
        vectors = {key: encode(getattr(embedding, key)[place]) for key in wanted}
        return Embedded.model_validate({"name": upload.name, **vectors})

    results = [
        Embedded(name=upload.name, error=error) if error else result(upload, place)
        for upload, error, place in decoded.places(uploads)
    ]
    return EmbedAnswer(model=engine.embedder.bundle.name, results=results)


@router.post("/classify", summary="Classes of images or sounds", response_model_exclude_unset=True)
async def classify(
    engine: EngineDependency,
    image: ImageFiles = [],  # noqa: B006
    sound: SoundFiles = [],  # noqa: B006
) -> ClassifyAnswer:
    """The model's classes with their probabilities, best first."""
    uploads, modality = await read_uploads(engine, image, sound)
    labels = engine.embedder.labels(modality)
    if not labels:
        raise Problem("no-class-head", f"This model has no class head for {modality}s; train it on rows with labels.")
    decoded = await decode(engine, uploads, modality)
    embedding = await engine.embed(decoded.packed, modality)
    probabilities = await engine.classify(embedding.h, modality)

    def result(upload: Upload, place: int) -> Classified:
        ranked = sorted(zip(labels, probabilities[place].tolist(), strict=True), key=lambda pair: -pair[1])
        return Classified(name=upload.name, classes=[ClassProbability(label=x, probability=p) for x, p in ranked])

    results = [
        Classified(name=upload.name, error=error) if error else result(upload, place)
        for upload, error, place in decoded.places(uploads)
    ]
    return ClassifyAnswer(model=engine.embedder.bundle.name, results=results)


@router.post("/search/images", summary="Images that match a sound or an image", response_model_exclude_unset=True)
async def search_images(
    engine: EngineDependency,
    sound: SoundFiles = [],  # noqa: B006
    image: ImageFiles = [],  # noqa: B006
    k: K = 10,
    filter: FilterText = None,
) -> SearchAnswer:
    """The catalogue's images nearest to each file, best first."""
    return await _search(engine, image, sound, "image", k, filter)


@router.post("/search/sounds", summary="Sounds that match an image or a sound", response_model_exclude_unset=True)
async def search_sounds(
    engine: EngineDependency,
    image: ImageFiles = [],  # noqa: B006
    sound: SoundFiles = [],  # noqa: B006
    k: K = 10,
    filter: FilterText = None,
) -> SearchAnswer:
    """The catalogue's sounds nearest to each file, best first."""
    return await _search(engine, image, sound, "sound", k, filter)


async def _search(
    engine: Engine, image: list[Any], sound: list[Any], target: Modality, k: int, filter_text: str | None
) -> SearchAnswer:
    check_k(k, engine.limits)
    uploads, modality = await read_uploads(engine, image, sound)
    catalogue_of(engine)
    condition = parse_filter(filter_text)
    decoded = await decode(engine, uploads, modality)
    embedding = await engine.embed(decoded.packed, modality)
    found = await engine.search(embedding.z, target, k, condition)
    results = [
        Searched(name=upload.name, error=error)
        if error
        else Searched(name=upload.name, hits=list(map(_hit, found[place])))
        for upload, error, place in decoded.places(uploads)
    ]
    return SearchAnswer(model=engine.embedder.bundle.name, results=results)


def _hit(hit: Hit) -> SearchHit:
    return SearchHit(**described(hit.item), score=hit.score)
