"""Addressing and recall against Eq. 1 to 3 written as loops; the roles of key and value; float32 under autocast."""

from types import ModuleType

import pytest
import torch

from training.model.memory import BimodalMemory, Modality, other

MODALITIES: tuple[Modality, Modality] = ("image", "sound")


def make(slots: int = 7, channels: int = 5, tau_m: float = 0.1) -> BimodalMemory:
    torch.manual_seed(0)
    return BimodalMemory(slots, channels, tau_m).double()


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("tau_m", [0.1, 0.7])
def test_addressing_is_equation_1(reference: ModuleType, modality: Modality, tau_m: float) -> None:
    memory = make(tau_m=tau_m)
    query = torch.randn(4, 5, dtype=torch.float64)
    key = memory.visual if modality == "image" else memory.sound
    expected = torch.stack([reference.address(f, key, tau_m) for f in query])
    result = memory.address(query, modality)
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(result.sum(dim=1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("modality", MODALITIES)
def test_recall_and_its_gradients_are_equation_3(reference: ModuleType, modality: Modality) -> None:
    memory = make()
    query = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 5, dtype=torch.float64)
    key, value = (memory.visual, memory.sound) if modality == "image" else (memory.sound, memory.visual)
    inputs = (query, memory.visual, memory.sound)
    result = memory.recall(query, modality)
    expected = torch.stack([reference.recall(f, key, value, 0.1) for f in query])
    torch.testing.assert_close(result, expected, atol=1e-12, rtol=1e-9)
    mine = torch.autograd.grad((result * weight).sum(), inputs)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs)
    for gradient, reference_gradient in zip(mine, theirs, strict=True):
        assert reference_gradient.abs().max() > 1e-3
        torch.testing.assert_close(gradient, reference_gradient, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_frozen_memory_recalls_the_same_and_does_not_look_again(modality: Modality) -> None:
    memory = make()
    query = torch.randn(4, 5, dtype=torch.float64)
    before = memory.address(query, modality)
    state = set(memory.state_dict())
    memory.freeze()
    assert torch.equal(memory.address(query, modality), before)
    assert set(memory.state_dict()) == state
    with torch.no_grad():
        memory.key(modality).neg_()
    assert torch.equal(memory.address(query, modality), before)
    torch.testing.assert_close(memory.float().address(query.float(), modality), before.float())


def test_slots_are_drawn_from_the_standard_normal_distribution() -> None:
    torch.manual_seed(0)
    memory = BimodalMemory(400, 64, 0.1)
    for slots in (memory.visual, memory.sound):
        assert slots.std().item() == pytest.approx(1, abs=0.02)
        assert slots.mean().item() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("modality", MODALITIES)
def test_key_and_value_switch_with_the_modality(modality: Modality) -> None:
    """Slots of one modality only in the key, of the other only in the value: what is read tells which was which."""
    memory = BimodalMemory(4, 4, 0.01)
    with torch.no_grad():
        memory.visual.copy_(torch.eye(4))
        memory.sound.copy_(torch.eye(4).roll(1, dims=1) * 3)
    own, linked = (memory.visual, memory.sound) if modality == "image" else (memory.sound, memory.visual)
    assert memory.key(modality) is own
    assert memory.value(modality) is linked
    for slot in range(4):
        recalled = memory.recall(own[slot : slot + 1] * 5, modality)
        torch.testing.assert_close(recalled[0], linked[slot])


def test_the_other_modality() -> None:
    assert other("image") == "sound"
    assert other("sound") == "image"


def test_sub_memories_are_drawn_from_a_standard_normal_and_learned() -> None:
    torch.manual_seed(0)
    memory = BimodalMemory(1000, 512, 0.1)
    assert {name for name, _ in memory.named_parameters()} == {"visual", "sound"}
    for slots in memory.parameters():
        assert slots.shape == (1000, 512)
        assert abs(slots.mean().item()) < 0.01
        assert abs(slots.std().item() - 1) < 0.01
    assert not torch.equal(memory.visual, memory.sound)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_addressing_stays_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    memory = BimodalMemory(1000, 64, 0.1)
    query = torch.randn(16, 64).to(dtype)
    expected_weights, expected = memory.address(query.float(), "image"), memory.recall(query.float(), "image")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weights, recalled = memory.address(query, "image"), memory.recall(query, "image")
    assert weights.dtype == recalled.dtype == torch.float32
    torch.testing.assert_close(weights, expected_weights, atol=0, rtol=0)
    torch.testing.assert_close(recalled, expected, atol=0, rtol=0)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_zero_query_reads_the_mean_of_the_slots(modality: Modality) -> None:
    memory = make()
    query = torch.zeros(2, 5, dtype=torch.float64, requires_grad=True)
    recalled = memory.recall(query, modality)
    torch.testing.assert_close(recalled, memory.value(modality).mean(dim=0).expand(2, -1))
    recalled.sum().backward()
    gradients = (query.grad, memory.visual.grad, memory.sound.grad)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_the_length_of_a_query_does_not_count() -> None:
    memory = make()
    query = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(memory.address(query * 1e6, "image"), memory.address(query * 1e-6, "image"))


@pytest.mark.parametrize(("slots", "channels", "tau_m"), [(0, 4, 0.1), (4, 0, 0.1), (4, 4, 0.0), (4, 4, -1.0)])
def test_impossible_sizes_are_refused(slots: int, channels: int, tau_m: float) -> None:
    with pytest.raises(ValueError, match=r"must be (at least 1|above 0)"):
        BimodalMemory(slots, channels, tau_m)
