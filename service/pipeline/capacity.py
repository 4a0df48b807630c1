"""How much the service takes on at once, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le  # what pydantic reads, where this is part of the settings

Count = Annotated[int, Ge(1)]
Seconds = Annotated[float, Gt(0), Le(86_400)]


@dataclass(frozen=True)
class Capacity:
    """Bounds of what is under way.

    Attributes:
        batch_size: images, or windows of sound, that go through the model at once at most; tried out when the service
            starts where None.
        queue_items: files of requests that are under way; a request past it is answered with 429.
        queue_bytes: bytes that these files take as they were sent, and decoded.
        queue_calls: other work that may wait (lookups, thumbnails, changes of the catalogue); past it, 429.
        deadline: seconds that a request has, where it does not say so itself.
        longest_deadline: seconds that it may give itself with `X-Deadline-Ms`.
        lanes: batches that are computed at once at most; one for each core up to eight, or one on a GPU, where None.
        model_threads: cores that these are computed on together; all where None.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    batch_size: Count | None = None
    queue_items: Count = 256
    queue_bytes: Count = 512 * 1024 * 1024
    queue_calls: Count = 1024
    deadline: Seconds = 60.0
    longest_deadline: Seconds = 600.0
    lanes: Count | None = None
    model_threads: Count | None = None
