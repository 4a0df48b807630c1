"""L_pair and L_unpair against Eq. 4 and 5 written as loops, and in closed form."""

import math
from types import ModuleType

import pytest
import torch
from torch import Tensor

from training.loss import contrastive_loss

CLIPS = {
    "every item its own clip": [0, 1, 2, 3, 4],
    "two items of one clip": [7, 1, 7, 3, 4],
    "three of one and two of another": [2, 5, 2, 5, 2],
}


def draw(n: int = 5, d: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(n)
    return (
        torch.randn(n, d, dtype=torch.float64, requires_grad=True),
        torch.randn(n, d, dtype=torch.float64, requires_grad=True),
    )


@pytest.mark.parametrize("clips", CLIPS.values(), ids=CLIPS)
@pytest.mark.parametrize("tau_l", [0.1, 0.5])
def test_value_and_gradients_are_those_of_equation_4(reference: ModuleType, clips: list[int], tau_l: float) -> None:
    first, second = draw()
    loss = contrastive_loss(first, second, torch.tensor(clips), tau_l)
    gradients = torch.autograd.grad(loss, (first, second))
    expected = reference.contrastive(first, second, clips, tau_l)
    expected_gradients = torch.autograd.grad(expected, (first, second))
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    for mine, theirs in zip(gradients, expected_gradients, strict=True):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(mine, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("clips", CLIPS.values(), ids=CLIPS)
@pytest.mark.parametrize("mates", ["positives", "negatives", "masked"])
def test_other_roles_of_clip_mates(reference: ModuleType, clips: list[int], mates: str) -> None:
    first, second = draw()
    loss = contrastive_loss(first, second, torch.tensor(clips), 0.2, clip_mates=mates)
    expected = reference.contrastive(first, second, clips, 0.2, mates)
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    mine, theirs = (torch.autograd.grad(value, (first, second)) for value in (loss, expected))
    for gradient, expected_gradient in zip(mine, theirs, strict=True):
        assert expected_gradient.abs().max() > 1e-3
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("clips", CLIPS.values(), ids=CLIPS)
@pytest.mark.parametrize("mates", ["positives", "negatives", "masked"])
def test_decoupled(reference: ModuleType, clips: list[int], mates: str) -> None:
    first, second = draw()
    loss = contrastive_loss(first, second, torch.tensor(clips), 0.2, clip_mates=mates, decoupled=True)
    mine = torch.autograd.grad(loss, (first, second))
    if len(set(clips)) == 1 and mates != "negatives":  # nothing to contrast
        assert loss == 0
        assert all((gradient == 0).all() for gradient in mine)
        return
    expected = reference.contrastive(first, second, clips, 0.2, mates, decoupled=True)
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    for gradient, theirs in zip(mine, torch.autograd.grad(expected, (first, second)), strict=True):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(gradient, theirs, atol=1e-9, rtol=1e-9)


def test_the_two_directions_weigh_the_same() -> None:
    first, second = draw()
    clip = torch.arange(5)
    forth, back = contrastive_loss(first, second, clip, 0.1), contrastive_loss(second, first, clip, 0.1)
    torch.testing.assert_close(forth, back)


def test_more_positives_of_a_clip_lower_the_loss() -> None:
    """They join the sum inside the logarithm; an average over positives outside it would not fall like this."""
    first, second = draw()
    apart = contrastive_loss(first, second, torch.arange(5), 0.5)
    together = contrastive_loss(first, second, torch.tensor([0, 0, 2, 3, 4]), 0.5)
    assert together < apart
    assert contrastive_loss(first, second, torch.zeros(5, dtype=torch.long), 0.5).abs() < 1e-12


def test_equal_projections_give_the_logarithm_of_the_other_items() -> None:
    same = torch.ones(6, 4)
    loss = contrastive_loss(same, same, torch.arange(6), 0.1)
    assert loss.item() == pytest.approx(math.log(11), abs=1e-5)


def test_well_separated_clips_give_nearly_nothing() -> None:
    loss = contrastive_loss(torch.eye(6), torch.eye(6), torch.arange(6), 0.1)
    assert loss.item() == pytest.approx(math.log(1 + 10 * math.exp(-10)), rel=1e-3)


def test_only_directions_count_not_lengths() -> None:
    first, second = draw()
    clip = torch.arange(5)
    scale = torch.rand(5, 1, dtype=torch.float64) + 0.5
    torch.testing.assert_close(
        contrastive_loss(first * scale, second / scale, clip, 0.1), contrastive_loss(first, second, clip, 0.1)
    )


def test_float32_is_kept_under_autocast() -> None:
    first, second = (x.detach().float() for x in draw(32, 128))
    clip = torch.arange(32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = contrastive_loss(first, second, clip, 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, contrastive_loss(first, second, clip, 0.1), atol=0, rtol=0)


def test_bfloat16_projections_are_compared_in_float32() -> None:
    first, second = (x.detach().bfloat16() for x in draw())
    loss = contrastive_loss(first, second, torch.arange(5), 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, contrastive_loss(first.float(), second.float(), torch.arange(5), 0.1))


def test_a_zero_projection_leaves_loss_and_gradients_finite() -> None:
    first, second = (x.detach().clone() for x in draw())
    first[2] = 0
    first.requires_grad_()
    loss = contrastive_loss(first, second, torch.arange(5), 0.1)
    loss.backward()
    assert loss.isfinite()
    assert first.grad is not None
    assert first.grad.isfinite().all()


@pytest.mark.parametrize(
    ("first", "second", "clip"),
    [((4, 3), (4, 2), 4), ((4, 3), (3, 3), 4), ((4, 3), (4, 3), 3), ((4,), (4,), 4)],
)
def test_shapes_that_do_not_belong_together_are_refused(
    first: tuple[int, ...], second: tuple[int, ...], clip: int
) -> None:
    with pytest.raises(ValueError, match=r"must be \[N, d\]"):
        contrastive_loss(torch.zeros(first), torch.zeros(second), torch.arange(clip), 0.1)


def test_one_item_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        contrastive_loss(torch.ones(1, 3), torch.ones(1, 3), torch.arange(1), 0.1)
