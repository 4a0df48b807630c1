"""Running the service: load, listen, serve until told to stop."""

from __future__ import annotations

import errno
import ipaddress
import logging
import math
import signal
import socket
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import uvicorn

from service.access.keys import Keys, read_keys
from service.access.policy import Access
from service.app import create_app
from service.connection import connection
from service.engine import Engine
from service.engines import Engines
from service.garbage import spare_what_is_loaded
from service.hangup import loading_through_hangups
from service.loading import ServeError, Succession
from service.logs import logging_to
from service.settings import Settings, traces_endpoint

if TYPE_CHECKING:  # an extra
    from service.tracing import Tracing

SWITCH = 0.0001  # seconds for which a thread may keep Python from the others: the model's ask for it at each operation

log = logging.getLogger("bma.service")


def serve(settings: Settings) -> None:
    """Serve until Ctrl-C or SIGTERM ends it; requests that have begun are answered first.

    Raises:
        ServeError, KeysError, BundleError, CatalogueError: it can't be started.
    """
    if settings.model is None:
        raise ServeError("no model is named; say --model BUNDLE, or set BMA_MODEL, or 'model' in the settings file")
    keys = read_keys(settings.keys) if settings.keys else None
    terminated = False
    with (
        listen(settings.host, settings.port, settings.insecure or keys is not None) as listener,
        logging_to(style=settings.log),
        loading_through_hangups(),  # until there is something to load anew
        _tracing() as tracing,  # within the log, which hears of it
    ):
        succession = Succession(settings, keys)
        server = make_server(succession.first(), access_of(settings, keys), succession, tracing)
        sys.setswitchinterval(SWITCH)
        spare_what_is_loaded()
        log.info("settings: %s", settings.shown())
        print(f"serving on {address(listener)} (Ctrl-C ends it)", flush=True)
        # uvicorn hands signals on once it has shut down; Ctrl-C is how the service is ended, not an error
        signal.signal(signal.SIGTERM, _terminate)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        except _Terminated:
            terminated = True
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            log.info("stopped")
    if terminated:  # with all log lines written; who sent the signal sees that it was heeded
        signal.raise_signal(signal.SIGTERM)


def access_of(settings: Settings, keys: Keys | None) -> Access:
    """Who may ask, by the settings. A service that all may ask who reach it wants to be called by its own name."""
    alone = keys is None and _is_loopback(settings.host)
    return Access(keys, settings.rate, settings.burst, settings.origins, settings.hosts, alone or bool(settings.hosts))


def make_server(
    engine: Engine,
    access: Access | None = None,
    succession: Succession | None = None,
    tracing: Tracing | None = None,
) -> uvicorn.Server:
    """A server that is not running yet.

    Args:
        engine: answers; closed when the server ends.
        access: who may ask.
        succession: makes its successors; without it the engine can't be reloaded.
        tracing: traces the requests.
    """
    engines = Engines(engine, succession.next, succession.answers) if succession else Engines(engine)
    config = uvicorn.Config(
        create_app(engines, access, tracing),
        loop="asyncio",  # under twice the load uvloop left some requests unread for 15 s and longer
        http=connection(engine.limits),
        ws="none",
        proxy_headers=False,  # nothing is made of who a proxy says that it asks for
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=math.ceil(engine.capacity.deadline),
        server_header=False,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int, guarded: bool = False) -> socket.socket:
    """A listening socket, taken before the model is loaded so that a port in use is said at once.

    Raises:
        ServeError: the address is not one of this machine, is in use, or others could reach it and it is not `guarded`.
    """
    if not 0 <= port < 65536:  # getaddrinfo would take it modulo 65536
        raise ServeError(f"there is no port {port} on {host}; use --port with 1 to 65535, such as 8000")
    try:
        family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, OverflowError, UnicodeError):
        raise ServeError(f"there is no address '{host}' port {port}; use --host 127.0.0.1 --port 8000") from None
    if not guarded and not ipaddress.ip_address(str(target[0]).split("%")[0]).is_loopback:
        raise ServeError(
            f"{host} can be reached by others and the service has no keys; listen on 127.0.0.1, make keys with "
            "'bma keys add' and say --keys FILE, or say --insecure (BMA_INSECURE=1) if something else guards the port"
        )
    # asyncio turns Nagle's algorithm off only where it is told that this is TCP; with it a short answer waits 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        other = "host, such as --host 127.0.0.1" if error.errno == errno.EADDRNOTAVAIL else "with --port"
        raise ServeError(f"can't listen on {host} port {port} ({error.strerror}); choose another {other}") from None
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _tracing() -> AbstractContextManager[Tracing | None]:
    """Where OpenTelemetry's variables ask for traces, what sends them."""
    endpoint = traces_endpoint()
    if endpoint is None:
        return nullcontext()
    try:
        from service.tracing import Tracing
    except ModuleNotFoundError as error:
        raise ServeError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT asks for traces and {error.name} is not installed; "
            "say pip install '.[otel]' in the project's folder, or OTEL_SDK_DISABLED=true to serve without"
        ) from None
    try:
        return Tracing(endpoint)
    except ValueError as error:
        raise ServeError(f"OpenTelemetry's variables can't be used ({' '.join(str(error).split())})") from None


class _Terminated(BaseException):
    """SIGTERM has come."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][4][0]
    except OSError:
        return False
    return ipaddress.ip_address(str(found).split("%")[0]).is_loopback
