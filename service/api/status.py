"""How the service is, and what it runs."""

from __future__ import annotations

import dataclasses
from typing import Annotated, get_args

from fastapi import APIRouter, Depends

from service.api.uploads import engine_of
from service.engine import Engine
from service.problems import Problem, log
from service.schemas import ModelAnswer, Status, problems
from training.model.memory import Modality

router = APIRouter(tags=["status"])

EngineDependency = Annotated[Engine, Depends(engine_of)]


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Status:
    """Says only that the process answers."""
    return Status(status="ok")


@router.get("/readyz", summary="Whether it can answer queries", responses=problems({503: "It can not"}))
async def readyz(engine: EngineDependency) -> Status:
    """Runs a real forward pass of both encoders."""
    try:
        await engine.self_test()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is: not ready
        log.error("the self-test failed", exc_info=error)
        raise Problem("not-ready", "The model's self-test failed; the service's log says why.") from None
    return Status(status="ready")


@router.get("/v1/model", summary="The model, the catalogue and the limits")
async def model(engine: EngineDependency) -> ModelAnswer:
    """What answers, and within which limits."""
    embedder = engine.embedder
    bundle, config = embedder.bundle, embedder.bundle.model.config
    preprocess = embedder.preprocessor.config
    modalities: tuple[Modality, ...] = get_args(Modality)
    counts = None
    if engine.catalogue is not None:
        counts = {f"{kind}s": n for kind, n in (await engine.call(engine.catalogue.count)).items()}
    return ModelAnswer(
        name=bundle.name,
        fingerprint=bundle.fingerprint,
        preset=str(bundle.training.get("preset", "")),
        device=str(embedder.device),
        precision="bf16" if str(embedder.dtype) == "torch.bfloat16" else "fp32",
        representation_dim=2 * config.channels,
        projection_dim=config.projection_dim,
        image_size=preprocess.image_size,
        sample_rate=preprocess.sample_rate,
        window_seconds=preprocess.window_seconds,
        classes={modality: list(embedder.labels(modality)) for modality in modalities},
        catalogue=counts,
        limits={key: float(value) for key, value in dataclasses.asdict(engine.limits).items()},
        training=bundle.training,
    )
