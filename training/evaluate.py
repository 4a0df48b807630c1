"""How good a bundle is: linear probe and kNN on frozen h, retrieval across modalities on z (section 4.3)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.features import Features, select
from training.model.bundle import MODALITIES
from training.model.head import ClassHead
from training.model.memory import Modality, other
from training.model.preprocess import windows
from training.neighbours import choose_k, knn_predict
from training.outcome import Measurement, Outcome
from training.probe import Labelled, accuracy, fit_head, fit_probe, predict
from training.retrieval import rank


class EvaluationError(ValueError):
    """A data set that can't be evaluated on; `str()` says what is missing."""


def evaluate(features: Features, probe: Features | None = None) -> dict[str, Any]:
    """The scores of `measure`."""
    return measure(features, probe).scores


def measure(features: Features, probe: Features | None = None) -> Measurement:
    """Measure a model on a data set's test split.

    Args:
        features: of the data set whose test split is retrieved from and, without `probe`, classified.
        probe: of another data set to fit and score the probes on (transfer), the encoders frozen.

    Returns:
        Scores `{"image": {"probe", "knn"}, "sound": {...}, "sound_to_image": {"hit@1" ... "hit@5", "map", "chance"},
        "image_to_sound": {...}, "n": {...}}`; a part is absent where the data set has nothing to measure it on.
        Where test sounds are stretches of longer files, "sound" also has "probe_clip": the probe's accuracy over files,
        each scored as `clip_right` says. The outcomes are of the scores "probe", "knn", "probe_clip", "hit@k",
        "recall@k" and "map".

    Raises:
        EvaluationError: nothing can be measured.
    """
    scores: dict[str, Any] = {"n": {}}
    outcomes: dict[str, Outcome] = {}
    classified = probe or features
    for modality in MODALITIES:
        found = _classify(classified, modality)
        if found:
            outcomes |= {f"{modality}.{name}": outcome for name, outcome in found.items()}
            scores[modality] = {name: outcome.score for name, outcome in found.items()}
        for split in ("train", "val", "test"):
            scores["n"][f"{modality}_{split}"] = len(classified.split(split, modality)[0].numbers)
    for query in ("sound", "image"):
        queries, query_embedding = features.split("test", query)
        targets, target_embedding = features.split("test", other(query))
        if queries.labels and targets.labels:
            way = f"{query}_to_{other(query)}"
            rankings = rank(query_embedding.z, target_embedding.z, queries.labels, targets.labels)
            scores[way] = rankings.scores()
            outcomes |= {f"{way}.{name}": Outcome(value, queries.clips) for name, value in rankings.values().items()}
    if len(scores) == 1:
        raise EvaluationError(
            f"{classified.data.folder} has no labelled test rows to score (or no labelled train rows to fit a probe on)"
        )
    return Measurement(scores, outcomes)


def _classify(features: Features, modality: Modality) -> dict[str, Outcome]:
    """How the test items of a known class fare; empty where there is nothing to tell apart."""
    train_items, _ = features.split("train", modality)
    names = sorted(set(train_items.labels))
    train, val, test = (features.labelled(split, modality, names) for split in ("train", "val", "test"))
    if len(names) < 2 or not len(test.labels):
        return {}
    items, _ = features.split("test", modality)
    clips = items.clips[[label in names for label in items.labels]]
    probe = fit_probe(train, names, val)
    knn = knn_predict(train, test.features, [choose_k(train, val)])[0]
    outcomes = {
        "probe": _outcome(predict(probe.head, test.features) == test.labels, clips),
        "knn": _outcome(knn == test.labels, clips),
    }
    files = _files(features, names) if modality == "sound" else []
    if len(set(files)) < len(files):
        clip = dict(zip(reversed(files), reversed(clips), strict=True))  # of each file's first segment
        in_order = np.array([clip[file] for file in dict.fromkeys(files)])
        outcomes["probe_clip"] = _outcome(clip_right(probe.head, test, files), in_order)
    return outcomes


def _outcome(right: Tensor, clips: npt.NDArray[np.int64]) -> Outcome:
    return Outcome(right.double().numpy(), clips)


def _files(features: Features, names: Sequence[str]) -> list[tuple[str, str]]:
    """The sound file and label of each test sound of a known class; stretches of one file share them."""
    data = features.data
    file = {int(place): row.sound for place, row in zip(data.index[:, 1], data.rows, strict=True)}
    items, _ = features.split("test", "sound")
    labelled = zip(items.numbers, items.labels, strict=True)
    return [(file[int(number)], label) for number, label in labelled if label in names]


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


def raw_probe(features: Features, modality: Modality) -> float:
    """The linear probe's test accuracy on raw inputs: 32 x 32 pixels, or the log-mel of a sound's first window.

    The yardstick for what the model adds to the data.
    """
    names = sorted(set(features.split("train", modality)[0].labels))
    parts = []
    for split in ("train", "val", "test"):
        items, _ = features.split(split, modality)
        parts.append(select(_raw(features, items.numbers, modality), items.labels, names))
    train, val, test = parts
    return accuracy(fit_head(train, names, val), test)


def _raw(features: Features, numbers: npt.NDArray[np.int32], modality: Modality) -> Tensor:
    if not len(numbers):  # a data set without `val`
        return torch.empty(0, 0)
    if modality == "image":
        pixels = torch.from_numpy(np.array(features.data.images[numbers])).float() / 255
        small = torch.nn.functional.interpolate(pixels, size=(32, 32), mode="bilinear", antialias=True)
        return small.flatten(1)
    preprocessor = features.embedder.bundle.preprocessor
    samples = preprocessor.config.window_samples
    first = [windows(torch.from_numpy(np.array(features.data.wave(int(n)))), samples)[:1] for n in numbers]
    return torch.cat([preprocessor.sound(window).flatten(1) for window in first])
