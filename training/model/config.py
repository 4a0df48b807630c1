"""Configuration of a model: what a bundle must say to be run again."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self, get_type_hints


class ConfigError(ValueError):
    """A configuration that can't be used; the message names the key and what it takes."""


@dataclass(frozen=True)
class Configuration:
    """Base of every configuration: typed keys, checked when made, read from and written to plain dicts."""

    @classmethod
    def keys(cls) -> dict[str, type]:
        """Key names with their types, in order."""
        hints = get_type_hints(cls)
        return {field.name: hints[field.name] for field in dataclasses.fields(cls)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "configuration") -> Self:
        """Make one from a dict that holds every key.

        Raises:
            ConfigError: a key is missing or unknown, or a value has the wrong type.
        """
        keys = cls.keys()
        for key in keys:
            if key not in values:
                raise ConfigError(f"{where}: the key '{key}' is missing")
        for key in values:
            if key not in keys:
                raise ConfigError(f"{where}: unknown key '{key}'; known keys: {', '.join(keys)}")
        return cls(**{key: check_type(key, values[key], kind, where) for key, kind in keys.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)


def check_type(key: str, value: Any, kind: type, where: str = "configuration") -> Any:
    """`value` as `kind` (whole numbers pass for floats); `ConfigError` where it is something else."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: '{key}' takes {_KINDS.get(kind, kind.__name__)}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: '{key}' takes a finite number, not {value!r}")
    return value


_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


@dataclass(frozen=True)
class PreprocessConfig(Configuration):
    """From media to tensors (the paper's section 4.2). Defaults are preset `paper`'s."""

    image_size: int = 224  # pixels, both sides
    sample_rate: int = 22_050  # Hz
    window_seconds: float = 2.0  # what the model hears at once
    n_fft: int = 1024  # samples
    win_length: int = 440  # samples
    hop_length: int = 220  # samples
    n_mels: int = 150  # HTK mel bands from 0 Hz to half the sample rate
    n_frames: int = 200  # frames kept of a window
    log_offset: float = 1e-6  # added before the logarithm

    def __post_init__(self) -> None:
        for key in ("image_size", "sample_rate", "n_fft", "win_length", "hop_length", "n_mels", "n_frames"):
            if getattr(self, key) < 1:
                raise ConfigError(f"'{key}' takes a whole number above 0, not {getattr(self, key)}")
        if not 8 <= self.image_size <= 4096:
            raise ConfigError(f"'image_size' takes 8 to 4096 pixels, not {self.image_size}")
        if self.window_seconds <= 0 or self.log_offset <= 0:
            raise ConfigError("'window_seconds' and 'log_offset' take numbers above 0")
        if self.win_length > self.n_fft:
            raise ConfigError(f"'win_length' ({self.win_length}) can't exceed 'n_fft' ({self.n_fft})")
        frames = self.window_samples // self.hop_length + 1
        if self.n_frames > frames:
            raise ConfigError(f"'n_frames' is {self.n_frames}, but a window has only {frames} frames of this hop")

    @property
    def window_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_seconds * self.sample_rate)


@dataclass(frozen=True)
class ModelConfig(Configuration):
    """Sizes of the networks and of the memory. Defaults are preset `paper`'s."""

    width: float = 1.0  # factor on the encoders' channels; c = 512 x width
    slots: int = 1000  # n, rows of each sub-memory
    tau_m: float = 0.1  # temperature of addressing, Eq. 1
    projection_dim: int = 128  # length of z
    use_memory: bool = True  # false: h holds the encoder's half alone, the other is zeros (the ablation)
    normalise_halves: bool = False  # L2-normalise f and the recalled half before the projection
    separate_heads: bool = False  # a projection head for each modality; false: one for both

    def __post_init__(self) -> None:
        for key in ("slots", "projection_dim"):
            if getattr(self, key) < 1:
                raise ConfigError(f"'{key}' takes a whole number above 0, not {getattr(self, key)}")
        if self.width <= 0 or self.channels < 8:
            raise ConfigError(f"'width' takes a number of at least {8 / 512:g}, not {self.width}")
        if self.tau_m <= 0:
            raise ConfigError(f"'tau_m' takes a number above 0, not {self.tau_m}")

    @property
    def channels(self) -> int:
        """c, the length of an encoder's feature and of a slot."""
        return 8 * round(512 * self.width / 8)
