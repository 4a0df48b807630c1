"""Configuration of a training run: every key with its default, and the presets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from training.model.config import ConfigError, ModelConfig, PreprocessConfig, check_type
from training.model.device import PRECISIONS

UNPAIRED = ("none", "sounds", "images", "both")
VIEWS = ("single", "cyclic")
MEMORY_INITS = ("normal", "matched")
CLIP_MATES = ("positives", "negatives", "masked")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class TrainingConfig(ModelConfig, PreprocessConfig):
    """Everything that decides a run. Defaults are preset `paper`'s; model and preprocessing keys stand beside these."""

    preset: str = "paper"
    steps: int = 5000  # the paper gives no length
    seed: int = 0
    batch_size: int = 256  # N pairs, and N unpaired items of each kind in use
    checkpoint_every: int = 500  # steps
    keep_checkpoints: int = 3  # the newest
    precision: str = "auto"  # of the encoders' convolutions: fp32 (TF32 on a GPU), bf16, or auto by the hardware
    compile: bool = False  # the encoders, by torch.compile: the first steps take a minute or more, the others less
    image_weights: str = ""  # a file of ImageNet weights that E_v starts from: torchvision's ResNet-18; width 1

    learning_rate: float = 2e-4  # Adam
    schedule: str = "constant"  # or cosine, to zero over the run
    warmup: float = 0.0  # share of the run in which the learning rate rises from 0
    tau_l: float = 0.1  # temperature of the losses, Eq. 4 and 5
    decoupled: bool = False  # positives leave the losses' denominator (Yeh et al., 2022)
    clip_mates: str = "positives"  # what items of the same clip are to each other, or negatives, or masked
    memory_init: str = "normal"  # slots drawn from N(0, 1), or matched: later filled with the features of pairs
    memory_start: float = 0.1  # share of the run at whose end memory_init=matched has filled the slots

    paired_share: float = 1.0  # of the data set's pairs that are learned from, drawn by the seed
    unpaired_share: float = 1.0  # of its unpaired sounds and of its unpaired images
    unpaired: str = "none"  # none, sounds, images or both
    unpaired_weight: float = 1.0  # factor on each L_unpair
    unpaired_ramp: float = 0.0  # share of the run in which that factor rises from 0
    unpaired_until: float = 1.0  # share of the run after which pairs are learned from alone
    first_view: str = "cyclic"  # h of L_unpair's one view: cyclic as in Figure 4, or single-hop too
    second_view: str = "single"  # of its other view: single-hop as in Figure 4, or cyclic too
    separate_statistics: bool = False  # batch norm's running statistics are those of pairs alone

    spec_masks: int = 2  # SpecAugment: masks of each kind
    spec_frequency: int = 30  # widest, in mel bands
    spec_time: int = 40  # widest, in frames
    sound_gain: float = 0.0  # dB: augmented sounds are made so much louder or softer at most
    sound_tilt: float = 0.0  # dB: and their lowest band raised, their highest lowered, or the other way round
    crop_scale: float = 0.08  # SimCLR: smallest share of the picture that a crop keeps
    colour_jitter: float = 1.0  # SimCLR: strength of the colour jitter
    separate_windows: bool = False  # the two views of an unpaired sound are two windows, not one augmented twice
    paired_augment: bool = False  # augmentations on pairs too (the paper has none); their crops and colours:
    paired_crop_scale: float = 0.08
    paired_colour_jitter: float = 1.0

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        PreprocessConfig.__post_init__(self)
        least_of = {
            "steps": 1,
            "batch_size": 2,
            "checkpoint_every": 1,
            "keep_checkpoints": 1,
            "seed": 0,
            "spec_masks": 0,
        }
        for key, least in least_of.items():
            if getattr(self, key) < least:
                raise ConfigError(f"'{key}' takes a whole number of at least {least}, not {getattr(self, key)}")
        if self.image_weights and self.channels != 512:
            raise ConfigError(
                f"'image_weights' are of a ResNet-18, which takes width=1, not {self.width}: add --set width=1"
            )
        if self.seed >= 2**63:
            raise ConfigError(f"'seed' takes a whole number below 2^63, not {self.seed}")
        for key in ("learning_rate", "tau_l"):
            if getattr(self, key) <= 0:
                raise ConfigError(f"'{key}' takes a number above 0, not {getattr(self, key)}")
        for key in ("warmup", "unpaired_ramp", "memory_start"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"'{key}' takes a share from 0 to 1, not {getattr(self, key)}")
        for key in ("crop_scale", "paired_crop_scale", "paired_share", "unpaired_share", "unpaired_until"):
            if not 0 < getattr(self, key) <= 1:
                raise ConfigError(f"'{key}' takes a share above 0 and at most 1, not {getattr(self, key)}")
        for key in (
            "unpaired_weight",
            "spec_frequency",
            "spec_time",
            "sound_gain",
            "sound_tilt",
            "colour_jitter",
            "paired_colour_jitter",
        ):
            if getattr(self, key) < 0:
                raise ConfigError(f"'{key}' takes a number of at least 0, not {getattr(self, key)}")
        for key, choices in (
            ("unpaired", UNPAIRED),
            ("first_view", VIEWS),
            ("second_view", VIEWS),
            ("schedule", SCHEDULES),
            ("memory_init", MEMORY_INITS),
            ("clip_mates", CLIP_MATES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, key) not in choices:
                raise ConfigError(f"'{key}' takes one of {', '.join(choices)}, not {getattr(self, key)!r}")

    @property
    def model_config(self) -> ModelConfig:
        """The keys that the model needs."""
        return ModelConfig(**{key: getattr(self, key) for key in ModelConfig.keys()})

    @property
    def preprocess_config(self) -> PreprocessConfig:
        """The keys that preprocessing needs."""
        return PreprocessConfig(**{key: getattr(self, key) for key in PreprocessConfig.keys()})

    @property
    def uses_unpaired_sounds(self) -> bool:
        """Whether L_unpair for sounds is part of the loss."""
        return self.unpaired in ("sounds", "both")

    @property
    def uses_unpaired_images(self) -> bool:
        """Whether L_unpair for images is part of the loss."""
        return self.unpaired in ("images", "both")


PRESETS: dict[str, dict[str, Any]] = {
    # The paper's numbers, nothing of ours added.
    "paper": {},
    # The same model on a smaller scale, with what makes short runs on a CPU learn; docs/results.md has the evidence.
    "small": {
        "image_size": 64,
        "n_mels": 64,
        "n_frames": 100,
        "hop_length": 440,
        "win_length": 880,
        "width": 0.25,
        "slots": 500,
        "batch_size": 64,
        "steps": 2000,
        "checkpoint_every": 200,
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "warmup": 0.05,
        "unpaired_weight": 0.3,
        "separate_statistics": True,
        "separate_windows": True,
        "spec_frequency": 13,
        "spec_time": 20,
        "sound_gain": 10.0,
        "sound_tilt": 6.0,
        "crop_scale": 0.2,
        "colour_jitter": 0.6,
        "paired_augment": True,
        "paired_crop_scale": 0.3,
        "paired_colour_jitter": 0.3,
    },
    # What makes `bma demo` good within its time on two cores.
    "demo": {
        "image_size": 96,
        "width": 0.25,
        "slots": 200,
        "n_mels": 80,
        "n_frames": 100,
        "hop_length": 440,
        "win_length": 880,
        "batch_size": 64,
        "steps": 1200,
        "checkpoint_every": 100,
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "warmup": 0.05,
        "paired_augment": True,
        "paired_crop_scale": 0.5,
        "paired_colour_jitter": 0.4,
        "spec_masks": 1,
    },
}


def make_config(preset: str, overrides: Iterable[str] = ()) -> TrainingConfig:
    """A preset with `key=value` overrides.

    Raises:
        ConfigError: unknown preset or key, or a value of the wrong kind.
    """
    if preset not in PRESETS:
        raise ConfigError(f"there is no preset '{preset}'; presets are {', '.join(PRESETS)}")
    return TrainingConfig(**{**PRESETS[preset], **parse_overrides(overrides), "preset": preset})


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """`["steps=100", "width=0.5"]` as typed values. Raises `ConfigError`."""
    keys = TrainingConfig.keys()
    values: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set takes key=value, not '{text}'")
        if key not in keys or key == "preset":
            others = [other for other in keys if other != "preset"]
            near = get_close_matches(key, others, n=1)
            meant = f"did you mean '{near[0]}'?" if near else f"keys are {', '.join(others)}"
            raise ConfigError(f"there is no key '{key}' to set; {meant}")
        values[key] = _parse(key, value, keys[key])
    return values


def _parse(key: str, text: str, kind: type) -> Any:
    value: Any = text
    try:
        if kind is bool:
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif kind in (int, float):
            value = kind(text)
    except ValueError:
        pass  # check_type says what the key takes
    return check_type(key, value, kind, "--set")
