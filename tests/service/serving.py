"""A service in this process, over real HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from service.access.policy import Access
from service.engine import Engine
from service.server import address, listen, make_server
from service.tracing import Tracing


@contextmanager
def served(engine: Engine, access: Access | None = None, tracing: Tracing | None = None) -> Iterator[httpx.Client]:
    """A client of an engine's service; the engine is closed with it."""
    server = make_server(engine, access, tracing=tracing)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():  # its self-test is no work of the test's
            time.sleep(0.002)
        try:
            with httpx.Client(base_url=address(listener), timeout=60) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
