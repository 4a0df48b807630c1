"""What the client that waits and the one that awaits have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import httpx

from service.remote.retries import Retries, no_answer

LOCAL = "http://127.0.0.1:8000"

Modality = Literal["image", "sound"]
Prototypes = Literal["image", "sound", "both"]
Filter = Mapping[str, Any]


class Asker:
    """What both clients know: the address, the key, and when to ask again."""

    def __init__(self, url: str, api_key: str | None, timeout: float, retries: int) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")  # which clients of OpenAI's are given
        self._timeout = timeout
        self._retries = Retries(times=retries)
        self._headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What httpx raises, as one sentence."""
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise no_answer(self._url, error, self._timeout) from error
