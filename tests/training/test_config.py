"""A run's configuration: the paper's literal numbers, presets, overrides, and one clear sentence for what is wrong."""

from typing import Any

import pytest

from training.config import PRESETS, TrainingConfig, make_config, parse_overrides
from training.model.config import ConfigError, ModelConfig, PreprocessConfig

# Section 4.2 and what DESIGN.md's summary of it says; nothing in preset `paper` may drift from here.
PAPER: dict[str, Any] = {
    "image_size": 224,
    "sample_rate": 22050,
    "window_seconds": 2.0,
    "n_fft": 1024,
    "win_length": 440,
    "hop_length": 220,
    "n_mels": 150,
    "n_frames": 200,
    "log_offset": 1e-6,
    "width": 1.0,
    "slots": 1000,
    "tau_m": 0.1,
    "projection_dim": 128,
    "use_memory": True,
    "normalise_halves": False,
    "batch_size": 256,
    "learning_rate": 2e-4,
    "schedule": "constant",
    "warmup": 0.0,
    "tau_l": 0.1,
    "unpaired_weight": 1.0,
    "unpaired_ramp": 0.0,
    "first_view": "cyclic",
    "second_view": "single",
    "crop_scale": 0.08,
    "colour_jitter": 1.0,
    "paired_augment": False,
    # what we add to the paper is off
    "separate_heads": False,
    "memory_init": "normal",
    "clip_mates": "positives",
    "decoupled": False,
    "separate_statistics": False,
    "separate_windows": False,
    "unpaired_until": 1.0,
    "unpaired_share": 1.0,
    "paired_share": 1.0,
    "sound_gain": 0.0,
    "sound_tilt": 0.0,
}
COMMON = [
    "steps",
    "seed",
    "batch_size",
    "checkpoint_every",
    "image_size",
    "width",
    "slots",
    "tau_m",
    "tau_l",
    "unpaired",
]  # every preset takes these


def test_preset_paper_has_the_papers_numbers() -> None:
    config = make_config("paper").to_dict()
    assert {key: config[key] for key in PAPER} == PAPER
    assert make_config("paper").channels == 512


def test_preset_small_is_the_paper_on_a_smaller_scale() -> None:
    small, paper = make_config("small").to_dict(), make_config("paper").to_dict()
    assert (small["image_size"], small["width"], small["slots"]) == (64, 0.25, 500)
    changed = {key for key in paper if small[key] != paper[key]}
    model_and_loss = {*ModelConfig.keys(), *PreprocessConfig.keys(), "tau_l", "unpaired", "first_view", "second_view"}
    sizes = {"image_size", "n_mels", "n_frames", "hop_length", "win_length", "width", "slots"}
    assert changed & model_and_loss == sizes


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_knows_its_name_and_takes_the_common_keys(preset: str) -> None:
    config = make_config(preset)
    assert config.preset == preset
    assert set(COMMON) <= set(config.to_dict())
    assert make_config(preset, ["steps=3"]).steps == 3


def test_a_dict_gives_the_same_configuration_back() -> None:
    config = make_config("small", ["unpaired=both", "tau_l=0.07"])
    assert TrainingConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("steps=12", "steps", 12),
        ("width=0.5", "width", 0.5),
        ("width=1", "width", 1.0),
        ("learning_rate=1e-3", "learning_rate", 0.001),
        ("unpaired=both", "unpaired", "both"),
        ("paired_augment=true", "paired_augment", True),
        ("use_memory=False", "use_memory", False),
    ],
)
def test_an_override_is_read_by_the_keys_type(override: str, key: str, value: object) -> None:
    result = getattr(make_config("small", [override]), key)
    assert result == value
    assert type(result) is type(value)


def test_the_last_of_two_overrides_counts() -> None:
    assert parse_overrides(["steps=1", "steps=2"]) == {"steps": 2}


def test_every_key_but_the_preset_can_be_set() -> None:
    config = make_config("small")
    for key, value in config.to_dict().items():
        if key != "preset":
            assert getattr(make_config("small", [f"{key}={value}"]), key) == value


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("stepps=3", "there is no key 'stepps' to set; did you mean 'steps'"),
        ("xyzzy=3", "there is no key 'xyzzy' to set; keys are .*steps"),
        ("preset=paper", "there is no key 'preset' to set"),
        ("steps", "--set takes key=value, not 'steps'"),
        ("", "--set takes key=value, not ''"),
        ("=3", "there is no key '' to set"),
        ("steps=many", "--set: 'steps' takes a whole number, not 'many'"),
        ("steps=1.5", "--set: 'steps' takes a whole number, not '1.5'"),
        ("steps=", "--set: 'steps' takes a whole number, not ''"),
        ("width=wide", "--set: 'width' takes a number, not 'wide'"),
        ("tau_m=nan", "--set: 'tau_m' takes a finite number"),
        ("tau_l=inf", "--set: 'tau_l' takes a finite number"),
        ("paired_augment=yes", "--set: 'paired_augment' takes true or false, not 'yes'"),
        ("paired_augment=1", "--set: 'paired_augment' takes true or false, not '1'"),
        ("steps=0", "'steps' takes a whole number of at least 1, not 0"),
        ("batch_size=1", "'batch_size' takes a whole number of at least 2, not 1"),
        ("checkpoint_every=0", "'checkpoint_every' takes a whole number of at least 1"),
        ("seed=-1", "'seed' takes a whole number of at least 0, not -1"),
        ("spec_masks=-1", "'spec_masks' takes a whole number of at least 0"),
        ("learning_rate=0", "'learning_rate' takes a number above 0, not 0.0"),
        ("tau_l=-0.1", "'tau_l' takes a number above 0, not -0.1"),
        ("tau_m=0", "'tau_m' takes a number above 0"),
        ("warmup=1.5", "'warmup' takes a share from 0 to 1, not 1.5"),
        ("unpaired_ramp=-0.1", "'unpaired_ramp' takes a share from 0 to 1"),
        ("crop_scale=0", "'crop_scale' takes a share above 0 and at most 1, not 0.0"),
        ("unpaired_weight=-1", "'unpaired_weight' takes a number of at least 0"),
        ("spec_time=-1", "'spec_time' takes a number of at least 0"),
        ("unpaired=all", "'unpaired' takes one of none, sounds, images, both, not 'all'"),
        ("second_view=double", "'second_view' takes one of single, cyclic, not 'double'"),
        ("schedule=step", "'schedule' takes one of constant, cosine, not 'step'"),
        ("precision=fp16", "'precision' takes one of auto, fp32, bf16, not 'fp16'"),
        ("image_size=4", "'image_size' takes 8 to 4096 pixels, not 4"),
        ("width=0", "'width' takes a number of at least"),
        ("slots=0", "'slots' takes a whole number above 0"),
    ],
)
def test_what_is_wrong_with_an_override_is_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as refused:
        make_config("small", [override])
    assert "\n" not in str(refused.value)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="there is no preset 'large'; presets are paper, small, demo"):
        make_config("large")


@pytest.mark.parametrize(
    ("unpaired", "sounds", "images"),
    [("none", False, False), ("sounds", True, False), ("images", False, True), ("both", True, True)],
)
def test_which_unpaired_losses_are_in_use(unpaired: str, sounds: bool, images: bool) -> None:
    config = make_config("small", [f"unpaired={unpaired}"])
    assert config.uses_unpaired_sounds == sounds
    assert config.uses_unpaired_images == images


def test_the_parts_carry_their_keys() -> None:
    config = make_config("small", ["slots=7", "n_mels=20"])
    assert config.model_config.slots == 7
    assert config.preprocess_config.n_mels == 20
