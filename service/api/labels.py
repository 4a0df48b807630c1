"""Labels of the catalogue."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.items import INVALID, NO_CATALOGUE, EngineDependency, catalogue_of
from service.schemas import LabelCount, LabelsAnswer, problems
from training.model.memory import Modality

router = APIRouter(prefix="/v1/labels", tags=["items"], responses=problems(NO_CATALOGUE | INVALID))


@router.head("", include_in_schema=False)
@router.get("", summary="Labels, and how many items have them")
async def list_labels(
    engine: EngineDependency,
    modality: Annotated[Modality | None, Query(description="Of images or of sounds alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=100_000, description="How many at most.")] = 1000,
) -> LabelsAnswer:
    """Those that most items have come first; `total` says how many labels there are."""
    counts = await engine.call(catalogue_of(engine).labels, modality)
    first = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:limit]
    return LabelsAnswer(labels=[LabelCount(label=label, count=count) for label, count in first], total=len(counts))
