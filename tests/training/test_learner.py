"""How a memory that starts from matched features is filled."""

from collections.abc import Callable

import pytest
import torch

from training.batch import Feeder
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.learner import Learner
from training.model.preprocess import Preprocessor

CPU = torch.device("cpu")
TinyConfig = Callable[..., TrainingConfig]


@pytest.fixture
def learn(tiny_data: PackedData, tiny_config: TinyConfig) -> Callable[..., tuple[Learner, list[torch.Tensor]]]:
    """The learner after some steps, and which slots each step wrote a feature of its pairs into."""

    def run(many: int, **changes: object) -> tuple[Learner, list[torch.Tensor]]:
        config = tiny_config(**{"batch_size": 4, "slots": 10, "memory_init": "matched", **changes})
        learner = Learner(config, Preprocessor(config.preprocess_config, -5.0, 4.0))
        feeder, written = Feeder(tiny_data, config, CPU), []
        for step in range(many):
            learner.learn(step, feeder.batch(step))
            memory, (f_v, f_s) = learner.model.memory, learner.objective.features
            image = torch.cdist(memory.visual.detach(), f_v).amin(dim=1) == 0
            sound = torch.cdist(memory.sound.detach(), f_s).amin(dim=1) == 0
            assert torch.equal(image, sound)
            written.append(image.nonzero().squeeze(1))
        return learner, written

    return run


def test_the_slots_are_filled_with_the_pairs_of_the_steps_before_the_start(
    learn: Callable[..., tuple[Learner, list[torch.Tensor]]],
) -> None:
    """Ten slots take three batches of four: those of steps 2, 3 and 4 when the memory starts at step 5."""
    _, written = learn(7, steps=10, memory_start=0.5)
    assert [slots.tolist() for slots in written] == [[], [], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [], []]


def test_linked_slots_hold_the_two_halves_of_a_pair(
    learn: Callable[..., tuple[Learner, list[torch.Tensor]]],
) -> None:
    learner, _ = learn(1, steps=10, memory_start=0.0)
    f_v, f_s = learner.objective.features
    assert torch.equal(learner.model.memory.visual[:4], f_v)
    assert torch.equal(learner.model.memory.sound[:4], f_s)


def test_a_memory_drawn_from_the_normal_distribution_is_left_to_the_gradients(
    learn: Callable[..., tuple[Learner, list[torch.Tensor]]],
) -> None:
    _, written = learn(3, steps=3, memory_init="normal")
    assert not any(len(slots) for slots in written)
