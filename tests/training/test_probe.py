"""The linear probe: the optimum of its stated objective, chance on noise, regularisation chosen on `val`."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training.model.head import ClassHead
from training.probe import STRENGTHS, Labelled, _Problem, accuracy, fit_head, fit_probe, predict

NAMES = ("a", "b", "c")


def blobs(n: int, d: int, spread: float, seed: int) -> Labelled:
    """Three classes around three fixed centres."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, d, generator=generator)
    generator.manual_seed(seed)
    labels = torch.arange(n) % 3
    return Labelled(centres[labels] + spread * torch.randn(n, d, generator=generator), labels)


@pytest.mark.parametrize(("n", "d"), [(90, 8), (30, 200)])
def test_separable_classes_are_separated(n: int, d: int) -> None:
    head = fit_head(blobs(n, d, 0.1, 1), NAMES)
    assert accuracy(head, blobs(300, d, 0.1, 2)) == 1.0
    assert head.labels == NAMES
    assert head.weight.shape == (3, d)
    assert head.weight.dtype == head.bias.dtype == torch.float32


def test_on_noise_it_is_at_chance() -> None:
    torch.manual_seed(0)
    train = Labelled(torch.randn(300, 20), torch.randint(0, 3, (300,)))
    test = Labelled(torch.randn(3000, 20), torch.randint(0, 3, (3000,)))
    assert accuracy(fit_head(train, NAMES), test) == pytest.approx(1 / 3, abs=0.05)


def objective(head: ClassHead, data: Labelled, strength: float) -> Tensor:
    """What fit_head's docstring says is minimised, on the head's weights brought back to standardised features."""
    x = data.features.double()
    mean, std = x.mean(dim=0), x.std(dim=0, correction=0)
    weight = head.weight.double() * std
    bias = head.bias.double() + head.weight.double() @ mean
    return F.cross_entropy((x - mean) / std @ weight.T + bias, data.labels) + strength / 2 * weight.square().sum()


@pytest.mark.parametrize(("n", "d"), [(60, 5), (20, 60)])
def test_the_weights_are_the_optimum(n: int, d: int) -> None:
    """The objective is convex: where its gradient vanishes is the one minimum. Also where columns outnumber rows."""
    train = blobs(n, d, 1.5, 3)
    head = fit_head(train, NAMES)
    strength = STRENGTHS[len(STRENGTHS) // 2]
    weight, bias = head.weight.double().requires_grad_(), head.bias.double().requires_grad_()
    loss = objective(ClassHead(weight, bias, NAMES), train, strength)
    gradients = torch.autograd.grad(loss, (weight, bias))
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-4
    for _ in range(5):
        other = ClassHead(head.weight + 0.05 * torch.randn(3, d), head.bias, NAMES)
        assert objective(other, train, strength) > loss


def test_scale_and_shift_of_the_features_do_not_matter() -> None:
    train, test = blobs(60, 6, 0.8, 1), blobs(300, 6, 0.8, 2)
    scale, shift = torch.logspace(-3, 3, 6), 100.0
    moved = [Labelled(data.features * scale + shift, data.labels) for data in (train, test)]
    expected = fit_head(train, NAMES).logits(test.features)
    torch.testing.assert_close(fit_head(moved[0], NAMES).logits(moved[1].features), expected, atol=0.05, rtol=0.02)


def test_the_same_data_gives_the_same_head() -> None:
    first, second = (fit_head(blobs(60, 6, 1.0, 1), NAMES, blobs(30, 6, 1.0, 2)) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_a_constant_column_gets_no_weight() -> None:
    data = blobs(60, 6, 0.3, 1)
    data.features[:, 2] = 7.0
    head = fit_head(data, NAMES)
    assert (head.weight[:, 2] == 0).all()
    assert head.weight.isfinite().all()
    assert accuracy(head, data) > 0.9


def test_features_that_are_all_the_same_still_give_a_head() -> None:
    head = fit_head(Labelled(torch.ones(6, 4), torch.tensor([0, 0, 0, 1, 1, 2])), NAMES)
    assert head.weight.isfinite().all()
    assert int(head.logits(torch.ones(1, 4)).argmax()) == 0  # the most frequent class


def test_the_strength_is_chosen_on_val() -> None:
    """Noise in many columns wants a strong penalty, which the middle strength is not."""
    torch.manual_seed(0)

    def noisy(n: int) -> Labelled:
        labels = torch.arange(n) % 2
        features = torch.randn(n, 80)
        features[:, 0] += 2.0 * labels
        return Labelled(features, labels)

    train, val, test = noisy(60), noisy(400), noisy(4000)
    chosen = fit_head(train, ("a", "b"), val)
    default = fit_head(train, ("a", "b"))
    assert accuracy(chosen, val) > accuracy(default, val)
    assert accuracy(chosen, test) > accuracy(default, test)


def test_the_strength_that_was_chosen_is_the_heads_own() -> None:
    """At the optimum of that strength, and of no other, the objective's gradient vanishes."""
    train = blobs(60, 6, 1.5, 1)
    for val in (None, blobs(30, 6, 1.5, 2)):
        probe = fit_probe(train, NAMES, val)
        weight, bias = probe.head.weight.double().requires_grad_(), probe.head.bias.double().requires_grad_()
        head = ClassHead(weight, bias, NAMES)
        slopes = [torch.autograd.grad(objective(head, train, s), weight)[0].abs().max().item() for s in STRENGTHS]
        assert STRENGTHS[slopes.index(min(slopes))] == probe.strength
        assert min(slopes) < 1e-4


def test_the_best_strength_on_val_is_taken() -> None:
    train, val = blobs(60, 30, 2.5, 1), blobs(200, 30, 2.5, 2)
    best = fit_probe(train, NAMES, val)
    alone = {strength: accuracy(_Problem(train, NAMES).solve(strength), val) for strength in STRENGTHS}
    assert best.strength == max(strength for strength in STRENGTHS if alone[strength] == max(alone.values()))


def test_accuracy_is_the_share_of_right_predictions() -> None:
    data = blobs(97, 6, 2.0, 4)
    head = fit_head(blobs(60, 6, 2.0, 1), NAMES)
    logits = data.features.numpy() @ head.weight.numpy().T + head.bias.numpy()
    assert predict(head, data.features).tolist() == logits.argmax(axis=1).tolist()
    assert accuracy(head, data) == (logits.argmax(axis=1) == data.labels.numpy()).mean()


def test_ties_on_val_go_to_the_stronger_penalty() -> None:
    train = blobs(60, 6, 0.05, 1)
    easy = fit_head(train, NAMES, blobs(30, 6, 0.05, 2))  # every strength is right on it
    default = fit_head(train, NAMES)
    assert easy.weight.norm() < default.weight.norm()


def test_an_empty_val_counts_as_none() -> None:
    train = blobs(60, 6, 1.0, 1)
    empty = Labelled(torch.empty(0, 6), torch.empty(0, dtype=torch.long))
    assert torch.equal(fit_head(train, NAMES, empty).weight, fit_head(train, NAMES).weight)


def test_it_fits_also_where_gradients_are_switched_off() -> None:
    with torch.inference_mode(False), torch.no_grad():
        head = fit_head(blobs(30, 6, 0.1, 1), NAMES)
    assert not head.weight.requires_grad


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_features_are_left_as_they_are(kind: torch.dtype) -> None:
    data = blobs(30, 6, 1.0, 1)
    train = Labelled(data.features.to(kind), data.labels)
    before = train.features.clone()
    head = fit_head(train, NAMES)
    assert torch.equal(train.features, before)
    assert torch.equal(head.weight, fit_head(data, NAMES).weight)
