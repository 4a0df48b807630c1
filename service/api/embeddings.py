"""OpenAI's embeddings, so that its clients work unchanged: images and sounds go in as data URIs, z comes out."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Depends, Path, Request

from service.api.decoding import Decoded
from service.api.nesting import read_json
from service.api.uploads import engine_of
from service.api.vectors import as_base64, as_floats
from service.engine import Engine, Upload
from service.limits import Limits
from service.problems import Problem
from service.schemas import EmbeddingsAnswer, EmbeddingsRequest, EmbeddingVector, OpenAIModel, OpenAIModels, refusals
from training.model.memory import Modality

ALIAS = "bma"  # whatever model serves, so that a client need not follow its name

router = APIRouter(prefix="/v1", tags=["OpenAI's dialect"])

EngineDependency = Annotated[Engine, Depends(engine_of)]
_FIELDS = ("input", "model", "encoding_format", "dimensions", "modality", "user")
_SAYS: dict[str, Modality] = {"image": "image", "audio": "sound", "video": "sound"}


@dataclass(frozen=True)
class Question:
    """What a body asks for: files with what each is, and how the numbers are to be told."""

    uploads: list[Upload]
    modalities: list[Modality]
    encoding: Literal["float", "base64"]


@router.post(
    "/embeddings",
    summary="Vectors as OpenAI's API gives them",
    responses=refusals(
        {
            400: "The body is not what this path takes, or an image or sound in it can't be read",
            404: "The service has no such model",
            413: "The body, an image or a sound is too large, or there are too many",
        }
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": EmbeddingsRequest.model_json_schema()}},
        }
    },
)
async def embeddings(request: Request, engine: EngineDependency) -> EmbeddingsAnswer:
    """The projection `z` (unit norm) of each input, in order; images and sounds may be mixed, and can be compared.

    An input is a data URI, such as `data:image/jpeg;base64,…`; nothing is fetched for a client. One that can't be read
    fails the request, as this answer has no place for an error of its own.
    """
    body = await request.body()
    question = await engine.call(parse, body, engine)
    vectors: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(question.uploads)
    for modality in dict.fromkeys(question.modalities):
        places = [place for place, kind in enumerate(question.modalities) if kind == modality]
        decoded = Decoded(await engine.decode([question.uploads[place] for place in places], modality))
        for place, problem in zip(places, decoded.errors, strict=True):
            if problem is not None:
                raise problem.having(param=question.uploads[place].name)
        for place, outcome in zip(places, await engine.embed_each(decoded.packed, modality), strict=True):
            if isinstance(outcome, Problem):
                raise outcome.having(param=question.uploads[place].name)
            _, vectors[place] = outcome
    encode = as_base64 if question.encoding == "base64" else as_floats
    data = [EmbeddingVector(index=place, embedding=encode(z)) for place, z in enumerate(vectors)]
    return EmbeddingsAnswer(data=data, model=engine.embedder.bundle.name)


@router.head("/models", include_in_schema=False)
@router.get("/models", summary="The model, as OpenAI's API lists models")
async def models(engine: EngineDependency) -> OpenAIModels:
    """The model that serves, and `bma`, which is always the one that serves."""
    return OpenAIModels(data=[OpenAIModel(id=engine.embedder.bundle.name), OpenAIModel(id=ALIAS)])


@router.head("/models/{id}", include_in_schema=False)
@router.get(
    "/models/{id}",
    summary="A model, as OpenAI's API describes it",
    responses=refusals({404: "The service has no such model", "4XX": "Whatever else a client can do wrong"}),
)
async def one_model(
    engine: EngineDependency, id: Annotated[str, Path(description="The model's name.", examples=[ALIAS])]
) -> OpenAIModel:
    """The model, if it is the one that serves."""
    return OpenAIModel(id=_check_model(id, engine))


def parse(body: bytes, engine: Engine) -> Question:
    """What a body asks for; everything in it is checked before anything is decoded.

    Raises:
        Problem: it is not JSON of the right form, is nested too deep, or holds no data URIs.
    """
    try:
        document = read_json(body, "The body", engine.limits)
    except ValueError:
        raise Problem("malformed-body", 'The body is not JSON; send {"model": …, "input": "data:…"}.') from None
    if not isinstance(document, dict):
        raise Problem("malformed-body", 'The body takes a JSON object; send {"model": …, "input": "data:…"}.')
    unknown = next((key for key in document if key not in _FIELDS), None)
    if unknown is not None:
        named = "".join(character if character.isprintable() else "?" for character in unknown[:80])
        raise _refused(named, f"There is no '{named}' here; leave it out.")
    model = document.get("model")
    if not isinstance(model, str):
        raise _refused("model", f"'model' takes the model's name, or '{ALIAS}'.")
    _check_model(model, engine)
    encoding = document.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise _refused("encoding_format", "'encoding_format' takes float or base64.")
    _check_dimensions(document.get("dimensions"), engine)
    said = document.get("modality")
    if said not in (None, "image", "sound", "audio"):
        raise _refused("modality", "'modality' takes image or sound.")
    modality: Modality | None = None if said is None else "image" if said == "image" else "sound"
    inputs = _inputs(document.get("input"), engine.limits)
    parts = [_part(text, name, modality) for text, name in inputs]
    return Question([upload for upload, _ in parts], [kind for _, kind in parts], encoding or "float")


def _check_model(name: str, engine: Engine) -> str:
    served = engine.embedder.bundle.name
    if name not in (served, ALIAS):
        raise Problem(
            "model-not-found",
            f"There is no model '{name[:140]}'; this service has '{served}', or '{ALIAS}'.",
            param="model",
        )
    return name


def _check_dimensions(wanted: Any, engine: Engine) -> None:
    has = engine.embedder.bundle.model.config.projection_dim
    if wanted is not None and (isinstance(wanted, bool) or wanted != has):
        raise _refused("dimensions", f"This model's vectors have {has} numbers, no more and no fewer; leave it out.")


def _inputs(given: Any, limits: Limits) -> list[tuple[str, str]]:
    """Each input with what messages call it."""
    takes = "'input' takes a data URI such as data:image/jpeg;base64,… or a list of them"
    if isinstance(given, str):
        return [(given, "input")]
    if not isinstance(given, list) or not given:
        raise _refused("input", f"{takes}.")
    if len(given) > limits.files:
        raise Problem(
            "too-many-files",
            f"'input' holds {len(given)} files, the limit is {limits.files}; send them in several requests.",
            limit=limits.files,
            param="input",
        )
    wrong = next((place for place, text in enumerate(given) if not isinstance(text, str)), None)
    if wrong is not None:
        raise _refused(f"input[{wrong}]", f"input[{wrong}] is not a text; {takes}.")
    return [(text, f"input[{place}]") for place, text in enumerate(given)]


def _part(text: str, name: str, said: Modality | None) -> tuple[Upload, Modality]:
    """The file in a data URI (RFC 2397), and what it is."""
    head, comma, payload = text.partition(",")
    if head[:5].lower() != "data:" or not comma:
        what = "is an address, and nothing is fetched for a client" if "://" in text[:40] else "is not a data URI"
        raise _refused(
            name, f"{name} {what}; send the file itself, as data:image/jpeg;base64,… or data:audio/wav;base64,…"
        )
    media_type, *parameters = head[5:].lower().split(";")
    if "base64" not in (parameter.strip() for parameter in parameters):
        raise _refused(name, f"{name} is not in base64; write it as data:image/jpeg;base64,…")
    kind = _SAYS.get(media_type.partition("/")[0].strip())
    if kind is not None and said is not None and kind != said:
        raise _refused(name, f"{name} says {media_type[:60]} and 'modality' says {said}; leave one of them out.")
    modality = kind or said
    if modality is None:
        raise _refused(
            name, f"{name} does not say whether it is an image or a sound; say image/… or audio/… in it, or 'modality'."
        )
    try:
        return Upload(name, base64.b64decode(payload, validate=True)), modality
    except (binascii.Error, ValueError):
        raise _refused(
            name, f"{name} is not valid base64; encode the file's bytes with the standard alphabet."
        ) from None


def _refused(param: str, detail: str) -> Problem:
    return Problem("invalid-request", detail, param=param)
