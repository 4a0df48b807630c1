"""A class head is a linear classifier that refuses shapes that do not fit its labels."""

from __future__ import annotations

import pytest
import torch

from training.model.head import ClassHead


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    head = ClassHead(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.5, -0.5]), ("a", "b"))
    h = torch.tensor([[1.0, 1.0], [3.0, 0.0]])
    torch.testing.assert_close(head.logits(h), torch.tensor([[1.5, 1.5], [3.5, -0.5]]))
    odds = torch.tensor([[0.5, 0.5], [1 / (1 + torch.e**-4), 1 / (1 + torch.e**4)]])
    torch.testing.assert_close(head.probabilities(h), odds)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_any_float_goes_in_and_float32_comes_out(dtype: torch.dtype) -> None:
    head = ClassHead(torch.eye(3), torch.zeros(3), ("a", "b", "c"))
    h = torch.tensor([[1.0, 2.0, 4.0]])
    assert head.logits(h.to(dtype)).dtype == torch.float32
    assert torch.equal(head.logits(h.to(dtype)), h)


def test_great_logits_do_not_overflow() -> None:
    head = ClassHead(torch.tensor([[1e30], [-1e30]]), torch.zeros(2), ("a", "b"))
    assert head.probabilities(torch.ones(1, 1)).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("weight", "bias", "labels"),
    [((2, 4), (2,), 3), ((3, 4), (2,), 3), ((12,), (3,), 3), ((3, 4), (3, 1), 3)],
)
def test_shapes_that_do_not_fit_the_labels_are_refused(
    weight: tuple[int, ...], bias: tuple[int, ...], labels: int
) -> None:
    with pytest.raises(ValueError, match="a head for 3 labels can't have a weight of shape"):
        ClassHead(torch.zeros(weight), torch.zeros(bias), tuple("abc"[:labels]))


def test_moving_keeps_the_answer() -> None:
    head = ClassHead(torch.eye(2), torch.ones(2), ("a", "b"))
    moved = head.to(torch.device("cpu"))
    assert moved.labels == head.labels
    assert torch.equal(moved.logits(torch.eye(2)), head.logits(torch.eye(2)))
