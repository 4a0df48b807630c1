"""LevelAugment: one straight line over the bands for each sound, within what was asked, in decibels."""

import math

import pytest
import torch

from training.augment.level import LevelAugment

DECIBEL = math.log(10) / 10  # in natural logarithms of power


def lines(augment: LevelAugment, n: int = 500, mels: int = 9) -> torch.Tensor:
    """What is added to each band of silence, `[n, mels]`, the same in every frame."""
    added = augment(torch.zeros(n, 1, mels, 4))
    assert added.shape == (n, 1, mels, 4)
    assert torch.equal(added, added[..., :1].expand_as(added))
    return added[:, 0, :, 0]


def test_the_level_moves_all_bands_alike_and_within_its_range() -> None:
    torch.manual_seed(0)
    added = lines(LevelAugment(gain=10, tilt=0)) / DECIBEL
    torch.testing.assert_close(added, added[:, :1].expand_as(added))
    assert added.abs().max() <= 10 + 1e-4
    assert added.max() > 9.5
    assert added.min() < -9.5
    assert added.mean().abs() < 1


def test_the_tilt_turns_the_spectrum_around_its_middle_band() -> None:
    torch.manual_seed(0)
    added = lines(LevelAugment(gain=0, tilt=6)) / DECIBEL
    torch.testing.assert_close(added, -added.flip(1))
    torch.testing.assert_close(added.diff(dim=1), added.diff(dim=1)[:, :1].expand(-1, 8), atol=1e-4, rtol=1e-4)
    assert 5.7 < added[:, 0].max() <= 6 + 1e-4
    assert len(added[:, 0].unique()) == 500


def test_decibels_are_of_the_log_mels_before_they_were_normalised() -> None:
    torch.manual_seed(0)
    plain = lines(LevelAugment(10, 6))
    torch.manual_seed(0)
    torch.testing.assert_close(lines(LevelAugment(10, 6, std=4.0)) * 4, plain)


def test_what_is_there_is_kept_under_the_line() -> None:
    log_mels = torch.randn(3, 1, 9, 4)
    torch.manual_seed(0)
    result = LevelAugment(10, 6)(log_mels)
    torch.manual_seed(0)
    torch.testing.assert_close(result, log_mels + lines(LevelAugment(10, 6), n=3)[:, None, :, None])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_asked_for_changes_and_draws_nothing(dtype: torch.dtype) -> None:
    log_mels = torch.randn(3, 1, 9, 4, dtype=dtype)
    before = torch.get_rng_state()
    assert torch.equal(LevelAugment(0, 0)(log_mels), log_mels)
    assert torch.equal(torch.get_rng_state(), before)
    assert LevelAugment(3, 3)(log_mels).dtype == dtype
