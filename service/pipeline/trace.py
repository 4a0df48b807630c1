"""What a request that is traced is told on its way through the stages."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Trace(Protocol):
    """A request that is traced; `service.tracing` has the only one."""

    id: str  # 32 hexadecimal digits

    def stage(
        self, name: str, begin: float, end: float, error: BaseException | None = None, **attributes: str | int
    ) -> None:
        """Told from any thread.

        Args:
            name: of a stage that the request went through.
            begin: by `time.perf_counter`.
            end: likewise.
            error: what the stage ended with; of it only the kind is told on.
            attributes: what else there is to say, nothing that a client sent.
        """


trace: ContextVar[Trace | None] = ContextVar("trace", default=None)
