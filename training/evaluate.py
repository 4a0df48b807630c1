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
from training.probe import Labelled, accuracy, fit_head

NEIGHBOURS = (1, 3, 5, 10, 20)
RANKS = (1, 2, 3, 4, 5)
_TOGETHER = 256  # queries whose rankings of all targets are in memory at once


class EvaluationError(ValueError):
    """A data set that can't be evaluated on; `str()` says what is missing."""


def evaluate(features: Features, probe: Features | None = None) -> dict[str, Any]:
    """Scores of a model on a data set's test split.

    Args:
        features: of the data set whose test split is retrieved from and, without `probe`, classified.
        probe: of another data set to fit and score the probes on (transfer), the encoders frozen.

    Returns:
        `{"image": {"probe", "knn"}, "sound": {...}, "sound_to_image": {"hit@1" ... "hit@5", "map", "chance"},
        "image_to_sound": {...}, "n": {...}}`; a part is absent where the data set has nothing to measure it on.
        Where test sounds are stretches of longer files, "sound" also has "probe_clip": the probe's accuracy over files,
        each scored as `clip_accuracy` says.

    Raises:
        EvaluationError: nothing can be measured.
    """
    result: dict[str, Any] = {"n": {}}
    classified = probe or features
    for modality in MODALITIES:
        scores = _classification(classified, modality)
        if scores:
            result[modality] = scores
        for split in ("train", "val", "test"):
            result["n"][f"{modality}_{split}"] = len(classified.split(split, modality)[0].numbers)
    for modality in ("sound", "image"):
        scores = _retrieval(features, modality)
        if scores:
            result[f"{modality}_to_{other(modality)}"] = scores
    if len(result) == 1:
        raise EvaluationError(
            f"{classified.data.folder} has no labelled test rows to score (or no labelled train rows to fit a probe on)"
        )
    return result


def _classification(features: Features, modality: Modality) -> dict[str, float]:
    train_items, _ = features.split("train", modality)
    names = sorted(set(train_items.labels))
    train, val, test = (features.labelled(split, modality, names) for split in ("train", "val", "test"))
    if len(names) < 2 or not len(test.labels):
        return {}
    head = fit_head(train, names, val)
    scores = {"probe": accuracy(head, test), "knn": knn_accuracy(train, test, choose_k(train, val))}
    files = _files(features, names) if modality == "sound" else []
    if len(set(files)) < len(files):
        scores["probe_clip"] = clip_accuracy(head, test, files)
    return scores


def _files(features: Features, names: Sequence[str]) -> list[tuple[str, str]]:
    """The sound file and label of each test sound of a known class; stretches of one file share them."""
    data = features.data
    file = {int(place): row.sound for place, row in zip(data.index[:, 1], data.rows, strict=True)}
    items, _ = features.split("test", "sound")
    labelled = zip(items.numbers, items.labels, strict=True)
    return [(file[int(number)], label) for number, label in labelled if label in names]


def clip_accuracy(head: ClassHead, test: Labelled, files: Sequence[Hashable]) -> float:
    """Share of files whose class has the highest probability in the mean over the file's segments.

    Args:
        head: the probe.
        test: segments, those of a file of one class.
        files: which file each segment is of.
    """
    number = {file: place for place, file in enumerate(dict.fromkeys(files))}
    places = torch.tensor([number[file] for file in files])
    probabilities = head.probabilities(test.features).double()
    sums = probabilities.new_zeros(len(number), probabilities.shape[1]).index_add_(0, places, probabilities)
    labels = torch.empty(len(number), dtype=torch.long).index_copy_(0, places, test.labels)
    return float((sums.argmax(dim=1) == labels).float().mean())


def _retrieval(features: Features, query: Modality) -> dict[str, float]:
    queries, query_embedding = features.split("test", query)
    targets, target_embedding = features.split("test", other(query))
    if not queries.labels or not targets.labels:
        return {}
    return retrieval_scores(query_embedding.z, target_embedding.z, queries.labels, targets.labels)


def retrieval_scores(
    queries: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    query_labels: Sequence[str],
    target_labels: Sequence[str],
) -> dict[str, float]:
    """Retrieval by cosine, right where the classes agree.

    Args:
        queries: unit vectors `[Q, d]`.
        targets: unit vectors `[T, d]`.
        query_labels: class of each query.
        target_labels: class of each target.

    Returns:
        `hit@k` (share of queries with a target of their class among the k nearest, the paper's rank k), `map` (mean
        average precision over the full ranking) and `chance` (hit@1 of a random order). Ties go to the earlier target.
    """
    classes = np.unique([*query_labels, *target_labels], return_inverse=True)[1]
    wanted, offered = classes[: len(queries)], classes[len(queries) :]
    parts = []
    for begin in range(0, len(queries), _TOGETHER):
        some = slice(begin, begin + _TOGETHER)
        order = np.argsort(-(queries[some] @ targets.T), axis=1, kind="stable")
        parts.append(_score(offered[order] == wanted[some, None]))
    *hits, average, found = np.concatenate(parts, axis=1)
    return {
        **{f"hit@{k}": float(hit.mean()) for k, hit in zip(RANKS, hits, strict=True)},
        "map": float(average.mean()),
        "chance": float(found.sum() / (len(queries) * len(targets))),
    }


def _score(ranked: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """What a few queries contribute to `retrieval_scores`.

    Args:
        ranked: `[q, T]`, whether each query's targets, the nearest first, are of its class.

    Returns:
        float64 `[len(RANKS) + 2, q]`: for each rank k, whether one of the k nearest is; the average precision; how many
        of all targets are.
    """
    hits = [ranked[:, :k].any(axis=1) for k in RANKS]
    precision = np.cumsum(ranked, axis=1) / np.arange(1, ranked.shape[1] + 1)
    found = ranked.sum(axis=1)
    average = (precision * ranked).sum(axis=1) / np.maximum(found, 1)  # 0 where there is none
    return np.stack([*hits, average, found])


def choose_k(train: Labelled, val: Labelled) -> int:
    """The number of neighbours that does best on the validation split, 5 where there is none; ties go to the
    smaller."""
    if not len(val.labels):
        return min(5, len(train.labels))
    usable = [k for k in NEIGHBOURS if k <= len(train.labels)]
    return max(usable, key=lambda k: (knn_accuracy(train, val, k), -k))


def knn_accuracy(train: Labelled, test: Labelled, k: int) -> float:
    """Share of test items whose k nearest training items (by cosine of h) vote for their class; votes weigh by
    similarity, shifted so that the k-th neighbour still counts."""
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    unit = torch.nn.functional.normalize(train.features.float(), dim=1)
    right = 0
    for features, labels in zip(test.features.split(1024), test.labels.split(1024), strict=True):
        similarity = torch.nn.functional.normalize(features.float(), dim=1) @ unit.T
        nearest = similarity.topk(k, dim=1)
        votes = torch.zeros(len(labels), classes).scatter_add_(1, train.labels[nearest.indices], nearest.values + 1)
        right += int((votes.argmax(dim=1) == labels).sum())
    return right / len(test.labels)


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
