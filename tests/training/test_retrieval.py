"""Scores of retrieval against brute force on small arrays."""

import statistics
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest

from training.retrieval import retrieval_scores

Vectors = npt.NDArray[np.float32]


def unit(rng: np.random.Generator, n: int, d: int = 4) -> Vectors:
    vectors = rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def brute_force(
    queries: Vectors, targets: Vectors, query_labels: list[str], target_labels: list[str]
) -> dict[str, float]:
    hits = dict.fromkeys(range(1, 6), 0)
    precisions, chances, firsts = [], [], []
    recalls: dict[int, list[float]] = {1: [], 5: [], 10: []}
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
        firsts.append(right.index(True) + 1 if any(right) else len(right) + 1)
        for k, shares in recalls.items():
            shares.append(sum(right[:k]) / sum(right) if any(right) else 0.0)
    n = len(queries)
    return {
        **{f"hit@{k}": count / n for k, count in hits.items()},
        "map": sum(precisions) / n,
        **{f"recall@{k}": sum(shares) / n for k, shares in recalls.items()},
        "median_rank": statistics.median(firsts),
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
    found = np.maximum(ranked.sum(axis=1), 1)
    average = (precision * ranked).sum(axis=1) / found
    assert retrieval_scores(queries, targets, query_labels, target_labels) == {
        **{f"hit@{k}": ranked[:, :k].any(axis=1).mean() for k in range(1, 6)},
        "map": average.mean(),
        **{f"recall@{k}": (ranked[:, :k].sum(axis=1) / found).mean() for k in (1, 5, 10)},
        "median_rank": np.median(np.where(ranked.any(axis=1), ranked.argmax(axis=1), t) + 1),
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
    assert all(value == 1.0 for key, value in scores.items() if key != "chance")
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
