"""The runs of studies: which folder an arm with a seed has, and what was measured there."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.config import PRESETS, TrainingConfig, parse_overrides
from training.evaluate import FORMAT
from training.model.config import ConfigError
from training.model.draft import replaced_file
from training.outcome import Outcome
from training.study.plan import Arm, Study

_UNSTATED = 2  # the format of scores that do not say theirs
_SLUG = 60  # characters of a folder's name that say what the run is
# what reading a damaged JSON or npz raises
_DAMAGE = (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class StudyError(ValueError):
    """A study that can't be run or read; `str()` is one sentence with the remedy."""


@contextmanager
def writes(place: Path) -> Iterator[None]:
    """Turn an OSError into a StudyError that says the place can't be written, and what to do."""
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"{place} can't be written ({error.strerror or error}); make room for it, or allow it, and run the same "
            "command again; or name another folder with --out"
        ) from None


@dataclass(frozen=True)
class Result:
    """What was measured of a run.

    Attributes:
        scores: as `bma evaluate --json` has them.
        outcomes: by score, such as "image.probe".
    """

    scores: dict[str, Any]
    outcomes: dict[str, Outcome]


@dataclass(frozen=True)
class Run:
    """A configuration trained by a method on a data set, in a folder that all studies share."""

    folder: Path
    config: TrainingConfig
    method: str

    def scores_file(self, probe: str = "") -> Path:
        """Its scores, with probes on the data set of that fingerprint."""
        return self.folder / f"scores{_on(probe)}.json"

    def outcomes_file(self, probe: str = "") -> Path:
        """Its scores by test item."""
        return self.folder / f"outcomes{_on(probe)}.npz"

    def is_measured(self, probe: str = "") -> bool:
        """Whether its result is on disk, and says what is measured today. Of one that is damaged `read` says so."""
        try:
            content = json.loads(self.scores_file(probe).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError):
            return True
        current = not isinstance(content, dict) or content.get("format", _UNSTATED) == FORMAT
        return current and self.outcomes_file(probe).exists()

    def save(self, scores: Mapping[str, Any], outcomes: Mapping[str, Outcome], probe: str = "") -> None:
        """Write a result; scores.json comes last and says that it is whole.

        Raises:
            StudyError: it can't be written.
        """
        arrays: dict[str, Any] = {}
        for name, outcome in outcomes.items():
            arrays[f"{name}:values"], arrays[f"{name}:clips"] = outcome.values, outcome.clips
        own = {"format": FORMAT, "method": self.method, "config": self.config.to_dict()}
        content = {**own, "probe": probe, "scores": scores}
        with writes(self.folder):
            with replaced_file(self.outcomes_file(probe)) as draft, draft.open("wb") as stream:
                np.savez_compressed(stream, **arrays)
            with replaced_file(self.scores_file(probe)) as draft:
                draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def read(self, probe: str = "") -> Result:
        """The result that is on disk.

        Raises:
            StudyError: a file can't be read, or is of another configuration.
        """
        file = self.scores_file(probe)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            theirs, scores = dict(content["config"]), dict(content["scores"])
            file = self.outcomes_file(probe)
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                names = [key.removesuffix(":values") for key in arrays.files if key.endswith(":values")]
                outcomes = {name: Outcome(arrays[f"{name}:values"], arrays[f"{name}:clips"]) for name in names}
        except _DAMAGE as error:
            raise StudyError(f"{file} can't be read ({error}); delete it to measure the run again") from None
        for key, value in self.config.to_dict().items():
            if theirs.get(key, value) != value:
                raise StudyError(
                    f"{self.folder} was trained with {key}={theirs[key]}, not {value}; delete it to train it again"
                )
        return Result(scores, outcomes)


def _on(probe: str) -> str:
    return f"-on-{probe[:8]}" if probe else ""


def make_config(arm: Arm, preset: str, overrides: Sequence[str], seed: int) -> TrainingConfig:
    """An arm's configuration: the preset, then the command's keys, then the arm's own.

    Raises:
        ConfigError: a key is unknown, or set by the study itself, or has a value of the wrong kind.
    """
    if preset not in PRESETS:
        raise ConfigError(f"there is no preset '{preset}'; presets are {', '.join(PRESETS)}")
    own = parse_overrides(overrides)
    if "seed" in own:
        raise ConfigError("a study's seeds are set by --seeds, not by --set seed")
    return TrainingConfig(**{**PRESETS[preset], **own, **arm.keys, "preset": preset, "seed": seed})


def find_run(out: Path, config: TrainingConfig, method: str, fingerprint: str, base: TrainingConfig) -> Run:
    """The run of a configuration on the data set of that fingerprint, whether it is there yet or not.

    Its folder ends with a hash over the method, the data set and the keys that differ from `TrainingConfig`'s defaults,
    so that a key which is added later, and left alone, makes no new runs. What stands before says how a new run differs
    from `base`.
    """
    defaults = TrainingConfig().to_dict()
    keys = {key: value for key, value in config.to_dict().items() if value != defaults[key]}
    identity = json.dumps([method, fingerprint, dict(sorted(keys.items()))])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
    there = sorted((out / "runs").glob(f"*-{digest}"))
    return Run(there[0] if there else out / "runs" / f"{_slug(config, base)}-{digest}", config, method)


def runs_of(
    study: Study, out: Path, preset: str, overrides: Sequence[str], seeds: Sequence[int], fingerprint: str
) -> dict[str, dict[int, Run]]:
    """A study's runs, by arm and seed. Raises `ConfigError`."""
    base = make_config(Arm("base"), preset, overrides, seeds[0])
    return {
        arm.name: {
            seed: find_run(out, make_config(arm, preset, overrides, seed), arm.method, fingerprint, base)
            for seed in seeds
        }
        for arm in study.arms
    }


def _slug(config: TrainingConfig, base: TrainingConfig) -> str:
    """The preset, the keys that differ from the base and the seed, as a folder's name."""
    theirs = base.to_dict()
    changed = [f"{k}-{v}" for k, v in config.to_dict().items() if k not in ("preset", "seed") and v != theirs[k]]
    words = re.sub(r"[^a-z0-9.]+", "-", "-".join([config.preset, *changed]).lower())[:_SLUG].strip("-.")
    return f"{words}-seed-{config.seed}"
