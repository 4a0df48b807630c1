"""A trained model on disk: a folder of safetensors and JSON, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from training.model.config import ModelConfig, PreprocessConfig, check_type
from training.model.draft import clear_drafts, make_draft, replace_folder
from training.model.head import ClassHead
from training.model.memory import MODALITIES, Modality
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor
from training.model.tensors import write_tensors

SCHEMA = 2
CAME_WITH_2 = ("separate_heads",)  # keys of the model; before, all were as their defaults
CONFIG, WEIGHTS, HEADS = "config.json", "model.safetensors", "heads.safetensors"


class BundleError(ValueError):
    """A bundle that can't be loaded or written; `str()` is one sentence that names the file and the remedy."""


@dataclass
class Bundle:
    """A model with everything that is needed to use it.

    Attributes:
        model: networks and memory, in eval mode after loading.
        preprocessor: how the model's inputs are made.
        heads: class heads by modality; empty where the training data had no labels.
        training: provenance: configuration, data fingerprint, seed, versions, when.
        fingerprint: sha256 over configuration and weights, hex; empty before the bundle is on disk.
    """

    model: BMAModel
    preprocessor: Preprocessor
    heads: dict[Modality, ClassHead] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """What answers call this model: preset and the fingerprint's beginning."""
        return f"bma-{self.training.get('preset', 'model')}-{self.fingerprint[:8]}"

    def save(self, path: Path) -> None:
        """Write the bundle's folder; a bundle already there is replaced as a whole, never half.

        What processes that were killed in here have left beside it is removed.

        Raises:
            BundleError: the folder can't be written, as on a full disk; a bundle already there is untouched.
            FileExistsError: something there is not a bundle and is not to be lost.
        """
        if path.exists() and not (path / CONFIG).is_file() and not (path.is_dir() and not any(path.iterdir())):
            raise FileExistsError(f"{path} exists and is not a bundle; choose another folder, or move it away")
        config = {
            "schema": SCHEMA,
            "model": self.model.config.to_dict(),
            "preprocessing": {
                **self.preprocessor.config.to_dict(),
                "mean": self.preprocessor.mean,
                "std": self.preprocessor.std,
            },
            "classes": {modality: list(head.labels) for modality, head in self.heads.items()},
            "training": self.training,
        }
        try:
            if path.exists():  # whole, so nobody needs what a crash has left beside it
                clear_drafts(path)
            with make_draft(path) as draft:
                self._write(draft, config)
                replace_folder(draft, path)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BundleError(
                f"the bundle could not be written to {path} ({reason}); make room there, or choose another folder"
            ) from None
        clear_drafts(path)
        self.fingerprint = _fingerprint(path)

    def _write(self, folder: Path, config: dict[str, Any]) -> None:
        tensors = {key: tensor.contiguous().cpu() for key, tensor in self.model.state_dict().items()}
        write_tensors(tensors, folder / WEIGHTS)
        heads: dict[str, Tensor] = {}
        for modality, head in self.heads.items():
            heads[f"{modality}.weight"] = head.weight.contiguous().cpu()
            heads[f"{modality}.bias"] = head.bias.contiguous().cpu()
        write_tensors(heads, folder / HEADS)
        with (folder / CONFIG).open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(config, indent=2) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        folder.chmod(0o755)


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle's folder onto the CPU.

    Raises:
        BundleError: it is missing, incomplete, of an unknown schema, its tensors do not fit its configuration, or hold
            NaN or infinity.
    """
    path = Path(path)
    if not path.is_dir():
        _check_run(path, path.parent)
        wrong = "is not a bundle's folder;" if path.exists() else "does not exist; check the path, or"
        raise BundleError(f"{path} {wrong} train one with 'bma train' or 'bma demo'")
    config = _read_config(path / CONFIG)
    try:
        given = _section(config, "model", path)
        if config["schema"] == 1:
            given = {**{key: getattr(ModelConfig, key) for key in CAME_WITH_2}, **given}
        model_config = ModelConfig.from_dict(given, "model")
        preprocessing = dict(_section(config, "preprocessing", path))
        where = "preprocessing"
        statistics = {key: check_type(key, preprocessing.pop(key, None), float, where) for key in ("mean", "std")}
        preprocess_config = PreprocessConfig.from_dict(preprocessing, where)
        preprocessor = Preprocessor(preprocess_config, **statistics)
        with torch.device("meta"):
            model = BMAModel(model_config)
    except BundleError:
        raise
    except ValueError as error:
        raise BundleError(f"{path / CONFIG}: {error}; copy or train the bundle again") from None
    except (RuntimeError, TypeError, OverflowError, MemoryError):
        raise BundleError(f"{path / CONFIG} holds sizes beyond any use; copy or train the bundle again") from None
    expected = {key: (tensor.shape, tensor.dtype) for key, tensor in model.state_dict().items()}
    model.load_state_dict(_read_tensors(path / WEIGHTS, expected), assign=True)
    heads = _read_heads(path, _section(config, "classes", path), 2 * model_config.channels)
    return Bundle(
        model=model.eval().requires_grad_(False),
        preprocessor=preprocessor,
        heads=heads,
        training=_section(config, "training", path),
        fingerprint=_fingerprint(path),
    )


def _read_config(file: Path) -> dict[str, Any]:
    _check_opens(file, "the folder is not a bundle, or its copy is not complete")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} can't be read as JSON ({error}); copy or train the bundle again") from None
    _check_run(file.parent, file.parent)
    if not isinstance(config, dict) or config.get("schema") not in (1, SCHEMA):
        schema = config.get("schema") if isinstance(config, dict) else None
        raise BundleError(
            f"{file} has schema {schema!r}, this version reads 1 to {SCHEMA}; "
            "use the version that wrote the bundle, or train it again"
        )
    return config


def _check_run(path: Path, run: Path) -> None:
    """Refuse a path that is meant for the bundle of a run: the run's folder, or what is not in it."""
    bundle = run / "model"
    if (bundle / CONFIG).is_file():
        raise BundleError(f"{path} is not a bundle; name {bundle}, the bundle of this run")
    try:
        config = json.loads((run / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(config, dict) and "data_fingerprint" in config:
        raise BundleError(
            f"{path} is not a bundle, as its run has not ended; go on with 'bma train --resume', and name {bundle}"
        )


def _check_opens(file: Path, remedy: str) -> None:
    try:
        file.open("rb").close()
    except FileNotFoundError:
        raise BundleError(f"{file} is missing; {remedy}") from None
    except OSError as error:
        raise BundleError(f"{file} can't be read ({error.strerror}); copy the bundle so that this user can") from None


def _section(config: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    section = config.get(key)
    if not isinstance(section, dict):
        raise BundleError(f"{path / CONFIG}: the section '{key}' is missing; copy or train the bundle again")
    return section


def _read_tensors(file: Path, expected: dict[str, tuple[torch.Size, torch.dtype]]) -> dict[str, Tensor]:
    _check_opens(file, "copy the bundle again")  # of a file that may not be read safetensors says that there is none
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{file} can't be read ({error}); copy the bundle again") from None
    for key, (shape, dtype) in expected.items():
        if key not in tensors:
            raise BundleError(f"{file} lacks the tensor '{key}'; copy or train the bundle again")
        if tensors[key].shape != shape:
            raise BundleError(
                f"{file}: the tensor '{key}' has shape {list(tensors[key].shape)}, {CONFIG} asks for {list(shape)}; "
                "copy or train the bundle again"
            )
        if tensors[key].dtype != dtype:
            raise BundleError(
                f"{file}: the tensor '{key}' holds {_plain(tensors[key].dtype)}, not {_plain(dtype)}; "
                "copy or train the bundle again"
            )
        # the encoders would turn some of it into numbers again; a sum in double precision can't be infinite by itself
        if not tensors[key].sum(dtype=torch.float64).isfinite():
            raise BundleError(
                f"{file}: the tensor '{key}' holds numbers that are not finite; copy or train the bundle again"
            )
    for key in tensors:
        if key not in expected:
            raise BundleError(
                f"{file} holds a tensor '{key}' that the model does not know; copy or train the bundle again"
            )
    return tensors


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _read_heads(path: Path, classes: dict[str, Any], width: int) -> dict[Modality, ClassHead]:
    expected: dict[str, tuple[torch.Size, torch.dtype]] = {}
    for modality, labels in classes.items():
        if modality not in MODALITIES or not isinstance(labels, list) or not all(isinstance(x, str) for x in labels):
            raise BundleError(
                f"{path / CONFIG}: 'classes' holds {modality!r}: {labels!r}; copy or train the bundle again"
            )
        expected[f"{modality}.weight"] = torch.Size((len(labels), width)), torch.float32
        expected[f"{modality}.bias"] = torch.Size((len(labels),)), torch.float32
    tensors = _read_tensors(path / HEADS, expected)
    return {
        modality: ClassHead(tensors[f"{modality}.weight"], tensors[f"{modality}.bias"], tuple(classes[modality]))
        for modality in MODALITIES
        if modality in classes
    }


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS, HEADS):
        digest.update((path / name).read_bytes())
    return digest.hexdigest()
