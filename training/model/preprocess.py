"""From the packed form (uint8 image, int16 wave) to the tensors that the encoders take: one way in for all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
import torchaudio
from torch import Tensor, nn

from training.model.config import PreprocessConfig


class Preprocessor(nn.Module):
    """Images to [0, 1], windows of sound to normalised log-mels.

    Args:
        config: sizes of both.
        mean: mean of the training pairs' log-mels, one scalar.
        std: their standard deviation, one scalar.
    """

    bank: Tensor

    def __init__(self, config: PreprocessConfig, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        if not std > 0:
            raise ValueError(f"std must be above 0, not {std}")
        self.config = config
        self.mean = mean
        self.std = std
        with warnings.catch_warnings():
            # 150 mel bands on a 1024-point transform leave some of the lowest without a bin: the paper's own numbers
            warnings.filterwarnings("ignore", message="At least one mel filterbank", category=UserWarning)
            bank = torchaudio.functional.melscale_fbanks(
                config.n_fft // 2 + 1, 0.0, config.sample_rate / 2, config.n_mels, config.sample_rate, mel_scale="htk"
            )
        self.spectrum = torchaudio.transforms.Spectrogram(
            config.n_fft, config.win_length, config.hop_length, power=None, center=True
        )
        self.register_buffer("bank", bank.T.contiguous(), persistent=False)
        self._groups = list(_groups(self.bank))

    def image(self, pixels: Tensor) -> Tensor:
        """uint8 `[N, 3, S, S]` to float32 of the same shape in [0, 1]."""
        return self.pixels(pixels).float() / 255

    def pixels(self, pixels: Tensor) -> Tensor:
        """uint8 `[N, 3, S, S]` as they are, for an encoder that scales them. Raises ValueError at another shape."""
        size = self.config.image_size
        if pixels.ndim != 4 or pixels.shape[1:] != (3, size, size):
            raise ValueError(f"images must be [N, 3, {size}, {size}], not {list(pixels.shape)}")
        return pixels

    def sound(self, windows: Tensor) -> Tensor:
        """int16 windows `[N, window_samples]` to float32 log-mels `[N, 1, n_mels, n_frames]`."""
        if windows.ndim != 2 or windows.shape[1] != self.config.window_samples:
            raise ValueError(f"windows must be [N, {self.config.window_samples}], not {list(windows.shape)}")
        with torch.autocast(windows.device.type, enabled=False):  # a spectrum in bfloat16 loses its quiet bands
            # A CPU's caches and allocator like small spectra: a batch in pieces takes half the time of a batch at once
            pieces = windows.split(16) if windows.device.type == "cpu" else (windows,)
            mel = torch.cat([self._mel(piece.float() / 32768) for piece in pieces])
            log_mel = torch.log(mel + self.config.log_offset)
            return ((log_mel - self.mean) / self.std).unsqueeze(1)

    def _mel(self, waves: Tensor) -> Tensor:
        spectrum = self.spectrum(waves)[..., : self.config.n_frames]
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)  # not abs().square(): a root for nothing
        return torch.cat([self.bank[bands, bins] @ power[:, bins] for bands, bins in self._groups], dim=1)


def _groups(bank: Tensor) -> Iterator[tuple[slice, slice]]:
    """The bands in four groups, each with the frequency bins that it hears: most of a bank is zeros."""
    for bands in torch.arange(len(bank)).tensor_split(4):
        rows = slice(int(bands[0]), int(bands[-1]) + 1) if len(bands) else slice(0)
        heard = bank[rows].any(dim=0).nonzero().flatten()
        yield rows, slice(int(heard[0]), int(heard[-1]) + 1) if len(heard) else slice(0)


def fill(wave: Tensor, samples: int) -> Tensor:
    """A wave shorter than a window, repeated until it fills one: `[L]` to `[samples]`, 0 < L <= samples."""
    repeats = -(-samples // wave.shape[0])
    return wave.repeat(repeats)[:samples]


def windows(wave: Tensor, samples: int) -> Tensor:
    """Cut a wave in consecutive windows: `[L]` to `[W, samples]`, any dtype.

    The rule for what is shorter than a window: the whole of a short sound is repeated until it fills one; the
    tail of a longer sound likewise when it is at least half a window long, else it is dropped (so that
    the few milliseconds that a codec appends never weigh as much as two seconds of sound).
    """
    length = wave.shape[0]
    if length == 0:
        raise ValueError("a sound needs at least one sample")
    whole = length // samples
    tail = length - whole * samples
    pieces = list(wave[: whole * samples].reshape(whole, samples))
    if whole == 0 or 2 * tail >= samples:
        pieces.append(fill(wave[whole * samples :], samples))
    return torch.stack(pieces)
