"""Media in, h and z out: a bundle ready to compute."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from training.model.bundle import Bundle, load_bundle
from training.model.device import autocast, place, resolve_device, resolve_precision
from training.model.explanation import Explanation, explain
from training.model.frozen import FrozenResNet
from training.model.media.image import MAX_PIXELS, read_image
from training.model.media.sound import MAX_SECONDS, Allowance, read_sound
from training.model.media.source import Source
from training.model.memory import Modality
from training.model.preprocess import windows as cut_windows

log = logging.getLogger("bma.model")


@dataclass(frozen=True)
class Embedding:
    """What a model makes of N items of one modality.

    Attributes:
        h: representations, float32 `[N, 2c]`, [visual ; sound].
        z: projections with unit norm, float32 `[N, projection_dim]`.
    """

    h: npt.NDArray[np.float32]
    z: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """A part of a sound that the model hears at once.

    Attributes:
        start: seconds from the sound's beginning.
        end: likewise; less than a window after `start` where the sound ends before.
        wave: int16 `[l]`, a window's samples or fewer, to be embedded as a sound of its own.
    """

    start: float
    end: float
    wave: npt.NDArray[np.int16]


class Embedder:
    """A bundle on a device.

    The same bytes give the same embedding up to rounding: whatever the batch, the device or the precision, the cosine
    to the float32 CPU answer stays above 0.999.

    Attributes:
        frozen: on a CPU, of each modality the encoder that computes in the place of the model's own; what is taken out
            of it, the model computes itself.

    Args:
        bundle: a loaded bundle, or its folder.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32 or bf16 (the encoders' convolutions; the memory and the heads always run in float32).
        batch_size: images, or windows of sound, that go through the model at once.

    Raises:
        BundleError: the folder holds no usable bundle.
        ValueError: the device or the precision is not available.
    """

    def __init__(
        self, bundle: Bundle | str | Path, device: str = "auto", precision: str = "auto", batch_size: int = 32
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        self.device = resolve_device(device)
        self.dtype = resolve_precision(precision, self.device)
        self.batch_size = batch_size
        model = copy.deepcopy(self.bundle.model).eval().requires_grad_(False)
        self.model = place(model, self.device)
        self.model.memory.freeze()
        self.preprocessor = copy.deepcopy(self.bundle.preprocessor).to(self.device)
        self.heads = {modality: head.to(self.device) for modality, head in self.bundle.heads.items()}
        self.frozen: dict[Modality, FrozenResNet] = {}
        if self.device.type == "cpu":
            self._freeze()

    def read_image(
        self, source: Source, *, name: str | None = None, max_pixels: int = MAX_PIXELS
    ) -> npt.NDArray[np.uint8]:
        """Decode an image file to the packed form, uint8 `[3, S, S]`. Raises `MediaError`."""
        return read_image(source, self.preprocessor.config.image_size, name=name, max_pixels=max_pixels)

    def read_sound(
        self,
        source: Source,
        *,
        name: str | None = None,
        max_seconds: float = MAX_SECONDS,
        allowance: Allowance | None = None,
    ) -> npt.NDArray[np.int16]:
        """Decode a sound file to the packed form, int16 `[L]`. Raises `MediaError`, and `AllowanceSpent`."""
        return read_sound(
            source, self.preprocessor.config.sample_rate, name=name, max_seconds=max_seconds, allowance=allowance
        )

    def embed(self, sources: Sequence[Source], modality: Modality) -> Embedding:
        """Decode and embed files of one modality. Raises `MediaError` at the first that can't be used."""
        read = self.read_image if modality == "image" else self.read_sound
        return self.embed_packed([read(source) for source in sources], modality)

    def embed_packed(self, packed: Sequence[npt.NDArray[Any]], modality: Modality) -> Embedding:
        """Embed files in the packed form of their modality."""
        return self.embed_images(packed) if modality == "image" else self.embed_sounds(packed)

    def empty(self, modality: Modality) -> npt.NDArray[Any]:
        """A black image, or a window of silence, in the packed form."""
        config = self.preprocessor.config
        if modality == "image":
            return np.zeros((3, config.image_size, config.image_size), np.uint8)
        return np.zeros(config.window_samples, np.int16)

    def embed_images(self, images: Sequence[npt.NDArray[np.uint8]]) -> Embedding:
        """Embed N images in the packed form, uint8 `[3, S, S]` each."""
        if not len(images):
            return self._embedding(torch.empty(0, 2 * self.bundle.model.config.channels), "image")
        h = []
        for start in range(0, len(images), self.batch_size):
            pixels = torch.from_numpy(np.stack(images[start : start + self.batch_size])).to(self.device)
            h.append(self._represent(pixels, "image"))
        return self._embedding(torch.cat(h), "image")

    def embed_sounds(self, waves: Sequence[npt.NDArray[np.int16]]) -> Embedding:
        """Embed N sounds in the packed form, int16 `[L]` each of its own length; h is the mean over a sound's
        windows."""
        if not len(waves):
            return self._embedding(torch.empty(0, 2 * self.bundle.model.config.channels), "sound")
        counts = [0] * len(waves)

        def cut() -> Iterator[Tensor]:
            for number, wave in enumerate(waves):
                for window in _windows(wave, self.preprocessor.config.window_samples, self.batch_size):
                    counts[number] += 1
                    yield window

        h, windows = [], cut()  # as they are needed: a long sound is never held twice
        while batch := list(islice(windows, self.batch_size)):
            h.append(self._represent(torch.stack(batch).to(self.device), "sound"))
        per_sound = torch.cat(h).split(counts)
        return self._embedding(torch.stack([piece.mean(dim=0) for piece in per_sound]), "sound")

    def cut(self, wave: npt.NDArray[np.int16]) -> list[Window]:
        """The windows of a sound in the packed form, int16 `[L]`, one after the other; a tail of less than half a
        window is in none (see `windows` in preprocess.py)."""
        config = self.preprocessor.config
        samples, rate = config.window_samples, config.sample_rate
        starts = [start for start in range(0, len(wave), samples) if not start or 2 * (len(wave) - start) >= samples]
        ends = [min(start + samples, len(wave)) for start in starts]
        return [Window(a / rate, b / rate, wave[a:b]) for a, b in zip(starts, ends, strict=True)]

    def pool(self, h: npt.NDArray[np.float32], counts: Sequence[int]) -> Embedding:
        """Whole sounds of their windows' representations: what `embed_sounds` gives for them, up to rounding.

        Args:
            h: float32 `[W, 2c]`, of the windows of all sounds.
            counts: how many of them belong to each sound, in order, at least 1.
        """
        per_sound = torch.tensor(h).split(list(counts))
        return self._embedding(torch.stack([piece.mean(dim=0) for piece in per_sound]), "sound")

    def explain(
        self, h: npt.NDArray[np.float32], counts: Sequence[int], modality: Modality, top: int = 5
    ) -> Explanation:
        """Which slots answered: `explain` of explanation.py, for h `[W, 2c]` of images or of windows of sounds.

        Raises:
            ValueError: the model was made without a memory.
        """
        return explain(self.model, torch.tensor(h, device=self.device), counts, modality, top)

    def classify(self, h: npt.NDArray[np.float32], modality: Modality) -> npt.NDArray[np.float32]:
        """Class probabilities of representations `[N, 2c]`: float32 `[N, classes]`, in the order of `labels`.

        Raises:
            LookupError: the bundle has no class head for this modality.
        """
        if modality not in self.heads:
            raise LookupError(f"this model has no class head for {modality}s; train it on rows with labels")
        with torch.inference_mode():
            return self.heads[modality].probabilities(torch.tensor(h, device=self.device)).cpu().numpy()

    def labels(self, modality: Modality) -> tuple[str, ...]:
        """The classes that `classify` tells apart, none where there is no head."""
        return self.heads[modality].labels if modality in self.heads else ()

    def _represent(self, packed: Tensor, modality: Modality) -> Tensor:
        """h of pixels, uint8 `[N, 3, S, S]`, or of windows of sound, int16 `[N, window_samples]`."""
        frozen, preprocessor = self.frozen.get(modality), self.preprocessor
        with torch.inference_mode():
            if frozen is not None:
                f = frozen(preprocessor.pixels(packed) if modality == "image" else preprocessor.sound(packed))
            else:
                x = preprocessor.image(packed) if modality == "image" else preprocessor.sound(packed)
                with autocast(self.device, self.dtype):
                    f = self.model.encode(x.contiguous(memory_format=torch.channels_last), modality)
            return self.model.represent(f, modality)

    def _freeze(self) -> None:
        try:
            self.frozen["image"] = FrozenResNet(self.model.image_encoder, self.dtype, scale=1 / 255)
            # quiet bands of a log-mel are large numbers that the first bias takes back: bfloat16 would round the rest
            self.frozen["sound"] = FrozenResNet(self.model.sound_encoder, self.dtype, exact_stem=True)
        except (RuntimeError, AttributeError) as error:  # no oneDNN here, or one without these operations
            self.frozen.clear()
            log.warning("the encoders compute without oneDNN's own order of weights, more slowly: %s", error)

    def _embedding(self, h: Tensor, modality: Modality) -> Embedding:
        with torch.inference_mode():
            z = F.normalize(self.model.project(h.to(self.device), modality), dim=1)
            return Embedding(h.cpu().numpy(), z.cpu().numpy())


def _windows(wave: npt.NDArray[np.int16], samples: int, many: int) -> Iterator[Tensor]:
    """The windows of a wave, of which only so many (and one) are in memory at a time."""
    whole = max(1, len(wave) // samples)
    for first in range(0, whole, many):
        last = first + many
        # what is left over goes with the last whole window, so that one rule decides on it
        yield from cut_windows(torch.tensor(wave[first * samples : last * samples if last < whole else None]), samples)
