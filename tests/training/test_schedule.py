"""What changes over a run's steps: the learning rate, and the factor on L_unpair."""

from collections.abc import Callable

import pytest

from training.config import TrainingConfig
from training.schedule import learning_rate, unpaired_weight

TinyConfig = Callable[..., TrainingConfig]


def test_the_learning_rates_of_a_run(tiny_config: TinyConfig) -> None:
    constant = tiny_config(steps=10, learning_rate=1.0)
    assert [learning_rate(constant, step) for step in range(10)] == [1.0] * 10
    cosine = tiny_config(steps=10, learning_rate=1.0, schedule="cosine", warmup=0.2)
    rates = [learning_rate(cosine, step) for step in range(10)]
    assert 0 < rates[0] < rates[1] < rates[2] == 1.0
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[6] == pytest.approx(0.5)
    assert 0 < rates[9] < 0.05


def test_the_factor_on_l_unpair_rises_over_the_ramp(tiny_config: TinyConfig) -> None:
    config = tiny_config(steps=10, unpaired_weight=2.0, unpaired_ramp=0.5)
    assert [unpaired_weight(config, step) for step in range(10)] == pytest.approx([0, 0.4, 0.8, 1.2, 1.6] + [2.0] * 5)
    assert unpaired_weight(tiny_config(unpaired_weight=2.0), 0) == 2.0
    assert [unpaired_weight(tiny_config(steps=4, unpaired_until=0.5), step) for step in range(4)] == [1, 1, 0, 0]
