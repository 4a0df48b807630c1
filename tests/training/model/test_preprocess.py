"""Preprocessing against the paper's formulas, written out in float64; and the rule for windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from training.model.config import PreprocessConfig
from training.model.preprocess import Preprocessor, fill, windows

RATE, SAMPLES = 22_050, 44_100


def reference_log_mel(wave: npt.NDArray[np.int16], mean: float, std: float) -> npt.NDArray[np.float64]:
    """`[150, 200]` from int16 `[44100]`: nothing here comes from torch."""
    signal = np.pad(wave.astype(np.float64) / 32768, 512, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(440) / 440)
    window = np.zeros(1024)
    window[292:732] = hann
    frames = np.stack([signal[220 * i : 220 * i + 1024] * window for i in range(201)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2

    mels = np.linspace(0, 2595 * np.log10(1 + 11_025 / 700), 152)
    edges = 700 * (10 ** (mels / 2595) - 1)
    hertz = np.arange(513) * RATE / 1024
    bands = np.empty((150, 513))
    for band in range(150):
        low, centre, high = edges[band : band + 3]
        bands[band] = np.clip(np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)), 0, None)
    return (np.log(bands @ power.T + 1e-6)[:, :200] - mean) / std


def sounds() -> npt.NDArray[np.int16]:
    time = np.arange(SAMPLES) / RATE
    rng = np.random.default_rng(0)
    return np.stack(
        [
            rng.integers(-32_768, 32_768, SAMPLES),
            rng.normal(0, 40, SAMPLES),
            20_000 * np.sin(2 * np.pi * 440 * time),
            12_000 * np.sin(2 * np.pi * (200 + 2000 * time) * time) + rng.normal(0, 5, SAMPLES),
            np.zeros(SAMPLES),
            np.where(np.arange(SAMPLES) == SAMPLES // 2, 32_767, 0),
        ]
    ).astype(np.int16)


def test_log_mels_are_the_papers() -> None:
    waves = sounds()
    x = Preprocessor(PreprocessConfig(), mean=-3.5, std=2.25).sound(torch.from_numpy(waves))
    assert x.shape == (len(waves), 1, 150, 200)
    assert x.dtype == torch.float32
    for wave, mine in zip(waves, x[:, 0].numpy(), strict=True):
        expected = reference_log_mel(wave, -3.5, 2.25)
        assert expected.shape == mine.shape
        np.testing.assert_allclose(mine, expected, atol=2e-3)


@pytest.mark.parametrize("bands", [1, 2, 3, 5, 40, 150, 151])
def test_bands_are_those_of_the_whole_bank(bands: int) -> None:
    preprocessor = Preprocessor(PreprocessConfig(n_mels=bands))
    waves = torch.from_numpy(sounds())
    spectrum = preprocessor.spectrum(waves.float() / 32768)[..., :200]
    mel = preprocessor.bank.double() @ spectrum.to(torch.complex128).abs().square()
    expected = torch.log(mel + PreprocessConfig().log_offset).unsqueeze(1)
    torch.testing.assert_close(preprocessor.sound(waves).double(), expected, atol=1e-3, rtol=1e-4)


def test_silence_is_the_logarithm_of_the_offset() -> None:
    x = Preprocessor(PreprocessConfig()).sound(torch.zeros(1, SAMPLES, dtype=torch.int16))
    torch.testing.assert_close(x, torch.full_like(x, float(np.log(1e-6))))


def test_a_window_sounds_the_same_in_any_batch() -> None:
    waves = torch.from_numpy(np.tile(sounds(), (6, 1)))
    preprocessor = Preprocessor(PreprocessConfig(), mean=-5, std=4)
    together = preprocessor.sound(waves)
    assert together.shape == (36, 1, 150, 200)
    for number in (0, 15, 16, 17, 35):
        torch.testing.assert_close(together[number], preprocessor.sound(waves[number : number + 1])[0])


def test_autocast_does_not_coarsen_the_spectrum() -> None:
    waves = torch.from_numpy(sounds())
    preprocessor = Preprocessor(PreprocessConfig())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = preprocessor.sound(waves)
    assert torch.equal(x, preprocessor.sound(waves))


def test_images_are_scaled_to_the_unit_interval_and_nothing_else() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3)[: 3 * 64].reshape(1, 3, 8, 8)
    x = Preprocessor(PreprocessConfig(image_size=8)).image(pixels)
    assert x.dtype == torch.float32
    assert x.shape == pixels.shape
    assert torch.equal(x, pixels.double().div(255).float())
    assert Preprocessor(PreprocessConfig(image_size=8)).image(torch.full_like(pixels, 255)).unique().tolist() == [1.0]


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 3, 8, 9), (1, 8, 8, 3)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images must be \[N, 3, 8, 8\], not"):
        Preprocessor(PreprocessConfig(image_size=8)).image(torch.zeros(shape, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(SAMPLES,), (1, SAMPLES - 1), (1, SAMPLES + 1), (1, 1, SAMPLES)])
def test_windows_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"windows must be \[N, 44100\], not"):
        Preprocessor(PreprocessConfig()).sound(torch.zeros(shape, dtype=torch.int16))


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_a_deviation_that_cannot_divide_is_refused(std: float) -> None:
    with pytest.raises(ValueError, match="std must be above 0"):
        Preprocessor(PreprocessConfig(), std=std)


def test_a_long_sound_is_cut_into_consecutive_windows() -> None:
    wave = torch.arange(300, dtype=torch.int16)
    cut = windows(wave, 100)
    assert cut.dtype == torch.int16
    assert torch.equal(cut, wave.reshape(3, 100))


def test_a_short_sound_is_repeated_until_it_fills_a_window() -> None:
    assert windows(torch.tensor([1, 2, 3]), 8).tolist() == [[1, 2, 3, 1, 2, 3, 1, 2]]
    assert windows(torch.tensor([7]), 4).tolist() == [[7, 7, 7, 7]]
    assert windows(torch.arange(7), 8).tolist() == [[0, 1, 2, 3, 4, 5, 6, 0]]


def test_a_tail_counts_from_half_a_window_on() -> None:
    wave = torch.arange(20)
    assert windows(wave[:14], 10).tolist() == [list(range(10))]
    assert windows(wave[:15], 10).tolist() == [list(range(10)), [10, 11, 12, 13, 14] * 2]
    assert windows(wave[:18], 10).tolist() == [list(range(10)), [10, 11, 12, 13, 14, 15, 16, 17, 10, 11]]
    assert windows(wave[:10], 10).tolist() == [list(range(10))]


def test_a_window_can_have_an_odd_length() -> None:
    assert len(windows(torch.arange(7 + 3), 7)) == 1
    assert len(windows(torch.arange(7 + 4), 7)) == 2


def test_nothing_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        windows(torch.empty(0), 10)


def test_filling_a_full_window_changes_nothing() -> None:
    assert torch.equal(fill(torch.arange(5), 5), torch.arange(5))
