"""A frozen encoder gives the features of the one that it was made of, which float64 computes step by step here."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.model import frozen
from training.model.bundle import Bundle
from training.model.embedder import Embedder
from training.model.encoder import ResNet, image_encoder, sound_encoder
from training.model.frozen import FrozenResNet, max_pool
from training.model.winograd import Winograd

BF16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
needs_bf16 = pytest.mark.skipif(not BF16, reason="oneDNN has no bfloat16 on this processor")


def worn(encoder: ResNet) -> ResNet:
    """An encoder whose batch norms have seen data, some channels next to none."""
    torch.manual_seed(1)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            module.running_var[0] = 0.05
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, std=0.3)
    return encoder.eval().requires_grad_(False)


def reference(encoder: ResNet, x: Tensor) -> Tensor:
    features: Tensor = copy.deepcopy(encoder).double()(x.double())
    return features


SHAPES = [(image_encoder, (1, 3, 64, 64)), (image_encoder, (5, 3, 37, 50)), (sound_encoder, (3, 1, 75, 100))]


@pytest.mark.parametrize(("make", "shape"), SHAPES)
@pytest.mark.parametrize("channels", [32, 128])
def test_features_are_the_encoders(make: Callable[[int], ResNet], shape: tuple[int, ...], channels: int) -> None:
    encoder = worn(make(channels))
    x = torch.randn(shape)
    exact = reference(encoder, x)
    with torch.inference_mode():
        found = FrozenResNet(encoder, torch.float32)(x)
    assert found.dtype == torch.float32
    assert found.shape == (shape[0], channels)
    torch.testing.assert_close(found.double(), exact, rtol=1e-3, atol=1e-4 * float(exact.abs().median()))


@pytest.mark.parametrize(
    ("capability", "make", "shape", "often"),
    [
        ("AVX2", image_encoder, (4, 3, 96, 96), 6),
        ("AVX2", sound_encoder, (5, 1, 75, 100), 2),
        ("AVX2", image_encoder, (2, 3, 96, 64), 0),  # too few tiles
        ("AVX512", image_encoder, (4, 3, 96, 96), 0),
    ],
)
def test_features_are_the_encoders_by_winograds_algorithm(
    capability: str,
    make: Callable[[int], ResNet],
    shape: tuple[int, ...],
    often: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    taken: list[torch.Size] = []

    class Counted(Winograd):
        def __call__(self, x: Tensor, relu: bool = False) -> Tensor:
            taken.append(x.shape)
            return super().__call__(x, relu)

    monkeypatch.setattr(frozen, "Winograd", Counted)
    encoder = worn(make(512))
    x = torch.randn(shape)
    exact = reference(encoder, x)
    with torch.inference_mode():
        found = FrozenResNet(encoder, torch.float32)(x)
    assert len(taken) == often
    torch.testing.assert_close(found.double(), exact, rtol=1e-3, atol=1e-4 * float(exact.abs().median()))


@needs_bf16
@pytest.mark.parametrize(("make", "shape"), SHAPES)
@pytest.mark.parametrize("channels", [32, 128])
def test_features_are_the_encoders_but_for_bfloat16s_rounding(
    make: Callable[[int], ResNet], shape: tuple[int, ...], channels: int
) -> None:
    encoder = worn(make(channels))
    x = torch.randn(shape)
    with torch.inference_mode():
        found = FrozenResNet(encoder, torch.bfloat16)(x)
        fine = FrozenResNet(encoder, torch.float32)(x)
    assert found.dtype == torch.float32
    assert found.shape == (shape[0], channels)
    assert torch.cosine_similarity(found.double(), reference(encoder, x)).min() > 0.999
    assert not torch.equal(found, fine)


@pytest.mark.skipif(BF16, reason="oneDNN has bfloat16 on this processor")
def test_where_onednn_has_no_bfloat16_the_model_computes_in_it(bundle: Bundle) -> None:
    embedder = Embedder(bundle, "cpu", "bf16")
    assert embedder.frozen == {}
    assert np.isfinite(embedder.embed_packed([embedder.empty("image")], "image").z).all()


@pytest.mark.parametrize(
    ("dtype", "error"), [(torch.float32, 1e-6), pytest.param(torch.bfloat16, 3e-3, marks=needs_bf16)]
)
def test_pixels_are_scaled_by_the_first_convolution(dtype: torch.dtype, error: float) -> None:
    encoder = worn(image_encoder(32))
    pixels = torch.randint(0, 256, (3, 3, 40, 52), dtype=torch.uint8)
    kept = pixels.clone()
    exact = encoder.bn1.double()(encoder.conv1.double()(pixels.double() / 255)).relu()
    encoder.float()
    of_pixels, of_floats = FrozenResNet(encoder, dtype, scale=1 / 255), FrozenResNet(encoder, dtype)
    with torch.inference_mode():
        found, floats = of_pixels.stem(pixels, relu=True).double(), of_floats.stem(pixels / 255, relu=True).double()
        assert torch.cosine_similarity(of_pixels(pixels), of_floats(pixels / 255)).min() > 0.999
    assert torch.equal(pixels, kept)
    off, of_rounded = float((found - exact).norm() / exact.norm()), float((floats - exact).norm() / exact.norm())
    assert off < error
    if dtype == torch.bfloat16:
        assert off < 0.95 * of_rounded, "bfloat16 holds every pixel as it is"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("height", [1, 2, 3, 4, 75, 112])
@pytest.mark.parametrize("width", [1, 2, 5, 100])
def test_pooling_takes_the_largest_of_nine(height: int, width: int, dtype: torch.dtype) -> None:
    torch.manual_seed(height * 1000 + width)
    x = torch.randn(3, 16, height, width).mul(torch.randn(3, 16, 1, 1).exp()).relu().to(dtype)
    x[0, 0] = torch.inf
    x = x.contiguous(memory_format=torch.channels_last)
    kept = x.clone()
    edged = nn.functional.pad(x.double(), (1, 1, 1, 1), value=-torch.inf)
    nine = [edged[..., i : i + height : 2, j : j + width : 2] for i in range(3) for j in range(3)]
    found = max_pool(x)
    assert torch.equal(found, torch.stack(nine).amax(dim=0).to(dtype))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, kept)


def test_pictures_of_one_colour_keep_their_projections_in_bfloat16(bundle: Bundle) -> None:
    worn(bundle.model.image_encoder)
    exact, rounded = Embedder(bundle, "cpu", "fp32"), Embedder(bundle, "cpu", "bf16")
    plain = [np.full_like(exact.empty("image"), grey) for grey in (0, 1, 40, 128, 200, 254, 255)]
    cosines = (exact.embed_images(plain).z * rounded.embed_images(plain).z).sum(axis=1)
    assert cosines.min() > 0.999


@needs_bf16
def test_quiet_sounds_keep_their_features_in_bfloat16(bundle: Bundle) -> None:
    encoder = worn(sound_encoder(32)).train()
    quiet = torch.randn(8, 1, 150, 200) * torch.rand(8, 1, 1, 1) - 9  # log-mels far below their mean, each its own way
    for _ in range(60):
        encoder(quiet)  # whose statistics the batch norms take over
    true = reference(encoder.eval(), quiet)
    with torch.inference_mode():
        rounded = FrozenResNet(encoder, torch.bfloat16)(quiet).double()
        kept = FrozenResNet(encoder, torch.bfloat16, exact_stem=True)(quiet).double()
    lost, lost_rounded = (1 - torch.cosine_similarity(f, true).mean() for f in (kept, rounded))
    assert lost < lost_rounded / 3
    assert lost < 3e-5
    embedder = Embedder(bundle, "cpu", "bf16")
    same = FrozenResNet(embedder.model.sound_encoder, torch.bfloat16, exact_stem=True)
    with torch.inference_mode():
        assert torch.equal(embedder.frozen["sound"](quiet), same(quiet))


def test_what_onednn_cannot_compute_is_said_when_it_is_made() -> None:
    with pytest.raises(RuntimeError):
        FrozenResNet(worn(image_encoder(32)), torch.float64)


def test_an_operation_that_fails_leaves_the_model_to_compute(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: FrozenResNet, x: Tensor) -> Tensor:
        raise RuntimeError("no such kernel on this processor")

    monkeypatch.setattr(FrozenResNet, "forward", fails)
    embedder = Embedder(bundle, "cpu", "bf16")
    assert embedder.frozen == {}
    assert np.isfinite(embedder.embed_packed([embedder.empty("image")], "image").z).all()


def test_neither_the_input_nor_the_encoder_is_changed() -> None:
    encoder = worn(image_encoder(32))
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    frozen = FrozenResNet(encoder, torch.float32)
    x = torch.randn(2, 3, 48, 48)
    kept = x.clone()
    with torch.inference_mode():
        first, second = frozen(x), frozen(x)
    assert torch.equal(x, kept)
    assert torch.equal(first, second)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    assert encoder.conv1.weight.dtype == torch.float32


def test_an_embedder_freezes_on_a_cpu_and_computes_the_same_without(bundle: Bundle) -> None:
    embedder, plain = Embedder(bundle, "cpu", "fp32"), Embedder(bundle, "cpu", "fp32")
    assert set(embedder.frozen) == {"image", "sound"}
    plain.frozen.clear()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 40, 40)).astype(np.uint8)
    sound = rng.integers(-9999, 9999, 50_000).astype(np.int16)
    for file, modality in ((image, "image"), (sound, "sound")):
        ours, theirs = embedder.embed_packed([file], modality), plain.embed_packed([file], modality)  # type: ignore[arg-type]
        np.testing.assert_allclose(ours.h, theirs.h, atol=1e-4)
        np.testing.assert_allclose(ours.z, theirs.z, atol=1e-4)
        assert not np.array_equal(ours.h, theirs.h), "both are the same way of computing"


@pytest.mark.parametrize("frozen", [True, False])
def test_images_of_another_size_are_refused(bundle: Bundle, frozen: bool) -> None:
    embedder = Embedder(bundle, "cpu", "fp32")
    if not frozen:
        embedder.frozen.clear()
    side = bundle.preprocessor.config.image_size
    with pytest.raises(ValueError, match=rf"images must be \[N, 3, {side}, {side}\], not"):
        embedder.embed_images([np.zeros((3, side + 8, side + 8), np.uint8)])


def test_a_torch_without_onednn_computes_as_the_model_does(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with caplog.at_level(logging.WARNING, "bma.model"):
        embedder = Embedder(bundle, "cpu", "fp32")
    assert embedder.frozen == {}
    assert "this build of torch has no oneDNN" in caplog.text
    assert embedder.embed_packed([embedder.empty("image")], "image").z.shape == (1, 16)
