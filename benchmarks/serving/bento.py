"""The same answers from BentoML, its adaptive batching on: one service decodes, the one behind it has the model.

    python -m bentoml serve bento:Embed --working-dir benchmarks/serving --arg bundle=FOLDER --arg encoders=plain

A method that is batched takes one argument, so a service in front tells images from sounds, as BentoML's documents
advise. The model has a worker for each core with a thread each. The connections to it are never renewed: at each
hundredth request BentoML would close those in use.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pydantic
import torch

from benchmarks.serving.encoders import make_embedder

BATCH = 4  # files
ABSENT = Path()  # BentoML has no optional files
LOGGING = {"access": {"enabled": False}}
CONNECTION = {"max_requests": 10**9, "max_age": 1e9}


class Arguments(pydantic.BaseModel):
    bundle: Path
    encoders: str


arguments = bentoml.use_arguments(Arguments)


@bentoml.service(workers=os.cpu_count() or 1, threads=1, logging=LOGGING, runner_connection=CONNECTION)
class Model:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.embedder = make_embedder(arguments.bundle, arguments.encoders)

    @bentoml.api(batchable=True, max_batch_size=BATCH)
    def images(self, batch: list[np.ndarray]) -> list[np.ndarray]:
        return list(self.embedder.embed_images(batch).z)

    @bentoml.api(batchable=True, max_batch_size=BATCH)
    def sounds(self, batch: list[np.ndarray]) -> list[np.ndarray]:
        return list(self.embedder.embed_sounds(batch).z)


@bentoml.service(workers=1, logging=LOGGING)
class Embed:
    model = bentoml.depends(Model)

    def __init__(self) -> None:
        self.embedder = make_embedder(arguments.bundle, arguments.encoders)

    @bentoml.api(route="/v1/embed")
    async def embed(self, image: Path = ABSENT, sound: Path = ABSENT) -> dict[str, Any]:
        if image != ABSENT:
            found = await self.model.to_async.images([await asyncio.to_thread(self.embedder.read_image, image)])
        else:
            found = await self.model.to_async.sounds([await asyncio.to_thread(self.embedder.read_sound, sound)])
        return {"results": [{"z": found[0].tolist()}]}
