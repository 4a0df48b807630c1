"""The files of a request: which modality, how many, read into memory within the limits."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Request, UploadFile

from service.engine import Engine, Upload
from service.problems import Problem
from training.model.memory import Modality

ImageFiles = Annotated[
    list[UploadFile], File(description="Image files: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP, TIFF or JPEG 2000.")
]
SoundFiles = Annotated[
    list[UploadFile],
    File(description="Sound files: WAV, FLAC, MP3, Ogg, Opus, M4A/AAC, WebM; or a video's sound track."),
]


async def engine_of(request: Request) -> Engine:
    """The request's engine, from its beginning to its end; another may answer later ones."""
    engine: Engine = request.state.engine
    return engine


async def read_uploads(
    engine: Engine, image: list[UploadFile], sound: list[UploadFile]
) -> tuple[list[Upload], Modality]:
    """The request's files and what they are.

    Raises:
        Problem: none, both kinds, too many, or no room for them now (429).
    """
    if image and sound:
        raise Problem("invalid-request", "The request has both images and sounds; send one kind in a request.")
    files, modality = (image, "image") if image else (sound, "sound")
    if not files:
        raise Problem(
            "no-file", "The request has no file; send multipart/form-data with a file in the field 'image' or 'sound'."
        )
    if len(files) > engine.limits.files:
        raise Problem(
            "too-many-files",
            f"The request has {len(files)} files, the limit is {engine.limits.files}; send them in several requests.",
            limit=engine.limits.files,
        )
    engine.admission.check(len(files))
    return [Upload(_name(file), await file.read()) for file in files], "image" if modality == "image" else "sound"


def _name(file: UploadFile) -> str:
    """The client's file name without its path, of reasonable length and printable."""
    name = (file.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in name if c.isprintable())[-120:] or "the file"
