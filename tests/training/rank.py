"""One rank of a job in the tests: computes a step's loss and gradients on its part of a batch, and saves them.

Run as `rank.py PACKED CONFIG.json OUT.safetensors`, by torchrun or alone. Everything in float64, batch norm in eval
mode, so that only what the ranks do could make a difference.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from training.batch import Feeder
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor
from training.objective import Objective
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
    torch.manual_seed(0)
    model = BMAModel(config.model_config).double().eval()
    preprocessor = DoublePreprocessor(config.preprocess_config, -5.0, 4.0)
    objective = Objective(config, model, preprocessor, torch.float32, ranks)
    compute = DistributedDataParallel(objective) if ranks.count > 1 else objective
    batch = Feeder(data, config, torch.device("cpu"), ranks).batch(5)
    torch.manual_seed(11)
    losses = compute(batch, 0.7)
    losses["loss"].backward()
    if ranks.leads:
        gradients = {f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
        save_file(gradients, out)
    scalars = {name: ranks.mean(value.detach()) for name, value in losses.items()}
    if ranks.leads:
        out.with_suffix(".json").write_text(json.dumps({name: value.item() for name, value in scalars.items()}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
