"""What changes over a run's steps: the learning rate, and the weight of the losses on unpaired items."""

from __future__ import annotations

import math

from training.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Learning rate of a step: a linear rise over the warm-up, then constant or a half cosine to zero."""
    progress = step / config.steps
    if progress < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup * config.steps + 1)
    if config.schedule == "cosine":
        rest = (progress - config.warmup) / max(1 - config.warmup, 1e-9)
        return config.learning_rate * (1 + math.cos(math.pi * rest)) / 2
    return config.learning_rate


def unpaired_weight(config: TrainingConfig, step: int) -> float:
    """Factor on L_unpair at a step: a linear rise over the ramp, then constant, and 0 from `unpaired_until` on."""
    if step >= config.unpaired_until * config.steps:
        return 0.0
    ramp = config.unpaired_ramp * config.steps
    return config.unpaired_weight * (min(1.0, step / ramp) if ramp else 1.0)
