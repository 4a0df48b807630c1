"""The total loss of a batch against Eq. 1 to 5 written as loops, and how its parts are put together.

The encoders are the model's own on both sides; memory, head and losses of the reference are loops. All in float64.
"""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from training.augment.simclr import SimCLRAugment
from training.augment.spec import SpecAugment
from training.batch import Batch, Feeder, Items
from training.config import TrainingConfig
from training.data.packed import PackedData
from training.model.memory import Modality
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor
from training.objective import Objective

CPU = torch.device("cpu")
TinyConfig = Callable[..., TrainingConfig]


class DoublePreprocessor(Preprocessor):
    """Preprocessing in float32, handed on as float64."""

    def image(self, pixels: Tensor) -> Tensor:
        return super().image(pixels).double()

    def sound(self, windows: Tensor) -> Tensor:
        return super().sound(windows).double()


class Setting:
    """An objective on a batch of four with a model of its own, and the reference beside it."""

    def __init__(self, data: PackedData, config: TrainingConfig, reference: ModuleType) -> None:
        torch.manual_seed(0)
        self.config, self.reference = config, reference
        self.model = BMAModel(config.model_config).double().train()
        self.preprocessor = DoublePreprocessor(config.preprocess_config, -5.0, 4.0)
        self.objective = Objective(config, self.model, self.preprocessor)
        self.batch = Feeder(data, config, CPU).batch(0)

    def recall(self, f: Tensor, modality: Modality) -> Tensor:
        visual, sound = self.model.memory.visual, self.model.memory.sound
        key, value = (visual, sound) if modality == "image" else (sound, visual)
        rows: Tensor = self.reference.recall(f, key, value, self.config.tau_m)
        return rows

    def single(self, f: Tensor, modality: Modality) -> Tensor:
        recalled = self.recall(f, modality)
        return torch.cat((f, recalled) if modality == "image" else (recalled, f))

    def cyclic(self, f: Tensor, modality: Modality) -> Tensor:
        recalled = self.recall(f, modality)
        if modality == "sound":  # S -> I gives f^{v,mem}, which queries I -> S: [f^{v,mem} ; f^{s,mem}]
            return torch.cat((recalled, self.recall(recalled, "image")))
        return torch.cat((self.recall(recalled, "sound"), recalled))

    def contrast(self, h_first: list[Tensor], h_second: list[Tensor], clip: Tensor) -> Tensor:
        first, last = self.model.projection[0], self.model.projection[2]
        weights = {"w1": first.weight, "b1": first.bias, "w2": last.weight, "b2": last.bias}
        z_first = torch.stack([self.reference.project(h, weights) for h in h_first])
        z_second = torch.stack([self.reference.project(h, weights) for h in h_second])
        loss: Tensor = self.reference.contrastive(z_first, z_second, clip.tolist(), self.config.tau_l)
        return loss

    def paired(self) -> Tensor:
        pairs = self.batch.pairs
        assert pairs.images is not None
        assert pairs.windows is not None
        f_v = self.model.image_encoder(self.preprocessor.image(pairs.images))
        f_s = self.model.sound_encoder(self.preprocessor.sound(pairs.windows))
        h_v = [self.single(f, "image") for f in f_v]
        h_s = [self.single(f, "sound") for f in f_s]
        return self.contrast(h_v, h_s, pairs.clip)

    def unpaired(self, items: Items, modality: Modality) -> Tensor:
        augment: Callable[[Tensor], Tensor]
        if modality == "sound":
            assert items.windows is not None
            x = self.preprocessor.sound(items.windows)
            augment = SpecAugment(self.config.spec_masks, self.config.spec_frequency, self.config.spec_time)
            encoder = self.model.sound_encoder
        else:
            assert items.images is not None
            x = self.preprocessor.image(items.images)
            augment = SimCLRAugment(self.config.crop_scale, self.config.colour_jitter)
            encoder = self.model.image_encoder
        first, second = encoder(torch.cat((augment(x), augment(x)))).chunk(2)
        by = {"cyclic": self.cyclic, "single": self.single}
        h_first = [by[self.config.first_view](f, modality) for f in first]
        h_second = [by[self.config.second_view](f, modality) for f in second]
        return self.contrast(h_first, h_second, items.clip)

    def gradients(self, loss: Tensor) -> dict[str, Tensor]:
        names, parameters = zip(*self.model.named_parameters(), strict=True)
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        return {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}


Make = Callable[..., Setting]


@pytest.fixture
def make(tiny_data: PackedData, tiny_config: TinyConfig, reference: ModuleType) -> Make:
    def build(**changes: Any) -> Setting:
        return Setting(tiny_data, tiny_config(**{"batch_size": 4, "slots": 5, "width": 1 / 64, **changes}), reference)

    return build


def assert_same(setting: Setting, mine: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(mine, theirs, atol=1e-8, rtol=1e-8)
    gradients, expected = setting.gradients(mine), setting.gradients(theirs)
    assert gradients.keys() == expected.keys()
    assert max(gradient.abs().max().item() for gradient in expected.values()) > 1e-3
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-6)


def test_l_pair_and_its_gradients(make: Make) -> None:
    setting = make()
    assert_same(setting, setting.objective(setting.batch, 1.0)["loss"], setting.paired())


def test_l_pair_with_two_pairs_of_one_clip(make: Make) -> None:
    setting = make()
    pairs = replace(setting.batch.pairs, clip=torch.tensor([3, 8, 3, 9]))
    setting.batch = Batch(pairs)
    assert_same(setting, setting.objective(setting.batch, 1.0)["loss"], setting.paired())


VIEWS = [("cyclic", "single"), ("cyclic", "cyclic"), ("single", "single"), ("single", "cyclic")]


@pytest.mark.parametrize(("first_view", "second_view"), VIEWS)
def test_l_unpair_of_sounds_and_its_gradients(make: Make, first_view: str, second_view: str) -> None:
    setting = make(unpaired="sounds", first_view=first_view, second_view=second_view)
    items = setting.batch.unpaired_sounds
    assert items is not None
    torch.manual_seed(1)
    mine = setting.objective.unpaired(items, "sound")
    torch.manual_seed(1)
    assert_same(setting, mine, setting.unpaired(items, "sound"))


@pytest.mark.parametrize(("first_view", "second_view"), VIEWS)
def test_l_unpair_of_images_and_its_gradients(make: Make, first_view: str, second_view: str) -> None:
    setting = make(unpaired="images", first_view=first_view, second_view=second_view)
    items = setting.batch.unpaired_images
    assert items is not None
    torch.manual_seed(1)
    mine = setting.objective.unpaired(items, "image")
    torch.manual_seed(1)
    assert_same(setting, mine, setting.unpaired(items, "image"))


def test_each_view_changes_the_loss(make: Make) -> None:
    losses = []
    for first_view, second_view in VIEWS:
        setting = make(unpaired="sounds", first_view=first_view, second_view=second_view)
        assert setting.batch.unpaired_sounds is not None
        torch.manual_seed(1)
        losses.append(setting.objective.unpaired(setting.batch.unpaired_sounds, "sound").item())
    assert min(abs(losses[0] - other) for other in losses[1:3]) > 1e-3


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_total_is_the_sum_with_its_factor(make: Make, weight: float) -> None:
    """Two kinds of unpaired items make two losses; no negatives cross from one to another."""
    setting = make(unpaired="both")
    batch = setting.batch
    assert batch.unpaired_sounds is not None
    assert batch.unpaired_images is not None
    torch.manual_seed(2)
    mine = setting.objective(batch, weight)
    torch.manual_seed(2)
    parts = (
        setting.paired(),
        setting.unpaired(batch.unpaired_sounds, "sound"),
        setting.unpaired(batch.unpaired_images, "image"),
    )
    names = ("loss_pair", "loss_unpaired_sounds", "loss_unpaired_images")
    for name, part in zip(names, parts, strict=True):
        torch.testing.assert_close(mine[name], part, atol=1e-8, rtol=1e-8)
    assert_same(setting, mine["loss"], parts[0] + weight * (parts[1] + parts[2]))


def test_only_what_is_asked_for_is_named(make: Make) -> None:
    expected = {
        "none": {"loss_pair"},
        "sounds": {"loss_pair", "loss_unpaired_sounds"},
        "images": {"loss_pair", "loss_unpaired_images"},
        "both": {"loss_pair", "loss_unpaired_sounds", "loss_unpaired_images"},
    }
    for unpaired, names in expected.items():
        setting = make(unpaired=unpaired)
        scalars = setting.objective(setting.batch, 1.0)
        assert {name for name in scalars if name.startswith("loss_")} == names


def test_pairs_are_augmented_only_when_asked(make: Make) -> None:
    plain, augmented = make(), make(paired_augment=True)
    twice = [plain.objective(plain.batch, 1.0)["loss"].item() for _ in range(2)]
    assert twice[0] == twice[1]
    twice = [augmented.objective(augmented.batch, 1.0)["loss"].item() for _ in range(2)]
    assert twice[0] != twice[1]


def watch_encoder(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What the encoders are given from here on."""
    seen: list[Tensor] = []
    encode = setting.model.encode

    def watch(x: Tensor, modality: Modality) -> Tensor:
        seen.append(x)
        return encode(x, modality)

    monkeypatch.setattr(setting.model, "encode", watch)
    return seen


def test_the_two_views_of_an_unpaired_item_are_drawn_apart(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make(unpaired="sounds")
    assert setting.batch.unpaired_sounds is not None
    seen = watch_encoder(setting, monkeypatch)
    setting.objective.unpaired(setting.batch.unpaired_sounds, "sound")
    first, second = seen[0].chunk(2)
    assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("kind", ["sounds", "images"])
def test_separate_statistics_are_those_of_pairs_alone(make: Make, kind: str) -> None:
    def running(**changes: Any) -> dict[str, Tensor]:
        setting = make(**changes)
        setting.objective(setting.batch, 1.0)
        state = setting.model.state_dict()
        return {name: tensor for name, tensor in state.items() if "running" in name}

    alone, mixed = running(), running(unpaired=kind)
    separate = running(unpaired=kind, separate_statistics=True)
    encoder = f"{kind.removesuffix('s')}_encoder"
    assert all(torch.equal(tensor, alone[name]) for name, tensor in separate.items())
    assert all(torch.equal(tensor, alone[name]) != name.startswith(encoder) for name, tensor in mixed.items())


def test_two_windows_are_the_two_views(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make(unpaired="sounds", separate_windows=True, spec_masks=0)
    seen = watch_encoder(setting, monkeypatch)
    items = setting.batch.unpaired_sounds
    assert items is not None
    assert items.windows is not None
    setting.objective.unpaired(items, "sound")
    assert items.windows.shape[0] == 2 * len(items.clip)
    assert torch.equal(seen[0], setting.preprocessor.sound(items.windows))


def test_what_is_watched_of_the_memory(make: Make) -> None:
    setting = make()
    scalars = setting.objective(setting.batch, 1.0)
    for modality in ("image", "sound"):
        assert 1 <= scalars[f"effective_slots_{modality}"] <= 5
        assert scalars[f"recalled_norm_{modality}"] > 0
        assert not scalars[f"effective_slots_{modality}"].requires_grad


def test_without_memory_nothing_of_it_is_watched_and_it_gets_no_gradient(make: Make) -> None:
    setting = make(use_memory=False)
    scalars = setting.objective(setting.batch, 1.0)
    assert set(scalars) == {"loss", "loss_pair"}
    assert not any(name.startswith("memory") for name in setting.gradients(scalars["loss"]))


def test_convolutions_in_bfloat16_give_nearly_the_same_loss(
    make: Make, tiny_data: PackedData, tiny_config: TinyConfig
) -> None:
    config = tiny_config(unpaired="both", spec_masks=0)
    torch.manual_seed(0)
    model = BMAModel(config.model_config).train()
    preprocessor = Preprocessor(config.preprocess_config, -5.0, 4.0)
    batch = Feeder(tiny_data, config, CPU).batch(0)
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(1)
        scalars = Objective(config, model, preprocessor, dtype)(batch, 1.0)
        assert scalars["loss"].dtype == torch.float32
        scalars["loss"].backward()
        losses.append(scalars["loss"].item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
