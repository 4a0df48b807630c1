"""The encoders are ResNet-18 and ResNet-10 with basic blocks, as torchvision builds them."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.resnet import BasicBlock
from torchvision.models.resnet import ResNet as TorchvisionResNet

from training.model.device import place
from training.model.encoder import ResNet, image_encoder, sound_encoder


def weighted_layers(encoder: ResNet) -> int:
    """Convolutions on the main path; the classifier that the name counts too is not there."""
    return sum(isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1) for m in encoder.modules())


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def without_classifier(model: TorchvisionResNet) -> TorchvisionResNet:
    model.fc = nn.Identity()
    return model


def test_the_image_encoder_is_resnet_18() -> None:
    torch.manual_seed(0)
    encoder = image_encoder(512)
    theirs = without_classifier(resnet18(weights=None))
    assert weighted_layers(encoder) == 17
    assert parameters(encoder) == parameters(theirs) == 11_176_512
    encoder.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(x), theirs.eval()(x))


def test_the_sound_encoder_is_resnet_10_with_one_input_channel() -> None:
    torch.manual_seed(0)
    encoder = sound_encoder(512)
    theirs = without_classifier(TorchvisionResNet(BasicBlock, [1, 1, 1, 1]))
    theirs.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    assert weighted_layers(encoder) == 9
    assert parameters(encoder) == parameters(theirs) == 4_899_520
    encoder.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 1, 30, 40)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize(("encoder", "channels"), [(image_encoder, 3), (sound_encoder, 1)])
def test_the_stem(encoder: Callable[[int], ResNet], channels: int) -> None:
    stem = encoder(512).conv1
    assert stem.weight.shape == (64, channels, 7, 7)
    assert stem.stride == (2, 2)
    assert stem.bias is None


@pytest.mark.parametrize("channels", [8, 16, 128])
def test_c_is_the_width_of_the_last_stage(channels: int) -> None:
    encoder = image_encoder(channels)
    weights = encoder.state_dict()
    widths = [len(weights[f"layer{stage}.1.conv2.weight"]) for stage in (1, 2, 3, 4)]
    assert widths == [channels // 8, channels // 4, channels // 2, channels]
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, channels)


def test_convolutions_start_as_he_et_al_draw_them() -> None:
    """Kaiming normal over the outputs, as torchvision's ResNets."""
    torch.manual_seed(0)
    for module in image_encoder(256).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


@pytest.mark.parametrize("channels", [4, 12, 511])
def test_a_width_that_the_stages_can_not_halve_is_refused(channels: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        sound_encoder(channels)


@pytest.mark.parametrize("channels", [8, 32, 56, 64, 128])
def test_gradients_are_right_at_every_width(channels: int) -> None:
    """As in float64, also where oneDNN's own for few channels are not (uxlfoundation/oneDNN#6035)."""
    torch.manual_seed(0)
    encoder = sound_encoder(channels).eval()
    exact = copy.deepcopy(encoder).double()
    x = torch.rand(8, 1, 48, 48)
    exact(x.double()).square().sum().backward()
    placed = place(encoder, torch.device("cpu"))  # channels last, as in training
    placed(x.contiguous(memory_format=torch.channels_last)).square().sum().backward()
    for (name, mine), theirs in zip(encoder.named_parameters(), exact.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        error = (mine.grad - theirs.grad).norm() / theirs.grad.norm()
        assert error < 1e-4, name
