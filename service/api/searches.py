"""Searches: the catalogue's items nearest to files."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from index.catalogue import Hit
from service import explaining
from service.api.decoding import decode, embed, embed_parts
from service.api.explanations import effects, explanation
from service.api.items import catalogue_of, described
from service.api.parameters import Explain, FilterText, K, Windows, check_k, check_windows, parse_filter
from service.api.queries import ERRORS
from service.api.uploads import ImageFiles, SoundFiles, engine_of, read_uploads
from service.engine import Engine, Upload
from service.explaining import Explained, Floats, vectors_of
from service.parts import Parts
from service.schemas import MatchedWindow, SearchAnswer, Searched, SearchHit, Span
from training.model.memory import Modality

router = APIRouter(prefix="/v1/search", tags=["queries"], responses=ERRORS)

EngineDependency = Annotated[Engine, Depends(engine_of)]


@router.post("/images", summary="Images that match a sound or an image", response_model_exclude_unset=True)
async def search_images(
    engine: EngineDependency,
    sound: SoundFiles = [],  # noqa: B006 - FastAPI copies it
    image: ImageFiles = [],  # noqa: B006
    k: K = 10,
    filter: FilterText = None,
    windows: Windows = False,
    explain: Explain = False,
) -> SearchAnswer:
    """The catalogue's images nearest to each file, best first."""
    return await _search(engine, image, sound, "image", k, filter, windows, explain)


@router.post("/sounds", summary="Sounds that match an image or a sound", response_model_exclude_unset=True)
async def search_sounds(
    engine: EngineDependency,
    image: ImageFiles = [],  # noqa: B006
    sound: SoundFiles = [],  # noqa: B006
    k: K = 10,
    filter: FilterText = None,
    windows: Windows = False,
    explain: Explain = False,
) -> SearchAnswer:
    """The catalogue's sounds nearest to each file, best first."""
    return await _search(engine, image, sound, "sound", k, filter, windows, explain)


async def _search(
    engine: Engine,
    image: list[Any],
    sound: list[Any],
    target: Modality,
    k: int,
    filter_text: str | None,
    windows: bool,
    explained: bool,
) -> SearchAnswer:
    check_k(k, engine.limits, windows or explained)
    uploads, modality = await read_uploads(engine, image, sound)
    check_windows(windows, modality)
    catalogue = catalogue_of(engine)
    condition = parse_filter(filter_text, engine.limits)
    decoded = await decode(engine, uploads, modality)
    parts = await embed_parts(engine, decoded, modality) if windows or explained else None
    embedding = parts.whole if parts else await embed(engine, decoded, modality)
    found = await engine.search(embedding.z, target, k, condition)
    details = None
    if parts:
        vectors = await engine.call(vectors_of, catalogue, [hit.item.id for hits in found for hit in hits])
        details = Details(
            target, parts, vectors, windows, await explaining.explain(engine, parts) if explained else None
        )

    def result(upload: Upload, place: int) -> Searched:
        hits = [
            SearchHit(**described(hit.item), score=hit.score, **(details.of_hit(place, hit) if details else {}))
            for hit in found[place]
        ]
        return Searched(name=upload.name, hits=hits, **(details.of_file(place) if details else {}))

    return SearchAnswer(model=engine.embedder.bundle.name, results=decoded.results(uploads, Searched, result))


class Details:
    """What windows and explanations say of each file and each of its hits.

    Args:
        target: what was searched for.
        parts: the files.
        vectors: of the hits, by their ids; one that was deleted just now has none.
        windows: whether the sounds' windows are told.
        explained: None where explanations are not.
    """

    def __init__(
        self, target: Modality, parts: Parts, vectors: dict[str, Floats], windows: bool, explained: Explained | None
    ) -> None:
        self.target, self.parts, self.vectors = target, parts, vectors
        self.windows, self.explained = windows, explained

    def of_file(self, place: int) -> dict[str, Any]:
        """Members of a file's result."""
        members: dict[str, Any] = {}
        if self.windows:
            members["windows"] = [Span(start=window.start, end=window.end) for window in self.parts.windows[place]]
        if self.explained is not None:
            members["explanation"] = explanation(self.explained, place)
        return members

    def of_hit(self, place: int, hit: Hit) -> dict[str, Any]:
        """Members of one of its hits."""
        members: dict[str, Any] = {}
        vector = self.vectors.get(hit.item.id)
        if vector is None:
            return members
        if self.windows:
            scores = (self.parts.of(place).z @ vector).tolist()
            best = max(range(len(scores)), key=scores.__getitem__)
            window = self.parts.windows[place][best]
            members["window"] = MatchedWindow(start=window.start, end=window.end, score=scores[best])
            members["window_scores"] = scores
        if self.explained is not None:
            model = self.explained.model
            lifted = self.parts.whole.z[place] @ vector - model.z_without[place] @ vector
            members["slots"] = effects(self.explained, place, lifted, model.z[self.target][place] @ vector)
        return members
