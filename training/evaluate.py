"""How good a bundle is: linear probe and kNN on frozen h, retrieval across modalities on z (section 4.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.classification import classify
from training.features import Features, select
from training.model.memory import MODALITIES, Modality, other
from training.model.preprocess import windows
from training.outcome import Measurement, Outcome
from training.probe import accuracy, fit_head
from training.retrieval import Rankings, rank

FORMAT = 2  # of the scores; goes up when they say more, so that those on disk are made anew


class EvaluationError(ValueError):
    """A data set that can't be evaluated on; `str()` says what is missing."""


def evaluate(features: Features, probe: Features | None = None) -> dict[str, Any]:
    """The scores of `measure`."""
    return measure(features, probe).scores


def measure(features: Features, probe: Features | None = None) -> Measurement:
    """Measure a model on a data set's test split.

    Args:
        features: of the data set whose test split is retrieved from and, without `probe`, classified.
        probe: of another data set to fit and score the probes on (transfer), the encoders frozen: fitted on its split
            train, chosen on its val, scored on its test (the protocol of the paper's Table 4).

    Returns:
        Scores and the outcomes behind them. The scores are `{"image": {...}, "sound": {...}, "sound_to_image": {...},
        "image_to_sound": {...}, "n": {...}}`; a part is absent where the data set has nothing to measure it on.

        - "image", "sound": accuracies "probe" and "knn" and the "chance" of both, the best constant guess; what was
          chosen ("strength", "neighbours") and on what ("chosen_on": "val" or None); "tested", how many items of the
          classes in train were scored, and "left_out", how many of other classes there are; "classes", "confusion",
          "class_recall" (see `Classification.scores`). Where test sounds are stretches of longer files, "sound" also
          has "probe_clip" and "probe_clip_chance": accuracy over files, each scored as `clip_right` says.
        - "sound_to_image", "image_to_sound": "hit@1" ... "hit@5", "map", "recall@1", "recall@5", "recall@10",
          "median_rank" (see `Rankings`); "chances", the same of a random order, of which "chance" is hit@1; "queries"
          and "targets", how many there are; "classes" of the queries and "class_hit@1" of each.
        - "n": how many labelled items of each modality the splits of the probes' data set have.

        Each part but "n" says in "data" which folder it was measured on. The outcomes are of "probe", "knn",
        "probe_clip", "hit@k", "recall@k" and "map".

    Raises:
        EvaluationError: nothing can be measured.
    """
    scores: dict[str, Any] = {"n": {}}
    outcomes: dict[str, Outcome] = {}
    classified = probe or features
    for modality in MODALITIES:
        found = classify(classified, modality)
        if found:
            scores[modality] = {**found.scores(), "data": str(classified.data.folder)}
            outcomes |= {f"{modality}.{name}": outcome for name, outcome in found.outcomes.items()}
        for split in ("train", "val", "test"):
            scores["n"][f"{modality}_{split}"] = len(classified.split(split, modality)[0].numbers)
    for query in ("sound", "image"):
        queries, query_embedding = features.split("test", query)
        targets, target_embedding = features.split("test", other(query))
        if queries.labels and targets.labels:
            way = f"{query}_to_{other(query)}"
            rankings = rank(query_embedding.z, target_embedding.z, queries.labels, targets.labels)
            scores[way] = {**_retrieval(rankings, queries.labels), "data": str(features.data.folder)}
            outcomes |= {f"{way}.{name}": Outcome(value, queries.clips) for name, value in rankings.values().items()}
    if len(scores) == 1:
        raise EvaluationError(
            f"{classified.data.folder} has no labelled test rows to score (or no labelled train rows to fit a probe on)"
        )
    return Measurement(scores, outcomes)


def _retrieval(rankings: Rankings, labels: list[str]) -> dict[str, Any]:
    classes, of = np.unique(labels, return_inverse=True)
    hits = np.bincount(of, weights=rankings.first == 1) / np.bincount(of)
    return {
        **rankings.scores(),
        "chances": rankings.chances(),
        "queries": len(labels),
        "targets": rankings.targets,
        "classes": classes.tolist(),
        "class_hit@1": hits.tolist(),
    }


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
