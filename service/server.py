"""Running the service: load, listen, serve until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
from pathlib import Path

import uvicorn

from index.catalogue import Catalogue, CatalogueError, InUse, NotWritable
from index.stores import open_catalogue
from service.app import create_app
from service.engine import Engine
from service.fingerprint import check_fingerprint
from service.limits import Limits
from training.model.embedder import Embedder


class ServeError(ValueError):
    """The service can't start; `str()` is one sentence with the remedy."""


def serve(model: Path, index: Path | None, arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM ends it; requests that have begun are answered first."""
    with listen(arguments.host, arguments.port, arguments.insecure) as listener:
        # `bma create` has no such flag
        read_only = bool(getattr(arguments, "read_only", False))
        server = make_server(load_engine(model, index, arguments.device, arguments.precision, read_only))
        print(f"serving on {address(listener)} (Ctrl-C ends it)", flush=True)
        # uvicorn hands Ctrl-C on once it has shut down; that is how the service is ended, not an error
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def load_engine(
    model: Path, index: Path | None, device: str = "auto", precision: str = "auto", read_only: bool = False
) -> Engine:
    """A bundle and its catalogue, ready to answer.

    Args:
        model: the bundle's folder.
        index: the catalogue's folder or its address in Milvus, None to serve without one.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32 or bf16.
        read_only: leave the catalogue to another that writes.

    Raises:
        BundleError, CatalogueError: one can't be used, or they do not belong together.
        ServeError: the model does not compute, or another process has the catalogue open for writing.
    """
    embedder = Embedder(model, device, precision)
    catalogue = None
    if index is not None:
        catalogue = _open_catalogue(index, read_only)
        try:
            check_fingerprint(catalogue, embedder, index)
        except CatalogueError:
            catalogue.close()
            raise
    engine = Engine(embedder, catalogue, Limits())
    try:
        asyncio.run(engine.self_test())
    except Exception as error:  # whatever is wrong, the model can't be served
        engine.close()
        raise ServeError(
            f"{model} fails its self-test ({' '.join(str(error).split())}); "
            "choose another --device or --precision, or train it again"
        ) from error
    return engine


def _open_catalogue(index: Path, read_only: bool) -> Catalogue:
    """For writing, unless it is to be read only or can't be written."""
    if read_only:
        return open_catalogue(index)
    try:
        return open_catalogue(index, writable=True)
    except InUse as error:
        raise ServeError(f"{error}, with 'bma serve --read-only'") from None
    except NotWritable:
        print(f"bma: {index} can't be written, so it is served read-only", file=sys.stderr, flush=True)
        return open_catalogue(index)


def make_server(engine: Engine) -> uvicorn.Server:
    """A server that is not running yet."""
    config = uvicorn.Config(
        create_app(engine), log_level="warning", access_log=False, timeout_keep_alive=30, server_header=False
    )
    return uvicorn.Server(config)


def listen(host: str, port: int, insecure: bool = False) -> socket.socket:
    """A listening socket, taken before the model is loaded so that a port in use is said at once.

    Raises:
        ServeError: the address is not one of this machine, is in use, or others could reach it without `insecure`.
    """
    if not 0 <= port < 65536:  # getaddrinfo would take it modulo 65536
        raise ServeError(f"there is no port {port} on {host}; use --port with 1 to 65535, such as 8000")
    try:
        family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, OverflowError, UnicodeError):
        raise ServeError(f"there is no address '{host}' port {port}; use --host 127.0.0.1 --port 8000") from None
    reachable = not ipaddress.ip_address(str(target[0]).split("%")[0]).is_loopback
    if reachable and not insecure and os.environ.get("BMA_INSECURE") != "1":
        raise ServeError(
            f"{host} can be reached by others and the service has no keys yet; "
            "listen on 127.0.0.1, or say --insecure (BMA_INSECURE=1) where something else guards the port"
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ServeError(f"can't listen on {host} port {port} ({error.strerror}); choose another with --port") from None
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
