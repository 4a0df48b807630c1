"""How the service is, and what it runs."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from service.api.uploads import engine_of
from service.engine import Engine
from service.pipeline.metrics import MEDIA_TYPE
from service.problems import Problem, log
from service.schemas import ModelAnswer, Status, problems
from training.model.memory import MODALITIES

SELF_TEST = 30.0  # seconds that it may take, behind whatever is in the model

router = APIRouter(tags=["status"])

EngineDependency = Annotated[Engine, Depends(engine_of)]


@router.head("/healthz", include_in_schema=False, response_model_exclude_unset=True)
@router.get("/healthz", summary="Whether the process lives", response_model_exclude_unset=True)
async def healthz() -> Status:
    """Says only that the process answers."""
    return Status(status="ok")


@router.head("/readyz", include_in_schema=False, response_model_exclude_unset=True)
@router.get(
    "/readyz",
    summary="Whether it can answer queries",
    response_model_exclude_unset=True,
    responses=problems({503: "It can not"}),
)
async def readyz(engine: EngineDependency) -> Status:
    """Runs a real forward pass of both encoders when in doubt: after a crash, a failure of the model, or some seconds
    without an answer of its. `restarts` counts the crashes by stage."""
    try:
        if engine.health.in_doubt:
            async with asyncio.timeout(SELF_TEST):
                await engine.self_test()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is: not ready
        log.error("the self-test failed", exc_info=error)
        raise Problem(
            "not-ready", "The model's self-test failed; the service's log says why.", restarts=engine.health.restarts
        ) from None
    restarts = engine.health.restarts
    return Status(status="ready", restarts=restarts) if restarts else Status(status="ready")


@router.head("/metrics", include_in_schema=False)
@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"description": "Prometheus's text format", "content": {"text/plain": {}}}},
)
async def metrics(engine: EngineDependency) -> Response:
    """Requests, queue depths, batch sizes, seconds in each stage, and which model and catalogue serve."""
    return Response(await engine.scrape(), media_type=MEDIA_TYPE)


@router.head("/v1/model", include_in_schema=False)
@router.get("/v1/model", summary="The model, the catalogue and the limits")
async def model(engine: EngineDependency, request: Request) -> ModelAnswer:
    """What answers, and within which limits."""
    key = getattr(request.state, "key", None)
    embedder = engine.embedder
    bundle, config = embedder.bundle, embedder.bundle.model.config
    preprocess = embedder.preprocessor.config
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
        classes={modality: list(embedder.labels(modality)) for modality in MODALITIES},
        catalogue=counts,
        writable=engine.catalogue is not None and engine.catalogue.writable and (key is None or key.allows("write")),
        limits=dataclasses.asdict(engine.limits),
        training=bundle.training,
    )
