from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index.milvus_address import Address


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A milvus-lite server of the session, on loopback."""
    pytest.importorskip("pymilvus", reason="pymilvus is not installed")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    folder = tmp_path_factory.mktemp("milvus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # without --host it would listen on every interface
    command = [sys.executable, "-m", "milvus_lite.cmdline", "server", "--host", "127.0.0.1", "--port", str(port)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*command, "--data-dir", str(folder / "data")], stdout=log, stderr=log) as server,
    ):
        try:
            for _ in range(600):
                if server.poll() is not None or _answers(port):
                    break
                time.sleep(0.1)
            assert server.poll() is None, (folder / "log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:  # it waits for clients that have not closed; nothing of it is kept
                server.kill()


@pytest.fixture
def milvus_address(milvus_uri: str, tmp_path: Path) -> Callable[..., Address]:
    """Addresses of catalogues that are not there yet, in a folder of the test's."""

    def address(index: str = "FLAT") -> Address:
        name = f"t{uuid.uuid4().hex}"
        return Address.parse(f"milvus+{milvus_uri}/{name}?root={tmp_path}&content={tmp_path / 'milvus'}&index={index}")

    return address


def _answers(port: int) -> bool:
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0
