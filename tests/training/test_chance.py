"""Chance levels against every order there is, and against orders drawn at random."""

import math
import statistics
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.chance import constant_guess, expected_precision, random_order

HITS, RECALLS = (1, 2, 3), (1, 5)


def every_order(relevant: int, targets: int) -> list[tuple[int, ...]]:
    """The ranks of the right targets in each of the orders that can be told apart, all as likely."""
    return list(combinations(range(1, targets + 1), relevant))


def precision(ranks: tuple[int, ...]) -> float:
    return sum(found / rank for found, rank in enumerate(ranks, start=1)) / len(ranks) if ranks else 0.0


counted = st.integers(1, 9).flatmap(
    lambda targets: st.tuples(st.just(targets), st.lists(st.integers(0, targets), min_size=1, max_size=4))
)


@given(counted)
@settings(deadline=None, max_examples=60)
def test_a_random_order_scores_the_mean_of_all_orders(case: tuple[int, list[int]]) -> None:
    targets, relevant = case
    orders = [every_order(count, targets) for count in relevant]
    expected = {
        **{f"hit@{k}": _mean([[any(r <= k for r in ranks) for ranks in each] for each in orders]) for k in HITS},
        "map": _mean([[precision(ranks) for ranks in each] for each in orders]),
        **{
            f"recall@{k}": _mean(
                [[sum(r <= k for r in ranks) / max(len(ranks), 1) for ranks in each] for each in orders]
            )
            for k in RECALLS
        },
    }
    # each query's orders weigh as much as another's, so each is repeated up to a common number
    common = math.lcm(*(len(each) for each in orders))
    firsts = [min(ranks, default=targets + 1) for each in orders for ranks in each * (common // len(each))]
    expected["median_rank"] = statistics.median(firsts)
    found = random_order(np.array(relevant), targets, HITS, RECALLS)
    assert found == pytest.approx(expected, abs=1e-9)


def _mean(of_queries: list[list[float]] | list[list[bool]]) -> float:
    return statistics.fmean(statistics.fmean(each) for each in of_queries)


def test_a_random_order_scores_what_drawn_orders_do() -> None:
    """Of a size that can't be counted through: 60 targets of three classes, drawn 4,000 times."""
    rng = np.random.default_rng(0)
    of = np.repeat([0, 1, 2], [40, 15, 5])
    wanted = np.array([0, 0, 1, 2])
    drawn: dict[str, list[float]] = {name: [] for name in ("hit@1", "hit@3", "map", "recall@5", "first")}
    for _ in range(4000):
        order = rng.permutation(of)
        for label in wanted:
            ranks = tuple(int(place) + 1 for place in np.flatnonzero(order == label))
            drawn["hit@1"].append(ranks[0] <= 1)
            drawn["hit@3"].append(ranks[0] <= 3)
            drawn["map"].append(precision(ranks))
            drawn["recall@5"].append(sum(rank <= 5 for rank in ranks) / len(ranks))
            drawn["first"].append(ranks[0])
    found = random_order(np.array([(of == label).sum() for label in wanted]), len(of), HITS, RECALLS)
    for name in ("hit@1", "hit@3", "map", "recall@5"):
        error = 4 * float(np.std(drawn[name])) / math.sqrt(len(drawn[name]))
        assert found[name] == pytest.approx(np.mean(drawn[name]), abs=error), name
    assert found["median_rank"] == np.median(drawn["first"])


def test_the_first_hits_chance_is_the_share_of_right_targets() -> None:
    found = random_order(np.array([3, 0, 12]), 20, (1, 50), (20,))
    assert found["hit@1"] == pytest.approx((3 + 0 + 12) / 60)
    assert found["hit@50"] == pytest.approx(2 / 3)  # all of the targets
    assert found["recall@20"] == pytest.approx(2 / 3)


def test_where_every_target_is_right_chance_is_perfect() -> None:
    found = random_order(np.array([7, 7]), 7, HITS, (7,))
    assert set(found.values()) == {1.0}
    assert expected_precision(1, 1) == 1.0


def test_where_no_query_has_a_right_target_nothing_is_found() -> None:
    found = random_order(np.array([0]), 7, HITS, RECALLS)
    assert found.pop("median_rank") == 8
    assert set(found.values()) == {0.0}


def test_large_sets_stay_finite() -> None:
    found = random_order(np.array([1, 500, 49_999]), 50_000, HITS, RECALLS)
    assert all(math.isfinite(value) for value in found.values())
    assert found["hit@1"] == pytest.approx((1 + 500 + 49_999) / 150_000)


def test_a_constant_guess_is_the_most_frequent_class() -> None:
    assert constant_guess(np.array([0, 1, 2, 2, 1, 2])) == 0.5
    assert constant_guess(np.array([4, 0, 2, 1])) == 0.25
