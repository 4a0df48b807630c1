"""Configurations check themselves and survive a trip through a dict."""

from typing import Any

import pytest

from training.model.config import ConfigError, ModelConfig, PreprocessConfig


def test_the_papers_numbers_are_the_defaults() -> None:
    assert ModelConfig().to_dict() == {
        "width": 1.0,
        "slots": 1000,
        "tau_m": 0.1,
        "projection_dim": 128,
        "use_memory": True,
        "normalise_halves": False,
        "separate_heads": False,
    }
    assert PreprocessConfig().to_dict() == {
        "image_size": 224,
        "sample_rate": 22050,
        "window_seconds": 2.0,
        "n_fft": 1024,
        "win_length": 440,
        "hop_length": 220,
        "n_mels": 150,
        "n_frames": 200,
        "log_offset": 1e-6,
    }


@pytest.mark.parametrize(("width", "channels"), [(1.0, 512), (0.25, 128), (1 / 32, 16), (1 / 64, 8), (0.3, 152)])
def test_c_is_512_times_width_in_steps_of_8(width: float, channels: int) -> None:
    assert ModelConfig(width=width).channels == channels


def test_a_window_in_samples() -> None:
    assert PreprocessConfig().window_samples == 44100


@pytest.mark.parametrize("config", [ModelConfig(width=0.25, slots=7), PreprocessConfig(image_size=64, n_mels=80)])
def test_a_dict_gives_the_same_configuration_back(config: ModelConfig | PreprocessConfig) -> None:
    assert type(config).from_dict(config.to_dict()) == config


def test_a_whole_number_passes_for_a_float_and_becomes_one() -> None:
    config = ModelConfig.from_dict({**ModelConfig().to_dict(), "width": 1})
    assert isinstance(config.width, float)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"slots": "many"}, r"x: 'slots' takes a whole number, not 'many'"),
        ({"slots": 2.5}, r"x: 'slots' takes a whole number, not 2.5"),
        ({"slots": True}, r"x: 'slots' takes a whole number, not True"),
        ({"width": "wide"}, r"x: 'width' takes a number, not 'wide'"),
        ({"width": True}, r"x: 'width' takes a number, not True"),
        ({"tau_m": float("nan")}, r"x: 'tau_m' takes a finite number"),
        ({"tau_m": float("inf")}, r"x: 'tau_m' takes a finite number"),
        ({"use_memory": 1}, r"x: 'use_memory' takes true or false, not 1"),
        ({"colour": 1}, r"x: unknown key 'colour'; known keys: width, slots"),
        ({"slots": 0}, r"'slots' takes a whole number above 0, not 0"),
        ({"projection_dim": -1}, r"'projection_dim' takes a whole number above 0"),
        ({"width": 0.001}, r"'width' takes a number of at least 0.015625, not 0.001"),
        ({"width": -1.0}, r"'width' takes a number of at least"),
        ({"tau_m": 0.0}, r"'tau_m' takes a number above 0, not 0.0"),
    ],
)
def test_what_is_wrong_with_a_model_configuration_is_said(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ModelConfig.from_dict({**ModelConfig().to_dict(), **change}, "x")


def test_a_missing_key_is_named() -> None:
    values = ModelConfig().to_dict()
    del values["slots"]
    with pytest.raises(ConfigError, match="the key 'slots' is missing"):
        ModelConfig.from_dict(values)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_size": 7}, "'image_size' takes 8 to 4096 pixels, not 7"),
        ({"image_size": 5000}, "'image_size' takes 8 to 4096 pixels"),
        ({"hop_length": 0}, "'hop_length' takes a whole number above 0"),
        ({"win_length": 1025}, r"'win_length' \(1025\) can't exceed 'n_fft' \(1024\)"),
        ({"n_frames": 202}, "'n_frames' is 202, but a window has only 201 frames"),
        ({"window_seconds": 0.0}, "numbers above 0"),
        ({"log_offset": 0.0}, "numbers above 0"),
    ],
)
def test_what_is_wrong_with_preprocessing_is_said(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        PreprocessConfig.from_dict({**PreprocessConfig().to_dict(), **change})


def test_all_frames_of_a_window_may_be_kept() -> None:
    assert PreprocessConfig(n_frames=201).n_frames == 201
