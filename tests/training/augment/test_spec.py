"""SpecAugment: bands of zeros, each sound with its own, no wider than asked."""

import pytest
import torch
from torch import Tensor

from training.augment.spec import SpecAugment


def zero_bands(sample: Tensor) -> tuple[Tensor, Tensor]:
    """Which mel bands, and which frames, of a sample `[1, mels, frames]` without zeros of its own are masked."""
    zero = sample[0] == 0
    return zero.all(dim=1), zero.all(dim=0)


def run_lengths(flags: Tensor) -> list[int]:
    lengths, current = [], 0
    for flag in [*flags.tolist(), False]:
        if flag:
            current += 1
        elif current:
            lengths.append(current)
            current = 0
    return lengths


def test_masked_is_zero_and_the_rest_untouched() -> None:
    torch.manual_seed(0)
    log_mels = torch.rand(64, 1, 40, 50) + 1
    result = SpecAugment(2, 10, 12)(log_mels)
    assert result.shape == log_mels.shape
    kept = result != 0
    assert torch.equal(result[kept], log_mels[kept])
    assert (~kept).any()
    for sample in result:
        bands, frames = zero_bands(sample)
        covered = bands[:, None] | frames[None, :]
        assert torch.equal(covered, sample[0] == 0)  # whole bands and whole frames, nothing else


def test_the_input_is_left_as_it_was() -> None:
    log_mels = torch.rand(4, 1, 20, 20) + 1
    before = log_mels.clone()
    SpecAugment(2, 10, 10)(log_mels)
    assert torch.equal(log_mels, before)


def test_one_mask_of_each_kind_is_no_wider_than_asked() -> None:
    torch.manual_seed(0)
    result = SpecAugment(1, 9, 13)(torch.ones(2000, 1, 60, 80))
    frequency, time = [], []
    for sample in result:
        bands, frames = zero_bands(sample)
        assert len(run_lengths(bands)) <= 1
        assert len(run_lengths(frames)) <= 1
        frequency.append(int(bands.sum()))
        time.append(int(frames.sum()))
    assert set(frequency) >= set(range(9))
    assert set(time) >= set(range(13))
    assert max(frequency) <= 9
    assert max(time) <= 13
    assert sum(frequency) / len(frequency) == pytest.approx(4, abs=0.3)  # uniform, not always the widest


def test_masks_reach_both_ends() -> None:
    torch.manual_seed(0)
    result = SpecAugment(1, 9, 13)(torch.ones(2000, 1, 30, 40))
    bands, frames = zip(*(zero_bands(sample) for sample in result), strict=True)
    # all but the very last: a start is drawn from [0, size - width), as in Park et al.
    assert torch.stack(bands).any(dim=0)[:-1].all()
    assert torch.stack(frames).any(dim=0)[:-1].all()


def test_every_sound_has_its_own_masks() -> None:
    torch.manual_seed(0)
    result = SpecAugment(2, 20, 30)(torch.ones(1, 1, 60, 80).expand(32, -1, -1, -1))
    patterns = {tuple(sample.flatten().tolist()) for sample in result}
    assert len(patterns) == 32


def test_the_same_seed_masks_the_same() -> None:
    augment, log_mels = SpecAugment(2, 8, 8), torch.ones(8, 1, 30, 30)
    torch.manual_seed(5)
    first = augment(log_mels)
    torch.manual_seed(5)
    assert torch.equal(augment(log_mels), first)
    assert not torch.equal(augment(log_mels), first)


@pytest.mark.parametrize("augment", [SpecAugment(0, 8, 8), SpecAugment(2, 0, 0)])
def test_nothing_asked_for_masks_nothing(augment: SpecAugment) -> None:
    log_mels = torch.rand(4, 1, 20, 20) + 1
    assert torch.equal(augment(log_mels), log_mels)


def test_limits_wider_than_the_log_mel_still_work() -> None:
    torch.manual_seed(0)
    result = SpecAugment(2, 1000, 1000)(torch.ones(16, 1, 20, 20))
    assert result.shape == (16, 1, 20, 20)
    assert (result == 0).any()


def test_gradients_pass_where_nothing_is_masked() -> None:
    torch.manual_seed(0)
    log_mels = (torch.rand(2, 1, 20, 20) + 1).requires_grad_()
    result = SpecAugment(1, 10, 10)(log_mels)
    result.sum().backward()
    assert log_mels.grad is not None
    assert torch.equal(log_mels.grad, (result != 0).float())
