"""`bma demo`: from nothing to answers over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import httpx
import uvicorn

from service.asking import describe
from service.client import Client
from service.loading import load_engine
from service.project import Project, ProjectError
from service.server import address, make_server
from training.config import make_config
from training.data.demo.dataset import make_demo
from training.data.rows import Row, read_rows


class Demo(Project):
    """The demo's project."""

    splits = ("test",)

    def __init__(self, out: Path) -> None:
        super().__init__(out, make_config("demo"))

    def make_data(self) -> None:
        """Draw and synthesise what is not there."""
        if not self.rows_file.is_file():
            self.say("1. drawing pictures and synthesising sounds of ten classes")
            make_demo(self.rows_file.parent)

    def ask(self, listener: socket.socket, serve: bool) -> None:
        """Start the service, put questions to it over HTTP, print the answers, and go on serving if asked to."""
        try:
            server = make_server(load_engine(self.model, self.index))
        except BaseException:
            listener.close()  # nobody else will
            raise
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            _wait_for(server, thread)
            url = address(listener)
            # its own transport: a proxy that the environment names has no part in asking this machine
            with Client(url, transport=httpx.HTTPTransport()) as client:
                self._questions(client, url)
            if serve:
                self.say(f"serving on {url} — open it in a browser; Ctrl-C ends it")
                while thread.is_alive():
                    thread.join(0.5)
        except KeyboardInterrupt:
            self.say("stopping")
        finally:
            server.should_exit = True
            thread.join()

    def _questions(self, client: Client, url: str) -> None:
        tests = [row for row in read_rows(self.rows_file) if row.split == "test"]
        sound, image = self._of(tests, "train").sound, self._of(tests, "boat").image
        folder = self.rows_file.parent
        self.say(
            f"asking the service at {url}: the first test sound of a train and the first test picture of a boat, right "
            "or wrong;\nbelow each command is what bma query makes of its JSON"
        )
        print(f"$ curl -F sound=@{folder / sound} '{url}/v1/search/images?k=5'")
        print("\n".join(describe(client.search_images(sound=folder / sound, k=5)[0])))
        print(f"$ curl -F image=@{folder / image} {url}/v1/classify")
        print("\n".join(describe(client.classify(image=folder / image)[0])), flush=True)

    @staticmethod
    def _of(rows: list[Row], label: str) -> Row:
        return next(row for row in rows if row.label == label)


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    while not server.started:
        if not thread.is_alive():
            raise ProjectError("the service did not start; the lines above say why")
        time.sleep(0.02)
