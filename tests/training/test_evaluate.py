"""Scores against brute force on small arrays, and the shape of a whole evaluation."""

import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from training.data.pack import open_data
from training.data.packed import PackedData
from training.data.rows import Row, read_rows, write_rows
from training.evaluate import (
    EvaluationError,
    choose_k,
    clip_accuracy,
    evaluate,
    knn_accuracy,
    raw_probe,
    retrieval_scores,
)
from training.features import Features
from training.model.embedder import Embedder
from training.model.head import ClassHead
from training.probe import Labelled

Vectors = npt.NDArray[np.float32]


def unit(rng: np.random.Generator, n: int, d: int = 4) -> Vectors:
    vectors = rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def brute_force(
    queries: Vectors, targets: Vectors, query_labels: list[str], target_labels: list[str]
) -> dict[str, float]:
    hits = dict.fromkeys(range(1, 6), 0)
    precisions, chances = [], []
    for query, label in zip(queries, query_labels, strict=True):
        scored = sorted(((float(np.dot(query, target)), -place) for place, target in enumerate(targets)), reverse=True)
        right = [target_labels[-place] == label for _, place in scored]
        for k in hits:
            hits[k] += any(right[:k])
        found, precision = 0, []
        for rank, is_right in enumerate(right, start=1):
            if is_right:
                found += 1
                precision.append(found / rank)
        precisions.append(sum(precision) / len(precision) if precision else 0.0)
        chances.append(sum(right) / len(right))
    n = len(queries)
    return {
        **{f"hit@{k}": count / n for k, count in hits.items()},
        "map": sum(precisions) / n,
        "chance": sum(chances) / n,
    }


@pytest.mark.parametrize("seed", range(8))
def test_retrieval_is_what_brute_force_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, targets = unit(rng, 17), unit(rng, int(rng.integers(1, 30)))
    query_labels = [str(label) for label in rng.integers(0, 5, len(queries))]
    target_labels = [str(label) for label in rng.integers(0, 4, len(targets))]  # class 4 has no target
    scores = retrieval_scores(queries, targets, query_labels, target_labels)
    assert scores == pytest.approx(brute_force(queries, targets, query_labels, target_labels))


@pytest.mark.parametrize(("q", "t"), [(256, 40), (257, 40), (700, 1), (1, 300)])
def test_parts_of_the_queries_score_as_all_at_once(q: int, t: int) -> None:
    rng = np.random.default_rng(q)
    # of whole numbers, so that every part has the same products, and many ties
    queries, targets = (rng.integers(-1, 2, (n, 5)).astype(np.float32) for n in (q, t))
    query_labels, target_labels = ([f"class {label}" for label in rng.integers(0, 7, n)] for n in (q, t))
    right = np.array(query_labels)[:, None] == np.array(target_labels)[None, :]
    ranked = np.take_along_axis(right, np.argsort(-(queries @ targets.T), axis=1, kind="stable"), axis=1)
    precision = np.cumsum(ranked, axis=1) / np.arange(1, t + 1)
    average = (precision * ranked).sum(axis=1) / np.maximum(ranked.sum(axis=1), 1)
    assert retrieval_scores(queries, targets, query_labels, target_labels) == {
        **{f"hit@{k}": ranked[:, :k].any(axis=1).mean() for k in range(1, 6)},
        "map": average.mean(),
        "chance": right.mean(),
    }


def test_retrieval_never_holds_all_queries_by_all_targets() -> None:
    rng = np.random.default_rng(0)
    vectors, labels = unit(rng, 3000), [str(label) for label in rng.integers(0, 9, 3000)]
    tracemalloc.start()
    retrieval_scores(vectors, vectors, labels, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 3000 * 4  # bytes of the similarities alone


def test_perfect_and_opposite_retrieval() -> None:
    vectors = np.eye(3, dtype=np.float32)
    labels = ["a", "b", "c"]
    scores = retrieval_scores(vectors, vectors, labels, labels)
    assert all(scores[key] == 1.0 for key in scores if key != "chance")
    assert scores["chance"] == pytest.approx(1 / 3)
    worst = retrieval_scores(-vectors, vectors, labels, labels)
    assert (worst["hit@1"], worst["hit@2"], worst["hit@3"]) == (0.0, 0.0, 1.0)
    assert worst["map"] == pytest.approx(1 / 3)


def test_ties_go_to_the_earlier_target() -> None:
    rng = np.random.default_rng(0)
    query, targets = np.ones((1, 1), np.float32), rng.integers(0, 3, (500, 1)).astype(np.float32)
    labels = [str(label) for label in rng.integers(0, 9, 500)]
    for label in "012":
        expected = brute_force(query, targets, [label], labels)
        assert retrieval_scores(query, targets, [label], labels) == pytest.approx(expected)


def labelled(rng: np.random.Generator, n: int, classes: int = 3) -> Labelled:
    labels = torch.from_numpy(rng.integers(0, classes, n))
    features = torch.from_numpy(rng.normal(size=(n, 5)) * rng.uniform(0.1, 9, (n, 1)))
    features[:, 0] += labels * 2
    return Labelled(features.float(), labels)


def brute_knn(train: Labelled, test: Labelled, k: int) -> float:
    right = 0
    for x, label in zip(test.features.numpy(), test.labels.tolist(), strict=True):
        similarity = [float(x @ y / np.linalg.norm(x) / np.linalg.norm(y)) for y in train.features.numpy()]
        nearest = sorted(range(len(similarity)), key=lambda place: -similarity[place])[:k]
        votes = [0.0] * 10
        for place in nearest:
            votes[int(train.labels[place])] += similarity[place] + 1
        right += votes.index(max(votes)) == label
    return right / len(test.labels)


@pytest.mark.parametrize("k", [1, 3, 5, 20])
def test_knn_is_what_brute_force_votes(k: int) -> None:
    rng = np.random.default_rng(k)
    train, test = labelled(rng, 40), labelled(rng, 60)
    assert knn_accuracy(train, test, k) == pytest.approx(brute_knn(train, test, k))


def test_the_number_of_neighbours_is_the_best_on_val() -> None:
    rng = np.random.default_rng(0)
    train, val = labelled(rng, 40), labelled(rng, 60)
    accuracies = {k: brute_knn(train, val, k) for k in (1, 3, 5, 10, 20)}
    best = max(accuracies.values())
    assert choose_k(train, val) == min(k for k, accuracy in accuracies.items() if accuracy == best)


def test_without_val_there_are_five_neighbours_or_as_many_as_there_are() -> None:
    empty = Labelled(torch.empty(0, 5), torch.empty(0, dtype=torch.long))
    rng = np.random.default_rng(0)
    assert choose_k(labelled(rng, 40), empty) == 5
    assert choose_k(labelled(rng, 4), empty) == 4
    assert choose_k(labelled(rng, 4), labelled(rng, 10)) in (1, 3)


@pytest.mark.parametrize("seed", range(4))
def test_a_files_class_has_the_highest_mean_probability(seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = ClassHead(torch.from_numpy(rng.normal(size=(3, 5))).float(), torch.zeros(3), ("a", "b", "c"))
    files = [int(file) for file in rng.integers(0, 9, 40)]  # of 0 to 8 segments each, in no order
    classes = rng.integers(0, 3, 9)
    test = Labelled(torch.from_numpy(rng.normal(size=(40, 5))).float(), torch.from_numpy(classes[files]))
    right = []
    for file in set(files):
        segments = [place for place, other in enumerate(files) if other == file]
        logits = [head.weight.double().numpy() @ test.features[place].double().numpy() for place in segments]
        probabilities = [np.exp(row) / np.exp(row).sum() for row in logits]
        right.append(np.mean(probabilities, axis=0).argmax() == classes[file])
    assert clip_accuracy(head, test, files) == pytest.approx(np.mean(right))


def test_one_sure_segment_outvotes_two_that_lean_the_other_way() -> None:
    head = ClassHead(torch.eye(2), torch.zeros(2), ("a", "b"))
    test = Labelled(torch.tensor([[4.0, 0.0], [0.0, 0.4], [0.0, 0.4], [0.0, 1.0]]), torch.tensor([0, 0, 0, 1]))
    assert clip_accuracy(head, test, ["x", "x", "x", "y"]) == 1.0


@pytest.fixture(scope="module")
def features(tiny_run: Path, tiny_data: PackedData) -> Features:
    return Features(tiny_data, Embedder(tiny_run / "model", "cpu", "fp32"))


def test_the_keys_of_an_evaluation(features: Features) -> None:
    scores = evaluate(features)
    retrieval = {"hit@1", "hit@2", "hit@3", "hit@4", "hit@5", "map", "chance"}
    assert {key: set(part) for key, part in scores.items()} == {
        "image": {"probe", "knn"},
        "sound": {"probe", "knn"},
        "sound_to_image": retrieval,
        "image_to_sound": retrieval,
        "n": {f"{modality}_{split}" for modality in ("image", "sound") for split in ("train", "val", "test")},
    }
    assert scores["n"] == {
        "image_train": 13,
        "image_val": 3,
        "image_test": 6,
        "sound_train": 13,
        "sound_val": 3,
        "sound_test": 6,
    }
    assert all(0 <= value <= 1 for key, part in scores.items() if key != "n" for value in part.values())
    assert scores["sound_to_image"]["chance"] == pytest.approx(1 / 3)
    json.dumps(scores)


def test_probes_of_an_easily_learned_set_are_good(features: Features) -> None:
    scores = evaluate(features)
    assert scores["image"]["probe"] >= 5 / 6
    assert scores["sound"]["probe"] >= 5 / 6


def test_retrieval_reads_z_of_the_test_split(features: Features) -> None:
    sounds, sound = features.split("test", "sound")
    images, image = features.split("test", "image")
    expected = brute_force(sound.z, image.z, sounds.labels, images.labels)
    assert evaluate(features)["sound_to_image"] == pytest.approx(expected)


Relabel = Callable[[Callable[[Row], Row | Iterable[Row] | None]], PackedData]


@pytest.fixture
def relabel(tiny_rows: Path, tmp_path: Path) -> Relabel:
    """`relabel(change)`: the tiny set with every row changed, made several, or left out where `change` gives None."""

    def make(change: Callable[[Row], Row | Iterable[Row] | None]) -> PackedData:
        for name in ("images", "sounds"):
            (tmp_path / name).symlink_to(tiny_rows.parent / name)
        changed = (change(row) or () for row in read_rows(tiny_rows))
        rows = [row for part in changed for row in ([part] if isinstance(part, Row) else part)]
        write_rows(tmp_path / "rows.csv", rows)
        return open_data(tmp_path, 32, 8000)

    return make


def test_probes_may_be_fitted_on_another_set(features: Features, relabel: Relabel) -> None:
    def two_classes(row: Row) -> Row | None:
        return None if row.label == "blue" else row

    other = Features(relabel(two_classes), features.embedder)
    scores = evaluate(features, probe=other)
    assert scores["n"]["image_test"] == 4
    assert scores["sound_to_image"] == evaluate(features)["sound_to_image"]


def test_what_can_not_be_measured_is_absent(features: Features, relabel: Relabel) -> None:
    def images_alone(row: Row) -> Row | None:
        return Row(row.split, row.label, row.image) if row.image else None

    scores = evaluate(Features(relabel(images_alone), features.embedder))
    assert set(scores) == {"image", "n"}
    assert scores["n"]["sound_test"] == 0


def test_nothing_to_measure_is_said(features: Features, relabel: Relabel) -> None:
    def no_labels(row: Row) -> Row:
        return Row(row.split, "", row.image, row.sound)

    with pytest.raises(EvaluationError, match="has no labelled test rows to score"):
        evaluate(Features(relabel(no_labels), features.embedder))


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_the_raw_probe_needs_no_val(features: Features, relabel: Relabel, modality: Any) -> None:
    without_val = Features(relabel(lambda row: None if row.split == "val" else row), features.embedder)
    assert raw_probe(without_val, modality) >= 5 / 6  # colours and tones: the raw input says it all
    assert raw_probe(features, modality) >= 5 / 6


def test_classes_that_training_does_not_know_are_left_out(features: Features, relabel: Relabel) -> None:
    def unknown_test_class(row: Row) -> Row | None:
        return None if row.split != "test" and row.label == "blue" else row

    scores = evaluate(Features(relabel(unknown_test_class), features.embedder))
    assert scores["image"]["probe"] == 1.0  # of the four test images of known classes
    assert scores["n"]["image_test"] == 6


def test_stretches_of_a_file_are_scored_together_too(features: Features, relabel: Relabel) -> None:
    def halves(row: Row) -> Iterator[Row]:
        if not (row.sound and row.split == "test"):
            yield row
            return
        yield replace(row, duration=0.2)
        yield replace(row, image="", id=f"{row.id}-2", start=0.2)
        if row.label == "blue":
            yield replace(row, label="of no class that is known", image="", start=0.1, duration=0.15)

    scores = evaluate(Features(relabel(halves), features.embedder))
    assert scores["n"]["sound_test"] == 14
    assert set(scores["image"]) == {"probe", "knn"}
    assert set(scores["sound"]) == {"probe", "knn", "probe_clip"}
    files = scores["sound"]["probe_clip"] * 6
    assert files == pytest.approx(round(files))
    assert files >= 5
