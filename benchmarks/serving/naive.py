"""A service as most would write it first: each request decodes its file and runs the model, on FastAPI's threads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, UploadFile

from benchmarks.serving.encoders import make_embedder
from training.model.embedder import Embedder


def make_app(embedder: Embedder) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/embed")
    def embed(image: UploadFile | None = None, sound: UploadFile | None = None) -> dict[str, Any]:
        if image is not None:
            found = embedder.embed([image.file.read()], "image")
        else:
            assert sound is not None
            found = embedder.embed([sound.file.read()], "sound")
        return {"results": [{"z": found.z[0].tolist()}]}

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    return app


if __name__ == "__main__":
    embedder = make_embedder(Path(sys.argv[1]), sys.argv[3])
    uvicorn.run(make_app(embedder), port=int(sys.argv[2]), log_level="warning", access_log=False)
