"""What a request may ask for, and how long a client may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le  # what pydantic reads; by itself it costs no time to import

Count = Annotated[int, Ge(1)]
Seconds = Annotated[float, Gt(0), Le(1e9)]


@dataclass(frozen=True)
class Limits:
    """Each a setting, and named with its value in the error that it causes, and in `/v1/model`."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    upload_bytes: Count = 64 * 1024 * 1024  # of a whole request
    files: Count = 64  # in a request
    pixels: Count = 100_000_000  # of an image, checked before it is decoded
    seconds: Seconds = 600.0  # of a sound
    request_seconds: Seconds = 1800.0  # of all the sounds of a request, which are in memory together
    k: Count = 1000  # hits
    json_depth: Annotated[int, Ge(1), Le(64)] = 32  # objects and lists in each other, in a filter or OpenAI's body
    detailed_k: Count = 100  # hits, where each comes with windows or slots
    labels: Count = 256  # of the catalogue that a classification may choose from
    label_length: Count = 256  # characters
    tags: Count = 64  # of an item
    tag_length: Count = 256  # characters
    metadata_bytes: Count = 16 * 1024  # of an item's JSON, which comes along with every hit
    metadata_depth: Annotated[int, Ge(1), Le(64)] = 16  # objects and lists in each other
    head_bytes: Count = 65_536  # of a request's line and headers
    head_timeout: Seconds = 15.0  # seconds that a request's line and headers may take
    stall_timeout: Seconds = 30.0  # seconds without a byte of a body that is awaited, or of an answer that is not read
    body_timeout: Seconds = 300.0  # seconds that a whole body may take
