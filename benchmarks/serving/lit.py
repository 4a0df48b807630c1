"""The same answers from LitServe, its batching on: decoded in its request hook, batched.

A worker for each core with a thread each, as LitServe's documents advise for a CPU; one worker with all cores' threads
answers fewer.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import litserve
import numpy as np
import numpy.typing as npt
import torch
from fastapi import Request

from benchmarks.serving.encoders import make_embedder

BATCH, WAIT = 4, 0.005  # files; seconds that a batch waits for more


class Embed(litserve.LitAPI):
    def __init__(self, bundle: str, encoders: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=WAIT, api_path="/v1/embed")
        self.path, self.encoders = Path(bundle), encoders

    def setup(self, device: str) -> None:
        torch.set_num_threads(1)
        self.embedder = make_embedder(self.path, self.encoders)

    # LitServe reads this annotation, so it must not be a text, and hands over the form
    def decode_request(self, request: Request, **_: Any) -> tuple[bool, npt.NDArray[Any]]:
        form: Any = request
        if form.get("image") is not None:
            return True, self.embedder.read_image(form["image"].file.read())
        return False, self.embedder.read_sound(form["sound"].file.read())

    def batch(self, inputs: Sequence[Any]) -> Sequence[Any]:
        return inputs

    def predict(self, x: Sequence[tuple[bool, npt.NDArray[Any]]], **_: Any) -> list[npt.NDArray[np.float32]]:
        found: dict[int, npt.NDArray[np.float32]] = {}
        for kind, embed in ((True, self.embedder.embed_images), (False, self.embedder.embed_sounds)):
            places = [place for place, (image, _) in enumerate(x) if image is kind]
            found.update(zip(places, embed([x[place][1] for place in places]).z, strict=True))
        return [found[place] for place in range(len(x))]

    def unbatch(self, output: Any) -> Any:
        return output

    def encode_response(self, output: npt.NDArray[np.float32], **_: Any) -> dict[str, Any]:
        return {"results": [{"z": output.tolist()}]}


if __name__ == "__main__":
    server = litserve.LitServer(
        Embed(sys.argv[1], sys.argv[3]),
        accelerator="cpu",
        workers_per_device=os.cpu_count() or 1,
        healthcheck_path="/readyz",
    )
    server.run(port=int(sys.argv[2]), num_api_servers=1, log_level="warning", generate_client_file=False)
