"""Queries by example: embed and classify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from fastapi import APIRouter, Depends, Query, Request

from service import explaining
from service.api.decoding import decode, embed_parts
from service.api.decoding import embed as embed_whole
from service.api.explanations import effects, explanation
from service.api.items import catalogue_of
from service.api.parameters import Explain, Labels, Windows, check_named, check_windows
from service.api.uploads import ImageFiles, SoundFiles, engine_of, read_uploads
from service.api.vectors import as_base64, as_floats
from service.engine import Engine, Upload
from service.explaining import Explained, Floats
from service.parts import Parts
from service.problems import Problem
from service.prototypes import Kind, Prototypes, Shelf
from service.schemas import (
    Classified,
    ClassifiedWindow,
    ClassifyAnswer,
    ClassProbability,
    EmbedAnswer,
    Embedded,
    EmbeddedWindow,
    problems,
)
from training.model.memory import Modality

BEST = 5  # classes that are told what each slot did for them, and that each window has

ERRORS = problems(
    {
        400: "The body can't be parsed",
        409: "The model has no class head or no memory, or the service no catalogue",
        413: "Too large, too long or too many files",
        415: "Not a format that is read",
        422: "No file, a damaged or empty one, one that the model has no answer for, or a parameter out of range",
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
    windows: Windows = False,
) -> EmbedAnswer:
    """The representation `h` ([visual ; sound]) and the projection `z` (unit norm) of each file.

    A sound longer than the model's window has one of each for the whole (`h` is the mean over its windows, `z` the
    projection of that), and with `windows=true` each window's `z` too.
    """
    uploads, modality = await read_uploads(engine, image, sound)
    check_windows(windows, modality)
    decoded = await decode(engine, uploads, modality)
    parts = await embed_parts(engine, decoded, modality) if windows else None
    embedding = parts.whole if parts else await embed_whole(engine, decoded, modality)
    encode = as_base64 if encoding == "base64" else as_floats
    wanted = include.split(",")

    def result(upload: Upload, place: int) -> Embedded:
        members: dict[str, Any] = {key: encode(getattr(embedding, key)[place]) for key in wanted}
        if parts:
            heard = zip(parts.windows[place], parts.of(place).z, strict=True)
            members["windows"] = [EmbeddedWindow(start=w.start, end=w.end, z=encode(z)) for w, z in heard]
        return Embedded.model_validate({"name": upload.name, **members})

    return EmbedAnswer(model=engine.embedder.bundle.name, results=decoded.results(uploads, Embedded, result))


@router.post("/classify", summary="Classes of images or sounds", response_model_exclude_unset=True)
async def classify(
    engine: EngineDependency,
    request: Request,
    image: ImageFiles = [],  # noqa: B006
    sound: SoundFiles = [],  # noqa: B006
    labels: Labels = [],  # noqa: B006
    prototypes: Annotated[
        Kind, Query(description="With `labels`: which items make a label's prototype, images, sounds or both.")
    ] = "both",
    windows: Windows = False,
    explain: Explain = False,
) -> ClassifyAnswer:
    """Classes with their probabilities, best first: the model's own, or labels of the catalogue.

    Without `labels` the class head answers that was fitted when the model was trained. With `labels` nothing was
    trained: each label's prototype is the mean projection of the catalogue's items that have it, and the probabilities
    are a softmax over the cosines to the prototypes, with temperature 0.1.

    A sound longer than the model's window has classes for the whole, and with `windows=true` each window's best five
    too.
    """
    uploads, modality = await read_uploads(engine, image, sound)
    check_windows(windows, modality)
    named = check_named(labels, engine.limits)
    if "prototypes" in request.query_params and not named:
        raise Problem("invalid-request", "query 'prototypes': is of labels of the catalogue; name some with 'labels'.")
    judge: Judge
    if named:
        shelf = _shelf(request, engine)
        judge = ByPrototypes(engine, await engine.call(shelf.prototypes, named, prototypes))
    else:
        judge = ByHead(engine, modality)
    decoded = await decode(engine, uploads, modality)
    parts = await embed_parts(engine, decoded, modality) if windows or explain else None
    embedding = parts.whole if parts else await embed_whole(engine, decoded, modality)
    probabilities = await judge.probabilities(embedding.h, embedding.z)
    explained = await explaining.explain(engine, parts) if parts and explain else None
    lifted = await _lifted(judge, explained, probabilities) if explained else None
    heard = await _heard(engine, judge, parts) if parts and windows else None

    def result(upload: Upload, place: int) -> Classified:
        members: dict[str, Any] = {"explanation": explanation(explained, place)} if explained else {}
        if heard:
            members["windows"] = heard[place]
        classes = []
        for rank, number in enumerate(np.argsort(-probabilities[place], kind="stable").tolist()):
            probability = float(probabilities[place, number])
            entry: dict[str, Any] = {"label": judge.labels[number], "probability": probability}
            if explained and lifted is not None and rank < BEST:
                entry["slots"] = effects(explained, place, lifted[place, :, number])
            classes.append(ClassProbability(**entry))
        return Classified(name=upload.name, classes=classes, **members)

    return ClassifyAnswer(model=engine.embedder.bundle.name, results=decoded.results(uploads, Classified, result))


class Judge(Protocol):
    """Gives each of some labels a probability."""

    labels: Sequence[str]

    async def probabilities(self, h: Floats, z: Floats) -> Floats:
        """Of representations `[N, 2c]` with their projections `[N, d]`: `[N, L]`."""


class ByHead:
    """The class head that was fitted in training. Raises `Problem` where there is none."""

    def __init__(self, engine: Engine, modality: Modality) -> None:
        self.engine, self.modality = engine, modality
        self.labels: Sequence[str] = engine.embedder.labels(modality)
        if not self.labels:
            raise Problem(
                "no-class-head",
                f"This model has no class head for {modality}s; train it on rows with labels, "
                "or ask with labels=* for those of the catalogue.",
            )

    async def probabilities(self, h: Floats, z: Floats) -> Floats:
        """By h."""
        return await self.engine.classify(h, self.modality)


class ByPrototypes:
    """Labels of the catalogue."""

    def __init__(self, engine: Engine, prototypes: Prototypes) -> None:
        self.engine, self.prototypes = engine, prototypes
        self.labels: Sequence[str] = prototypes.labels

    async def probabilities(self, h: Floats, z: Floats) -> Floats:
        """By z."""
        return await self.engine.call(self.prototypes.probabilities, z)


async def _lifted(judge: Judge, explained: Explained, probabilities: Floats) -> Floats:
    """By how much each shown slot lifted each class's probability, `[N, k, L]`."""
    h, z = explained.model.h_without, explained.model.z_without
    without = await judge.probabilities(h.reshape(-1, h.shape[-1]), z.reshape(-1, z.shape[-1]))
    lifted: Floats = probabilities[:, None] - without.reshape(*h.shape[:2], -1)
    return lifted


async def _heard(engine: Engine, judge: Judge, parts: Parts) -> list[list[ClassifiedWindow]]:
    """Of each sound its windows, with the best classes of each."""
    heard = []
    for place, windows in enumerate(parts.windows):
        each = parts.of(place)
        probabilities = await judge.probabilities(each.h, each.z)
        order = await engine.call(np.argsort, -probabilities, -1, "stable")  # of many labels it takes a while
        classes = [
            [ClassProbability(label=judge.labels[number], probability=float(row[number])) for number in best[:BEST]]
            for row, best in zip(probabilities, order, strict=True)
        ]
        told = zip(windows, classes, strict=True)
        heard.append([ClassifiedWindow(start=window.start, end=window.end, classes=best) for window, best in told])
    return heard


def _shelf(request: Request, engine: Engine) -> Shelf:
    """The prototypes of the catalogue that answers, which a reload may have changed."""
    catalogue = catalogue_of(engine)
    shelf: Shelf | None = getattr(request.app.state, "shelf", None)
    if shelf is None or shelf.catalogue is not catalogue:
        shelf = request.app.state.shelf = Shelf(catalogue, engine.limits.labels)
    return shelf
