"""What one step of training does: the model, its objective, its optimizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.batch import Batch
from training.config import TrainingConfig
from training.model.device import place, resolve_precision
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor
from training.objective import Objective
from training.ranks import ALONE, Ranks
from training.schedule import learning_rate, unpaired_weight
from training.weights import load_image_weights


class Learner:
    """A model that learns.

    Args:
        config: of the run.
        preprocessor: on the rank's device.
        ranks: who learns together, and where.
        fresh: start from `image_weights` where the configuration names some; a run that goes on does not need them.

    Attributes:
        model: on the device, its encoders compiled where the configuration asks for it, its batch norms synchronised
            over ranks on GPUs. Its state has the same names as that of a plain `BMAModel`.
        optimizer: Adam.
        dtype: of the encoders' convolutions.

    Raises:
        WeightsError: the weights to start from can't be used.
    """

    def __init__(
        self, config: TrainingConfig, preprocessor: Preprocessor, ranks: Ranks = ALONE, fresh: bool = True
    ) -> None:
        self.config, self.ranks = config, ranks
        self.dtype = resolve_precision(config.precision, ranks.device)
        torch.manual_seed(config.seed)
        model = BMAModel(config.model_config)
        if config.image_weights and fresh:
            load_image_weights(model.image_encoder, Path(config.image_weights))
        if ranks.count > 1 and ranks.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        self.model = place(model, ranks.device).train()
        if config.compile:
            self.model.image_encoder.compile(dynamic=False)
            self.model.sound_encoder.compile(dynamic=False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate, fused=True)
        self.objective = Objective(config, self.model, preprocessor, self.dtype, ranks)
        self._shared: nn.Module | None = None

    def rates(self, step: int) -> dict[str, float]:
        """What changes over the run: `learning_rate` and, with unpaired items, `unpaired_weight`."""
        rates = {"learning_rate": learning_rate(self.config, step)}
        if self.config.unpaired != "none":
            rates["unpaired_weight"] = unpaired_weight(self.config, step)
        return rates

    def learn(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step; the scalars of `Objective.forward`. What it draws at random depends on seed and step alone."""
        torch.manual_seed(_step_seed(self.config.seed, step))
        rates = self.rates(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rates["learning_rate"]
        losses: dict[str, Tensor] = self._compute(batch, rates.get("unpaired_weight", 0.0))
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        self.optimizer.step()
        if self.config.memory_init == "matched":
            self._fill_memory(step)
        return losses

    @torch.no_grad()
    def _fill_memory(self, step: int) -> None:
        """In the last steps before `memory_start`, put the features of each step's pairs into the slots that follow:
        both halves of a pair into linked slots."""
        config, memory = self.config, self.model.memory
        filled = -(-config.slots // config.batch_size)  # steps it takes
        begin = max(0, round(config.memory_start * config.steps) - filled)
        first = (step - begin) * config.batch_size
        if not 0 <= first < config.slots:
            return
        f_v, f_s = (self.ranks.gather(f) for f in self.objective.features)
        slots = slice(first, first + config.batch_size)
        memory.visual[slots] = f_v[: config.slots - first]
        memory.sound[slots] = f_s[: config.slots - first]

    @property
    def _compute(self) -> nn.Module:
        """The objective; on several ranks with gradients averaged over them. Batch norm's running statistics are those
        of rank 0, on GPUs those of all."""
        if self.ranks.count == 1:
            return self.objective
        if self._shared is None:  # not before a checkpoint is loaded: it shares out rank 0's weights
            unused = not self.config.use_memory
            self._shared = DistributedDataParallel(
                self.objective, broadcast_buffers=False, find_unused_parameters=unused
            )
        return self._shared


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))
