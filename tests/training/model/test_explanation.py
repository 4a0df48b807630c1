"""An explanation is the memory's own computation: held to loops of the paper's equations in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from tests.training.reference import address, recall
from training.model.bundle import Bundle
from training.model.config import ModelConfig
from training.model.embedder import Embedder
from training.model.explanation import explain
from training.model.memory import Modality
from training.model.network import BMAModel

Numbers = Callable[[int, int], npt.NDArray[np.float64]]
C, N, D = 32, 24, 16
MODALITIES: tuple[Modality, Modality] = ("image", "sound")


def model_of(bundle: Bundle, tau_m: float = 0.1, **keys: bool) -> BMAModel:
    """The small model in float64, with other keys."""
    model = BMAModel(ModelConfig(width=1 / 16, slots=N, projection_dim=D, tau_m=tau_m, **keys)).eval()
    model.load_state_dict(bundle.model.state_dict(), strict=False)
    return model.double().requires_grad_(False)


def represented(model: BMAModel, f: Tensor, modality: Modality) -> Tensor:
    """h `[N, 2c]` of features, by the slow loops."""
    key, value = model.memory.key(modality), model.memory.value(modality)
    recalled = torch.stack([recall(one, key, value, model.memory.tau_m) for one in f])
    return torch.cat((f, recalled) if modality == "image" else (recalled, f), dim=1)


def unit(z: Tensor) -> Tensor:
    return z / z.square().sum(dim=-1, keepdim=True).sqrt()


@pytest.fixture
def features(numbers: Numbers) -> Tensor:
    return torch.from_numpy(numbers(6 * C, 5).reshape(6, C))


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize(
    "keys", [{}, {"normalise_halves": True}, {"separate_heads": True}], ids=["plain", "norm", "two"]
)
def test_slots_weights_and_places_are_the_memorys(
    bundle: Bundle, features: Tensor, modality: Modality, keys: dict[str, bool]
) -> None:
    model = model_of(bundle, **keys)
    counts = [1, 3, 2]
    told = explain(model, represented(model, features, modality), counts, modality, top=4)
    every = torch.stack([address(f, model.memory.key(modality), 0.1) for f in features])
    for place, of_item in enumerate(every.split(counts)):
        weights = of_item.mean(dim=0)
        order = sorted(range(N), key=lambda slot: -float(weights[slot]))[:4]
        assert told.slots[place].tolist() == order
        np.testing.assert_allclose(told.weights[place], weights[order], rtol=1e-6)
        spread = np.exp(-sum(float(w) * np.log(float(w)) for w in weights))
        assert told.effective[place] == pytest.approx(spread, rel=1e-6)
        for target in MODALITIES:
            for rank, slot in enumerate(order):
                h = torch.cat((model.memory.visual[slot], model.memory.sound[slot]))[None]
                np.testing.assert_allclose(told.z[target][place, rank], unit(model.project(h, target))[0], atol=1e-6)


@pytest.mark.parametrize("modality", MODALITIES)
def test_without_a_slot_is_a_memory_that_does_not_have_it(bundle: Bundle, features: Tensor, modality: Modality) -> None:
    model = model_of(bundle)
    counts = [2, 4]
    told = explain(model, represented(model, features, modality), counts, modality, top=3)
    for place, of_item in enumerate(features.split(counts)):
        for rank, slot in enumerate(told.slots[place].tolist()):
            kept = [r for r in range(N) if r != slot]
            key, value = model.memory.key(modality)[kept], model.memory.value(modality)[kept]
            recalled = torch.stack([recall(f, key, value, 0.1) for f in of_item])
            halves = (of_item, recalled) if modality == "image" else (recalled, of_item)
            h = torch.cat(halves, dim=1).mean(dim=0)
            np.testing.assert_allclose(told.h_without[place, rank], h, atol=1e-6)
            np.testing.assert_allclose(
                told.z_without[place, rank], unit(model.project(h[None], modality))[0], atol=1e-6
            )


def test_where_one_slot_has_all_the_weight_nothing_is_left(bundle: Bundle) -> None:
    model = model_of(bundle, tau_m=1e-4)
    f = model.memory.visual[7:8].clone()
    told = explain(model, represented(model, f, "image"), [1], "image", top=1)
    assert (told.slots.tolist(), told.weights.tolist()) == ([[7]], [[1.0]])
    assert told.effective[0] == pytest.approx(1)
    assert np.isfinite(told.h_without).all()
    assert np.isfinite(told.z_without).all()


def test_the_weights_of_a_long_sound_are_what_its_recalled_half_was_read_with(bundle: Bundle, numbers: Numbers) -> None:
    embedder = Embedder(bundle, device="cpu", precision="fp32")
    wave = (9000 * numbers(5 * 22_050, 3)).astype(np.int16)
    pieces = embedder.cut(wave)
    h = embedder.embed_sounds([piece.wave for piece in pieces]).h
    told = embedder.explain(h, [len(pieces)], "sound", top=N + 5)
    assert told.slots.shape == (1, N)
    whole = embedder.embed_sounds([wave]).h[0]
    read = told.weights[0] @ embedder.bundle.model.memory.visual.numpy()[told.slots[0]]
    np.testing.assert_allclose(read, whole[:C], atol=1e-5)


def test_what_can_not_be_explained_is_refused(bundle: Bundle, features: Tensor) -> None:
    model = model_of(bundle)
    h = represented(model, features, "image")
    for counts in ([5], [6, 0], [7]):
        with pytest.raises(ValueError, match="can't belong"):
            explain(model, h, counts, "image")
    with pytest.raises(ValueError, match="without a memory"):
        explain(model_of(bundle, use_memory=False), h, [6], "image")
