"""Encoders that start from somebody else's weights: a ResNet under torchvision's names."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from training.model.encoder import ResNet

# What torchvision's ImageNet models take their inputs to be: (x - mean) / std for x in [0, 1]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class WeightsError(ValueError):
    """Weights that can't be used; `str()` is one sentence that names the file and the remedy."""


def load_image_weights(encoder: ResNet, file: Path) -> None:
    """Put a ResNet-18 that was trained on ImageNet, as torchvision names its tensors, into E_v.

    Such weights expect inputs normalised by ImageNet's mean and deviation, and this encoder's are in [0, 1]: so the
    normalisation goes into the first convolution and the batch norm behind it. The classifier (`fc`) is left out.

    Args:
        encoder: E_v with c = 512 (`width` 1).
        file: safetensors; or the `.pth` that torchvision offers, read as tensors alone.

    Raises:
        WeightsError: the file can't be read, or is of another network.
    """
    tensors = {key: tensor for key, tensor in _read(file).items() if not key.startswith("fc.")}
    own = encoder.state_dict()
    for key, tensor in own.items():
        if key not in tensors and not key.endswith("num_batches_tracked"):
            raise WeightsError(f"{file} lacks '{key}'; it takes a ResNet-18 with torchvision's names")
        if key in tensors and tensors[key].shape != tensor.shape:
            raise WeightsError(
                f"{file}: '{key}' has shape {list(tensors[key].shape)}, the encoder's is {list(tensor.shape)}; "
                "it takes a ResNet-18, and width=1"
            )
    unknown = next((key for key in tensors if key not in own), None)
    if unknown:
        raise WeightsError(f"{file} holds '{unknown}', which a ResNet-18 has not; it takes a ResNet-18")
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise WeightsError(f"{file} holds weights that are not finite numbers; get the file again")
    tensors["conv1.weight"], shift = fold_normalisation(tensors["conv1.weight"].float())
    tensors["bn1.running_mean"] = tensors["bn1.running_mean"] + shift
    encoder.load_state_dict({**own, **tensors})


def fold_normalisation(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A first convolution for inputs in [0, 1] that does what `weight` does for normalised ones.

    Args:
        weight: float `[c, 3, k, k]`.

    Returns:
        the new weight, and what its outputs are larger by than the old one's, `[c]` (away from the picture's edges,
        where zeros around it mean black instead of the mean colour).
    """
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    folded = weight / std
    return folded, (folded * mean).sum(dim=(1, 2, 3))


def _read(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        with warnings.catch_warnings(action="ignore"):  # it warns of what it then refuses
            tensors = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{file} does not exist; check the path") from None
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise WeightsError(f"{file} can't be read ({reason}); it takes safetensors, or torchvision's .pth") from None
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise WeightsError(f"{file} is not a table of tensors; it takes what torchvision calls a state_dict")
    return tensors
