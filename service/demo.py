"""`bma demo`: from nothing to answers over HTTP."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from service.asking import describe
from service.client import Client
from service.indexing import build_catalogue
from service.server import address, load_engine, make_server
from training.commands import describe_scores
from training.config import make_config
from training.data.demo.dataset import make_demo
from training.data.pack import open_data
from training.data.rows import Row, read_rows
from training.evaluate import evaluate, raw_probe
from training.features import Features
from training.model.bundle import MODALITIES
from training.model.embedder import Embedder
from training.run import RunError, train


class DemoError(RuntimeError):
    """The demo can't go on; `str()` is one sentence."""


class Demo:
    """The demo's folder: `data/`, the run with its bundle `model/`, the catalogue `index/`, `scores.json`.

    Each step leaves out what is already there, so a second demo answers at once and an interrupted one goes on.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.rows_file = out / "data" / "rows.csv"
        self.model, self.index, self.scores = out / "model", out / "index", out / "scores.json"

    def make(self) -> None:
        """Data, model, scores, catalogue: whatever is missing."""
        if not self.rows_file.is_file():
            self._say("1. drawing pictures and synthesising sounds of ten classes")
            make_demo(self.rows_file.parent)
        if not self.model.is_dir():
            self._train()
        embedder = Embedder(self.model)
        if _read(self.scores).get("model") != embedder.bundle.fingerprint:
            self._evaluate(embedder)
        self._say(f"scores on the demo's test split, {embedder.bundle.name}:")
        print(describe_scores(_read(self.scores)["scores"]), flush=True)
        marker = self.index / "complete.json"
        if _read(marker).get("model") != embedder.bundle.fingerprint:
            self._say("4. indexing the test split")
            shutil.rmtree(self.index, ignore_errors=True)
            summary = build_catalogue(embedder, self.rows_file, self.index, ["test"])
            _write(marker, {"model": embedder.bundle.fingerprint})
            print(f"{summary.images} images and {summary.sounds} sounds", flush=True)

    def ask(self, listener: socket.socket, serve: bool) -> None:
        """Start the service, put questions to it over HTTP, print the answers, and go on serving if asked to."""
        server = make_server(load_engine(self.model, self.index))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            _wait_for(server, thread)
            url = address(listener)
            # its own transport: a proxy that the environment names has no part in asking this machine
            with Client(url, transport=httpx.HTTPTransport()) as client:
                self._questions(client, url)
            if serve:
                self._say(f"serving on {url} — open it in a browser; Ctrl-C ends it")
                while thread.is_alive():
                    thread.join(0.5)
        except KeyboardInterrupt:
            self._say("stopping")
        finally:
            server.should_exit = True
            thread.join()

    def _train(self) -> None:
        started = self.out / "config.json"
        config = make_config("demo")
        data = open_data(self.rows_file, config.image_size, config.sample_rate)
        self._say(f"2. training a model ({config.steps} steps of {config.batch_size} pairs)")
        begin = time.perf_counter()
        try:
            train(data, self.out, config, resume=started.is_file(), how_to_resume="the same command")
        except RunError as error:
            if not started.is_file():
                raise
            raise DemoError(f"{error}; or delete {self.out} to begin anew") from None
        print(f"trained in {time.perf_counter() - begin:.0f} s", flush=True)

    def _evaluate(self, embedder: Embedder) -> None:
        self._say("3. evaluating, beside the same probe on raw inputs")
        config = embedder.preprocessor.config
        features = Features(open_data(self.rows_file, config.image_size, config.sample_rate), embedder)
        scores = evaluate(features)
        for modality in MODALITIES:
            scores[modality]["raw_probe"] = raw_probe(features, modality)
        _write(self.scores, {"model": embedder.bundle.fingerprint, "scores": scores})

    def _questions(self, client: Client, url: str) -> None:
        tests = [row for row in read_rows(self.rows_file) if row.split == "test"]
        sound, image = self._of(tests, "train").sound, self._of(tests, "boat").image
        folder = self.rows_file.parent
        self._say(f"asking the service at {url}")
        print(f"$ curl -F sound=@{folder / sound} '{url}/v1/search/images?k=5'")
        print("\n".join(describe(client.search_images(sound=folder / sound, k=5)[0])))
        print(f"$ curl -F image=@{folder / image} {url}/v1/classify")
        print("\n".join(describe(client.classify(image=folder / image)[0])), flush=True)

    @staticmethod
    def _of(rows: list[Row], label: str) -> Row:
        return next(row for row in rows if row.label == label)

    @staticmethod
    def _say(text: str) -> None:
        print(f"\n{text}", flush=True)


def _read(file: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none or a crash has cut it off."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _write(file: Path, document: dict[str, Any]) -> None:
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    while not server.started:
        if not thread.is_alive():
            raise DemoError("the service did not start; the lines above say why")
        time.sleep(0.02)
