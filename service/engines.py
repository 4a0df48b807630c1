"""The engine that answers, and how another takes its place while requests go on."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import Counter
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine import Engine
from service.garbage import free_what_was_replaced

# Seconds before each try to free an engine: who asked for another has the one before at hand for a moment.
PAUSES = (0.1, 1.0, 10.0)

log = logging.getLogger("bma.reload")


class ReloadError(RuntimeError):
    """The service goes on with what it had; `str()` is one sentence."""


class Engines:
    """The engine of now, and those before it until their last request has ended. For the event loop's thread alone.

    Args:
        engine: answers from the start.
        load: makes the successor of an engine, in a thread; it may take over the catalogue of the one before. None for
            a service that can't be reloaded.
        answers: told of a successor that has passed its self-test and answers from now on.
    """

    def __init__(
        self,
        engine: Engine,
        load: Callable[[Engine], Engine] | None = None,
        answers: Callable[[Engine], None] = lambda engine: None,
    ) -> None:
        self.current = engine
        self._load, self._answers = load, answers
        self._requests: Counter[int] = Counter()
        self._retired: dict[int, Engine] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._freeing: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    async def reload(self) -> Engine:
        """Load the engine anew; the new one, which answers all requests that come from now on.

        Raises:
            ReloadError: it can't be loaded or fails its self-test; the old one goes on.
        """
        if self._load is None:
            raise ReloadError("this service can't be reloaded; start it with 'bma serve'")
        async with self._reloading:
            old = self.current
            try:
                new = await asyncio.to_thread(self._load, old)
            except Exception as error:  # whatever is wrong with it, the old one still answers
                raise self._failed(error) from error
            try:
                await new.self_test()
            except Exception as error:
                try:
                    await asyncio.to_thread(_close, new, new.catalogue is old.catalogue)
                finally:
                    self._free(new)
                raise self._failed(error) from error
            self.current = new
            self._answers(new)
            self._retired[id(old)] = old
            log.info("reloaded: %s answers", new.embedder.bundle.name)
            self._let_go(old)
            return new

    async def close(self) -> None:
        """Close all of them."""
        for task in self._freeing:
            task.cancel()
        while self._closing:
            await asyncio.gather(*self._closing)
        while self._retired:
            _, engine = self._retired.popitem()
            _close(engine, self._is_used(engine))
        self.current.close()

    def lease(self) -> Engine:
        """The engine of now, for a request that gives it back."""
        self._requests[id(self.current)] += 1
        return self.current

    def give_back(self, engine: Engine) -> None:
        """A request has ended."""
        self._requests[id(engine)] -= 1
        self._let_go(engine)

    def _let_go(self, engine: Engine) -> None:
        if id(engine) in self._retired and not self._requests[id(engine)]:
            del self._retired[id(engine)], self._requests[id(engine)]
            closing = asyncio.to_thread(_close, engine, self._is_used(engine))
            task = asyncio.get_running_loop().create_task(closing)
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            task.add_done_callback(lambda closed: self._free(engine))

    def _free(self, engine: Engine) -> None:
        task = asyncio.get_running_loop().create_task(_freed(weakref.ref(engine)))
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)

    def _is_used(self, engine: Engine) -> bool:
        """Whether another engine has its catalogue."""
        return any(engine.catalogue is other.catalogue for other in (self.current, *self._retired.values()))

    def _failed(self, error: Exception) -> ReloadError:
        sentence = " ".join(str(error).split())
        ours = type(error).__module__.split(".")[0] in ("training", "index", "service")  # these say all there is
        name = self.current.embedder.bundle.name
        log.error("the reload has failed, %s goes on: %s", name, sentence, exc_info=None if ours else error)
        return ReloadError(sentence)


class Leases:
    """ASGI middleware: a request has one engine from its beginning to its end, as `scope["state"]["engine"]`."""

    def __init__(self, app: ASGIApp, engines: Engines) -> None:
        self.app, self.engines = app, engines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        engine = self.engines.lease()
        scope.setdefault("state", {})["engine"] = engine
        try:
            await self.app(scope, receive, send)
        finally:
            del scope["state"]["engine"]  # the server keeps the scope until the connection's next request
            self.engines.give_back(engine)


async def _freed(engine: weakref.ref[Engine]) -> None:
    """Give an engine's memory back: its parts know each other, so that it is not freed by itself."""
    for pause in PAUSES:
        await asyncio.sleep(pause)
        await asyncio.to_thread(free_what_was_replaced)
        if engine() is None:
            return


def _close(engine: Engine, keep_catalogue: bool) -> None:
    """Close an engine, but not a catalogue that another has taken over."""
    if keep_catalogue:
        engine.catalogue = None
    engine.close()
