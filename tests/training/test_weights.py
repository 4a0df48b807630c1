"""ImageNet weights under torchvision's names: the same features, whatever the input's scale; nothing else is taken."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import resnet18, resnet34
from torchvision.transforms.v2.functional import normalize

from training.config import TrainingConfig
from training.data.packed import PackedData
from training.model.config import ConfigError
from training.model.encoder import image_encoder
from training.run import train
from training.weights import IMAGENET_MEAN, IMAGENET_STD, WeightsError, load_image_weights

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """A ResNet-18 of torchvision's with random weights, and statistics that are not the defaults."""
    torch.manual_seed(0)
    network = resnet18(weights=None)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.5, 0.5)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return network.state_dict()


def save(state: State, file: Path) -> Path:
    if file.suffix == ".safetensors":
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, file)
    else:
        torch.save(state, file)
    return file


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18-f37072fd.pth"])
def test_pictures_in_0_to_1_give_what_normalised_ones_give_torchvision(state: State, tmp_path: Path, name: str) -> None:
    theirs = resnet18(weights=None).eval()
    theirs.load_state_dict(state)
    ours = image_encoder(512).eval()
    load_image_weights(ours, save(state, tmp_path / name))
    images = torch.rand(2, 3, 64, 64)
    normalised = normalize(images, list(IMAGENET_MEAN), list(IMAGENET_STD))
    with torch.no_grad():
        mine = ours.bn1(ours.conv1(images))[:, :, 2:-2, 2:-2]  # at the edges there are zeros around the picture
        expected = theirs.bn1(theirs.conv1(normalised))[:, :, 2:-2, 2:-2]
        torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)
    for key, tensor in ours.state_dict().items():
        if key not in ("conv1.weight", "bn1.running_mean"):
            assert torch.equal(tensor, state[key]), key


def changed(state: State, **changes: Any) -> State:
    return {**state, **{key.replace("__", "."): value for key, value in changes.items()}}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda state: {k: t for k, t in state.items() if k != "layer3.0.conv1.weight"},
            "lacks 'layer3.0.conv1.weight'",
        ),
        (
            lambda state: changed(state, conv1__weight=torch.zeros(64, 1, 7, 7)),
            r"'conv1.weight' has shape \[64, 1, 7, 7\]",
        ),
        (lambda state: changed(state, head__weight=torch.zeros(3)), "holds 'head.weight', which a ResNet-18 has not"),
        (lambda state: changed(state, bn1__bias=torch.full((64,), torch.nan)), "weights that are not finite numbers"),
        (lambda state: resnet34(weights=None).state_dict(), "holds 'layer1.2"),
    ],
)
def test_weights_of_something_else_are_refused(
    state: State, tmp_path: Path, change: Callable[[State], State], sentence: str
) -> None:
    encoder = image_encoder(512)
    before = encoder.conv1.weight.clone()
    with pytest.raises(WeightsError, match=sentence):
        load_image_weights(encoder, save(change(state), tmp_path / "weights.safetensors"))
    assert torch.equal(encoder.conv1.weight, before)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code ran')",))


@pytest.mark.parametrize("content", [b"", b"noise" * 50, pickle.dumps(Trap()), pickle.dumps([1, 2])])
@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_what_is_not_weights_is_refused_and_no_code_of_it_runs(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\..* (can't be read|is not a table of tensors)"):
        load_image_weights(image_encoder(512), tmp_path / name)
    with pytest.raises(WeightsError, match="does not exist; check the path"):
        load_image_weights(image_encoder(512), tmp_path / f"no {name}")


def test_a_run_starts_from_them_and_does_not_need_them_to_go_on(
    state: State, tiny_data: PackedData, tiny_config: Callable[..., TrainingConfig], tmp_path: Path
) -> None:
    file = save(state, tmp_path / "weights.safetensors")
    config = tiny_config(width=1.0, image_weights=str(file), steps=1, checkpoint_every=1, learning_rate=1e-9)
    bundle = train(tiny_data, tmp_path / "run", config, device="cpu")
    name = "layer4.0.conv1.weight"
    torch.testing.assert_close(bundle.model.image_encoder.state_dict()[name], state[name])
    file.unlink()
    for made in (tmp_path / "run" / "model").iterdir():
        made.unlink()
    (tmp_path / "run" / "model").rmdir()
    train(tiny_data, tmp_path / "run", config, device="cpu", resume=True)


def test_they_take_the_full_width(tiny_config: Callable[..., TrainingConfig]) -> None:
    with pytest.raises(ConfigError, match=r"'image_weights' are of a ResNet-18, which takes width=1, not 0.5"):
        tiny_config(width=0.5, image_weights="weights.safetensors")
