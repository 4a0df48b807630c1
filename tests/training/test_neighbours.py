"""kNN against brute force."""

import numpy as np
import pytest
import torch

from training.neighbours import choose_k, knn_predict
from training.probe import Labelled


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
    (predicted,) = knn_predict(train, test.features, [k])
    assert float((predicted == test.labels).double().mean()) == pytest.approx(brute_knn(train, test, k))


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


def test_several_values_of_k_and_parts_of_the_items_vote_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    train, test = labelled(rng, 40), labelled(rng, 61)
    alone = [knn_predict(train, test.features, [k])[0] for k in (1, 3, 20)]
    monkeypatch.setattr("training.neighbours._TOGETHER", 8)
    together = knn_predict(train, test.features, [1, 3, 20])
    assert together.shape == (3, 61)
    assert torch.equal(together, torch.stack(alone))
