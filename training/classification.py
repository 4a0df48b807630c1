"""Classification of frozen h: linear probe and kNN, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.chance import constant_guess
from training.features import Features
from training.model.head import ClassHead
from training.model.memory import Modality
from training.neighbours import choose_k, knn_predict
from training.outcome import Outcome
from training.probe import Labelled, fit_probe, predict


@dataclass(frozen=True)
class Classification:
    """How the test items of the classes that training knows are classified.

    Attributes:
        names: of the classes, sorted.
        truth: int64 `[N]`, the class of each test item.
        predicted: int64 `[N]`, what the linear probe takes it for.
        outcomes: of "probe", "knn" and, where sounds are stretches of longer files, "probe_clip".
        details: what was chosen and what chance is, ready for JSON.
    """

    names: list[str]
    truth: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    outcomes: dict[str, Outcome]
    details: dict[str, Any]

    def scores(self) -> dict[str, Any]:
        """The means of the outcomes, the details, and by class: "classes", "confusion" (rows true, columns predicted,
        in the order of "classes") and "class_recall" (None for a class without a test item)."""
        confusion = confusion_matrix(self.truth, self.predicted, len(self.names))
        tested = confusion.sum(axis=1)
        return {
            **{name: outcome.score for name, outcome in self.outcomes.items()},
            **self.details,
            "tested": len(self.truth),
            "classes": self.names,
            "confusion": confusion.tolist(),
            "class_recall": [
                float(right / of) if of else None for right, of in zip(confusion.diagonal(), tested, strict=True)
            ],
        }


def classify(features: Features, modality: Modality) -> Classification | None:
    """Fit linear probe and kNN on the split `train`, choose on `val`, classify `test`.

    Returns:
        None where there is nothing to tell apart: less than two classes in train, or no test item of theirs.
    """
    train_items, _ = features.split("train", modality)
    names = sorted(set(train_items.labels))
    train, val, test = (features.labelled(split, modality, names) for split in ("train", "val", "test"))
    if len(names) < 2 or not len(test.labels):
        return None
    items, _ = features.split("test", modality)
    known = np.isin(items.labels, names)
    clips = items.clips[known]
    probe, k = fit_probe(train, names, val), choose_k(train, val)
    predicted = predict(probe.head, test.features)
    knn = knn_predict(train, test.features, [k])[0]
    truth = test.labels.numpy()
    outcomes = {"probe": _outcome(predicted == test.labels, clips), "knn": _outcome(knn == test.labels, clips)}
    details: dict[str, Any] = {
        "chance": constant_guess(truth),
        "strength": probe.strength,
        "neighbours": k,
        "chosen_on": "val" if len(val.labels) else None,
        "left_out": int((~known).sum()),
    }
    files = _files(features, known) if modality == "sound" else []
    if len(set(files)) < len(files):
        first = {file: place for place, file in reversed([*enumerate(files)])}
        firsts = [first[file] for file in dict.fromkeys(files)]
        outcomes["probe_clip"] = _outcome(clip_right(probe.head, test, files), clips[firsts])
        details["probe_clip_chance"] = constant_guess(truth[firsts])
    return Classification(names, truth, predicted.numpy(), outcomes, details)


def confusion_matrix(
    truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """How many items of each class are taken for which: int64 `[classes, classes]`, rows true, columns predicted."""
    counts = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def _outcome(right: Tensor, clips: npt.NDArray[np.int64]) -> Outcome:
    return Outcome(right.double().numpy(), clips)


def _files(features: Features, known: npt.NDArray[np.bool_]) -> list[tuple[str, str]]:
    """The sound file and label of each test sound of a known class; stretches of one file share them."""
    data = features.data
    file = {int(place): row.sound for place, row in zip(data.index[:, 1], data.rows, strict=True)}
    items, _ = features.split("test", "sound")
    labelled = zip(items.numbers, items.labels, known, strict=True)
    return [(file[int(number)], label) for number, label, kept in labelled if kept]


def clip_right(head: ClassHead, test: Labelled, files: Sequence[Hashable]) -> Tensor:
    """Whether a file's class has the highest probability in the mean over the file's segments.

    Args:
        head: the probe.
        test: segments, those of a file of one class.
        files: which file each segment is of.

    Returns:
        bool `[files]`, in the order in which they first come.
    """
    number = {file: place for place, file in enumerate(dict.fromkeys(files))}
    places = torch.tensor([number[file] for file in files])
    probabilities = head.probabilities(test.features).double()
    sums = probabilities.new_zeros(len(number), probabilities.shape[1]).index_add_(0, places, probabilities)
    labels = torch.empty(len(number), dtype=torch.long).index_copy_(0, places, test.labels)
    return sums.argmax(dim=1) == labels
