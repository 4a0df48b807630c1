"""How the parts join: representations, cyclic addressing, the shared projection head."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from training.model.config import ModelConfig
from training.model.memory import Modality, other
from training.model.network import BMAModel

MODALITIES: tuple[Modality, Modality] = ("image", "sound")
INPUTS: dict[Modality, tuple[int, ...]] = {"image": (3, 3, 32, 32), "sound": (3, 1, 16, 40)}

Make = Callable[..., BMAModel]


@pytest.fixture
def make() -> Make:
    def build(**changes: object) -> BMAModel:
        torch.manual_seed(0)
        config = ModelConfig.from_dict({**ModelConfig(width=1 / 32, slots=9).to_dict(), **changes})
        return BMAModel(config).double()

    return build


def feature(model: BMAModel) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(4, model.config.channels, dtype=torch.float64)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_representation_is_visual_then_sound(make: Make, modality: Modality) -> None:
    model = make()
    f = feature(model)
    h = model.represent(f, modality)
    visual, sound = h.chunk(2, dim=1)
    recalled = model.memory.recall(f, modality)
    own, other_half = (visual, sound) if modality == "image" else (sound, visual)
    assert h.shape == (4, 32)
    assert torch.equal(own, f)
    assert torch.equal(other_half, recalled)


def test_cyclic_addressing_of_a_sound_goes_to_images_and_back(make: Make) -> None:
    model = make()
    f_s = feature(model)
    f_v_mem = model.memory.recall(f_s, "sound")
    f_s_mem = model.memory.recall(f_v_mem, "image")
    assert torch.equal(model.cycle(f_s, "sound"), torch.cat((f_v_mem, f_s_mem), dim=1))


def test_cyclic_addressing_of_an_image_goes_to_sounds_and_back(make: Make) -> None:
    model = make()
    f_v = feature(model)
    f_s_mem = model.memory.recall(f_v, "image")
    f_v_mem = model.memory.recall(f_s_mem, "sound")
    assert torch.equal(model.cycle(f_v, "image"), torch.cat((f_v_mem, f_s_mem), dim=1))


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_head_is_linear_relu_linear_without_batch_norm(make: Make, modality: Modality) -> None:
    model = make(projection_dim=24)
    first, activation, last = model.projection
    assert isinstance(first, nn.Linear)
    assert isinstance(activation, nn.ReLU)
    assert isinstance(last, nn.Linear)
    h = torch.randn(5, 32, dtype=torch.float64)
    expected = (h @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(model.project(h, modality), expected)
    assert model.project(h, modality).shape == (5, 24)


def test_one_head_serves_both_modalities(make: Make) -> None:
    model = make()
    heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert len(heads) == 2
    for modality in MODALITIES:
        model.zero_grad()
        model.project(model.represent(feature(model), modality), modality).sum().backward()
        assert all(head.weight.grad is not None and head.weight.grad.abs().sum() > 0 for head in heads)


def test_separate_heads_serve_one_modality_each(make: Make) -> None:
    model = make(separate_heads=True)
    heads: dict[Modality, nn.Module] = {"image": model.projection, "sound": model.sound_projection}
    for modality, used in heads.items():
        idle = heads[other(modality)]
        model.zero_grad()
        model.project(feature(model).repeat(1, 2), modality).sum().backward()
        assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in used.parameters())
        assert all(parameter.grad is None for parameter in idle.parameters())


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_whole_pass_has_the_sizes_of_the_configuration(make: Make, modality: Modality) -> None:
    model = make().float()
    f = model.encode(torch.rand(INPUTS[modality]), modality)
    h = model.represent(f, modality)
    assert f.shape == (3, 16)
    assert h.shape == (3, 32)
    assert model.project(h, modality).shape == (3, 128)
    assert f.dtype == h.dtype == torch.float32


@pytest.mark.parametrize("modality", MODALITIES)
def test_each_modality_has_an_encoder_of_its_own(make: Make, modality: Modality) -> None:
    model = make().float()
    model.encode(torch.rand(INPUTS[modality]), modality).sum().backward()
    used, idle = model.image_encoder, model.sound_encoder
    if modality == "sound":
        used, idle = idle, used
    assert all(parameter.grad is not None for parameter in used.parameters())
    assert all(parameter.grad is None for parameter in idle.parameters())


@pytest.mark.parametrize("modality", MODALITIES)
def test_features_leave_autocast_in_float32_and_stay_close(make: Make, modality: Modality) -> None:
    model = make().float().eval()
    x = torch.rand(INPUTS[modality])
    with torch.no_grad():
        expected = model.represent(model.encode(x, modality), modality)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            f = model.encode(x, modality)
        h = model.represent(f, modality)
    assert f.dtype == h.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(h, expected).min() > 0.999


def test_without_memory_the_recalled_half_is_zero(make: Make) -> None:
    model = make(use_memory=False)
    f = feature(model)
    zeros = torch.zeros_like(f)
    assert torch.equal(model.represent(f, "image"), torch.cat((f, zeros), dim=1))
    assert torch.equal(model.represent(f, "sound"), torch.cat((zeros, f), dim=1))


@pytest.mark.parametrize("modality", MODALITIES)
def test_normalised_halves_change_the_projection_but_not_h(make: Make, modality: Modality) -> None:
    plain, normalised = make(), make(normalise_halves=True)
    f = feature(plain)
    assert torch.equal(plain.represent(f, "image"), normalised.represent(f, "image"))
    h = torch.cat((3 * f, f / 7), dim=1)
    halves = torch.cat((f / f.norm(dim=1, keepdim=True), f / f.norm(dim=1, keepdim=True)), dim=1)
    torch.testing.assert_close(normalised.project(h, modality), plain.project(halves, modality))


def test_the_papers_sizes() -> None:
    with torch.device("meta"):
        model = BMAModel(ModelConfig())
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if "encoder" not in name}
    assert shapes == {
        "memory.visual": (1000, 512),
        "memory.sound": (1000, 512),
        "projection.0.weight": (512, 1024),
        "projection.0.bias": (512,),
        "projection.2.weight": (128, 512),
        "projection.2.bias": (128,),
    }
