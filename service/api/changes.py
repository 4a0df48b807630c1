"""Changes of the catalogue: items added, replaced, deleted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from index.catalogue import Catalogue, Item
from service.api.additions import Candidate, Known, add, change, delete, replace
from service.api.decoding import Decoded, decode, embed
from service.api.fields import (
    Ids,
    Labels,
    Metadata,
    Tags,
    check_id,
    check_ids,
    check_label,
    check_labels,
    check_tags,
    parse_metadata,
)
from service.api.idempotency import REPLAYED, IdempotencyKey, Mark, mark_of, once
from service.api.items import EngineDependency, Id, catalogue_of, item_answer
from service.api.origin import refuse_other_sites
from service.api.uploads import ImageFiles, SoundFiles, read_uploads
from service.engine import Engine, Upload, read_only
from service.problems import Problem
from service.schemas import AddAnswer, Added, ItemAnswer, problems
from training.model.memory import Modality

_REFUSED = {403: "A page of another site asks", 507: "The catalogue has no room; nothing has changed"}
_FILE = {
    400: "The body can't be parsed",
    413: "Too large, too long or too many files",
    415: "Not a format that is read",
    422: "A damaged or empty file, one that the model has no answer for, or a field that makes no sense",
}


router = APIRouter(
    prefix="/v1/items",
    tags=["items"],
    dependencies=[Depends(refuse_other_sites)],
    responses=problems(_REFUSED),
)


@router.post(
    "",
    status_code=201,
    summary="Add items",
    response_model_exclude_unset=True,
    responses={
        200: {"model": AddAnswer, "description": "They were there already"},
        **problems(
            _FILE
            | {
                409: "The id belongs to another item, the catalogue is read-only or not there, or a request with this "
                "Idempotency-Key is under way",
                422: f"{_FILE[422]}, or an Idempotency-Key of another request",
            }
        ),
    },
)
async def add_items(
    engine: EngineDependency,
    request: Request,
    response: Response,
    image: ImageFiles = [],  # noqa: B006 - FastAPI copies it
    sound: SoundFiles = [],  # noqa: B006
    id: Ids = [],  # noqa: B006
    label: Labels = [],  # noqa: B006
    tags: Tags = [],  # noqa: B006
    metadata: Metadata = None,
    idempotency_key: IdempotencyKey = None,
) -> AddAnswer:
    """Each file becomes an item, its content kept by the catalogue; searches find it once this is answered.

    The same bytes under the same id, or both times without one, are one item, which stays as it was. Where an id
    belongs to something else, that file fails: `PUT` replaces. All that is created is created at once. With an
    `Idempotency-Key` it is safe to send the request again where no answer came.
    """
    catalogue, limits = _writable(engine), engine.limits
    uploads, modality = await read_uploads(engine, image, sound)
    ids, labels = check_ids(id, len(uploads)), check_labels(label, len(uploads), limits)
    everywhere = Known(tags=check_tags(tags, limits), metadata=parse_metadata(metadata, limits))
    known = [dataclasses.replace(everywhere, label=label) for label in labels]
    fields = (modality, ids, labels, tags, metadata or "")
    mark = await mark_of(engine, request, idempotency_key, uploads, fields)
    async with once(engine, catalogue.receipts, mark) as earlier:
        if earlier is not None:
            answer = AddAnswer.model_validate_json(earlier)
            response.headers[REPLAYED] = "true"
        else:
            decoded = await decode(engine, uploads, modality)
            candidates = await _candidates(engine, uploads, ids, known, decoded, modality)
            answer = await engine.write(_add, engine, candidates, uploads, decoded, mark)
    response.status_code = 201 if any(result.created for result in answer.results) else 200
    return answer


@router.put(
    "/{id}",
    summary="Replace an item, or what is known of it",
    responses={
        201: {"model": ItemAnswer, "description": "There was no such item: the file has become it"},
        **problems(
            _FILE
            | {404: "No such item", 409: "A file of the other modality, or a catalogue that is read-only or not there"}
        ),
    },
)
async def put_item(
    engine: EngineDependency,
    request: Request,
    response: Response,
    id: Id,
    image: ImageFiles = [],  # noqa: B006
    sound: SoundFiles = [],  # noqa: B006
    label: Annotated[str | None, Form(description="Class name.", examples=["dog"])] = None,
    tags: Tags = [],  # noqa: B006
    metadata: Metadata = None,
) -> ItemAnswer:
    """A file takes the place of the item's content and vector; without one only label, tags and metadata change.

    Of these, those are replaced that are sent; an empty field empties what it names. A file under a new id is a new
    item.
    """
    catalogue, limits = _writable(engine), engine.limits
    check_id(id)
    sent = await request.form()  # FastAPI takes an empty field for one that was not sent
    known = Known(
        check_label(label or "", limits) if "label" in sent else None,
        check_tags(tags, limits) if "tags" in sent else None,
        parse_metadata(metadata, limits) if "metadata" in sent else None,
    )
    if len(image) + len(sound) > 1:
        raise Problem("invalid-request", "An item is one file; send one, or POST to /v1/items to add several.")
    if image or sound:
        uploads, modality = await read_uploads(engine, image, sound)
        decoded = await decode(engine, uploads, modality)
        (candidate,) = await _candidates(engine, uploads, [id], [Known()], decoded, modality)
        outcome = await engine.write(replace, catalogue, candidate, known)
    elif known == Known():
        raise Problem(
            "invalid-request",
            "The request replaces nothing; send multipart/form-data with a file in the field 'image' or 'sound', or "
            "with fields 'label', 'tags', 'metadata'.",
        )
    else:
        outcome = await engine.write(change, catalogue, id, known)
    response.status_code = 201 if outcome.created else 200
    return item_answer(outcome.item)


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    summary="Delete an item",
    responses=problems({404: "No such item", 409: "The catalogue is read-only or not there", 422: "Not an id"}),
)
async def delete_item(engine: EngineDependency, id: Id) -> Response:
    """No search finds it any more; content that the catalogue keeps goes with the last item that has it."""
    await engine.write(delete, _writable(engine), id)
    return Response(status_code=204)  # without a body there is no type of it


def _add(
    engine: Engine, candidates: Sequence[Candidate], uploads: Sequence[Upload], decoded: Decoded, mark: Mark | None
) -> AddAnswer:
    """Put in what is new, and keep what is answered: both are done, also where the client has gone meanwhile."""
    catalogue = catalogue_of(engine)
    outcomes = decoded.keep(add(catalogue, candidates))

    def result(upload: Upload, place: int) -> Added:
        return Added(name=upload.name, created=outcomes[place].created, item=item_answer(outcomes[place].item))

    answer = AddAnswer(model=engine.embedder.bundle.name, results=decoded.results(uploads, Added, result))
    if mark is not None:
        mark.keep(catalogue.receipts, answer.model_dump_json(exclude_unset=True))
    return answer


def _writable(engine: Engine) -> Catalogue:
    catalogue = catalogue_of(engine)
    if not catalogue.writable:
        raise read_only()
    return catalogue


async def _candidates(
    engine: Engine,
    uploads: Sequence[Upload],
    ids: Sequence[str],
    known: Sequence[Known],
    decoded: Decoded,
    modality: Modality,
) -> list[Candidate]:
    """Files as the items that they would be, without those that could not be decoded or that the model has no answer
    for."""
    embedding = await embed(engine, decoded, modality)
    good = [place for place, problem in enumerate(decoded.errors) if problem is None]
    identities = await engine.identify([uploads[place] for place in good], modality)
    candidates = []
    for place, what, z in zip(good, identities, embedding.z, strict=True):
        item = Item(ids[place] or what.hash, modality, "", what.media_type, content=what.hash)
        candidates.append(Candidate(known[place].of(item), uploads[place].data, z))
    return candidates
