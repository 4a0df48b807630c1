"""Batched augmentations against torchvision's, image by image."""

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomResizedCrop

from training.augment import colour
from training.augment.simclr import SimCLRAugment, crop, draw_boxes, gaussian_blur


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(12, 3, 9, 9), size=40, mode="bicubic").clamp(0, 1)
    return smooth


def test_crop_is_torchvisions_resized_crop(images: Tensor) -> None:
    top, left, height, width = draw_boxes(len(images), 40, 0.08)
    mirror = torch.arange(len(images)) % 2 == 0
    result = crop(images, top, left, height, width, mirror)
    for i, image in enumerate(images):
        box = [int(side[i]) for side in (top, left, height, width)]
        expected = reference.resized_crop(image, *box, [40, 40], InterpolationMode.BILINEAR, antialias=True)
        if mirror[i]:
            expected = reference.horizontal_flip(expected)
        torch.testing.assert_close(result[i], expected.clamp(0, 1), atol=2e-5, rtol=0)


def test_boxes_fit_and_cover_the_asked_areas() -> None:
    torch.manual_seed(0)
    top, left, height, width = draw_boxes(5000, 64, 0.08)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 64).all()
    assert (left + width <= 64).all()
    area = height * width / 64**2
    assert 0.07 < area.min() < 0.09
    assert area.max() == 1
    whole = torch.zeros(3, 64, 64)
    drawn = [RandomResizedCrop.get_params(whole, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(5000)]
    expected = sum(box[2] * box[3] for box in drawn) / len(drawn) / 64**2
    assert abs(area.mean() - expected) < 0.02
    ratio = width / height
    assert ratio.min() > 0.7
    assert ratio.max() < 1.42


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_colours_are_torchvisions(images: Tensor, name: str) -> None:
    factors = torch.linspace(-0.5, 0.5, len(images)) if name == "hue" else torch.linspace(0, 1.8, len(images))
    ours = {
        "brightness": colour.brightness,
        "contrast": colour.contrast,
        "saturation": colour.saturation,
        "hue": colour.shift_hue,
    }[name]
    result = ours(images, factors)
    adjust = getattr(reference, f"adjust_{name}")
    for image, factor, mine in zip(images, factors, result, strict=True):
        torch.testing.assert_close(mine, adjust(image, float(factor)), atol=2e-5, rtol=0)


def test_greyscale_is_torchvisions(images: Tensor) -> None:
    chosen = torch.arange(len(images)) < 5
    result = colour.greyscale(images, chosen)
    torch.testing.assert_close(result[:5], reference.rgb_to_grayscale(images[:5], num_output_channels=3))
    assert torch.equal(result[5:], images[5:])


def test_blur_is_torchvisions(images: Tensor) -> None:
    sigma = torch.linspace(0.1, 2, len(images))
    chosen = torch.arange(len(images)) % 3 != 0
    result = gaussian_blur(images, sigma, chosen)
    for i, image in enumerate(images):
        expected = reference.gaussian_blur(image, [5, 5], [float(sigma[i])] * 2) if chosen[i] else image
        torch.testing.assert_close(result[i], expected, atol=2e-5, rtol=0)


def test_every_image_has_its_own_draws() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32)
    batch = SimCLRAugment()(image.expand(32, -1, -1, -1))
    assert batch.min() >= 0
    assert batch.max() <= 1
    for a in range(32):
        for b in range(a):
            assert not torch.equal(batch[a], batch[b])


@pytest.fixture
def copies() -> Tensor:
    """One colourful picture 400 times, without symmetry."""
    torch.manual_seed(4)
    return torch.rand(1, 3, 16, 16).expand(400, -1, -1, -1)


def share_like(results: Tensor, image: Tensor) -> float:
    """How many of the results are this picture."""
    return float(torch.isclose(results, image, atol=1e-4).all(dim=(1, 2, 3)).float().mean())


def distinct(results: Tensor) -> int:
    return len({tuple(result.flatten().tolist()) for result in results})


def test_each_image_is_mirrored_by_its_own_draw(copies: Tensor) -> None:
    results = SimCLRAugment(min_scale=1.0, jitter=0.0, blur=False)(copies)  # the whole picture, or hardly less
    assert 0.4 < share_like(results, copies[0]) < 0.6
    assert 0.4 < share_like(results, copies[0].flip(2)) < 0.6


def test_each_image_is_cropped_by_its_own_draw(copies: Tensor) -> None:
    results = SimCLRAugment(min_scale=0.08, jitter=0.0, blur=False)(copies)
    assert distinct(results) > 300  # boxes are whole pixels: a few agree


def test_each_image_is_blurred_by_its_own_draw(copies: Tensor) -> None:
    upright = torch.cat((copies, copies.flip(3)), dim=3)  # a mirror changes nothing
    upright = torch.cat((upright, upright), dim=2)
    results = SimCLRAugment(min_scale=1.0, jitter=0.0, blur=True)(upright)
    sharp = torch.isclose(results, upright[0], atol=1e-4).all(dim=(1, 2, 3))
    assert 0.4 < float(sharp.float().mean()) < 0.6
    assert distinct(results[~sharp]) > 0.95 * int((~sharp).sum())


def test_each_image_is_coloured_and_greyed_by_its_own_draw(copies: Tensor) -> None:
    results = SimCLRAugment(min_scale=1.0, jitter=1.0, blur=False)(copies)
    grey = (results - results.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert 0.14 < float(grey.float().mean()) < 0.28
    untouched = share_like(results, copies[0]) + share_like(results, copies[0].flip(2))
    assert 0.1 < untouched < 0.22  # a fifth keeps its colours, of which a fifth turns grey
    assert distinct(results) > 0.8 * 400


def test_the_same_seed_draws_the_same() -> None:
    images = torch.rand(8, 3, 32, 32)
    torch.manual_seed(3)
    first = SimCLRAugment()(images)
    torch.manual_seed(3)
    assert torch.equal(SimCLRAugment()(images), first)


def test_jitter_draws_orders_of_its_own() -> None:
    """With one order for the whole batch, two images with equal factors would always come out equal."""
    torch.manual_seed(0)
    images = torch.rand(1, 3, 8, 8).expand(64, -1, -1, -1)
    result = colour.jitter(images, 1.0, torch.ones(64, dtype=torch.bool))
    assert len({tuple(image.flatten().tolist()) for image in result}) == 64
