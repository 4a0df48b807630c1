"""One rank of a job in the tests: learns from its part of a batch, and saves losses, gradients and weights.

Run as `rank.py PACKED CONFIG.json OUT.safetensors`, by torchrun or alone. Everything in float64, batch norm in eval
mode, so that only what the ranks do could make a difference.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from training.batch import Feeder
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.learner import Learner
from training.model.preprocess import Preprocessor
from training.ranks import Ranks, join_ranks


class DoublePreprocessor(Preprocessor):
    """Preprocessing in float32, handed on as float64."""

    def image(self, pixels: Tensor) -> Tensor:
        return super().image(pixels).double()

    def sound(self, windows: Tensor) -> Tensor:
        return super().sound(windows).double()


def main(packed: Path, config_file: Path, out: Path) -> None:
    config = TrainingConfig(**json.loads(config_file.read_text()))
    data = PackedData.open(packed, config.image_size, config.sample_rate)
    with join_ranks("cpu") as ranks:
        compute_step(data, config, ranks, out)


def compute_step(data: PackedData, config: TrainingConfig, ranks: Ranks, out: Path) -> None:
    preprocessor = DoublePreprocessor(config.preprocess_config, -5.0, 4.0)
    learner = Learner(config, preprocessor, ranks)
    learner.model.double().eval()
    losses = learner.learn(5, Feeder(data, config, torch.device("cpu"), ranks).batch(5))
    scalars = {name: ranks.mean(value.detach()).item() for name, value in losses.items()}
    if ranks.leads:
        tensors = {f"weight.{name}": p.detach() for name, p in learner.model.named_parameters()}
        tensors |= {f"grad.{name}": p.grad for name, p in learner.model.named_parameters() if p.grad is not None}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out)
        out.with_suffix(".json").write_text(json.dumps(scalars))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
