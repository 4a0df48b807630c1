"""The paired bootstrap against a slow reference, closed forms, and simulations whose truth is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from training.study.bootstrap import Paired, bootstrap, components, needed


def simulate(rng: np.random.Generator, seeds: int, clips: int, mean: float, sd: tuple[float, float, float]) -> Paired:
    """Crossed effects of seeds, clips and the rest, one item a clip."""
    of_seed, of_clip, rest = sd
    d = mean + of_seed * rng.normal(size=(seeds, 1)) + of_clip * rng.normal(size=clips)
    return Paired(d + rest * rng.normal(size=(seeds, clips)), np.ones(clips))


def test_sums_by_clip_are_a_loops() -> None:
    rng = np.random.default_rng(0)
    d, clips = rng.normal(size=(3, 20)), rng.integers(100, 105, 20)
    paired = Paired.of(d, clips)
    for place, clip in enumerate(sorted(set(clips.tolist()))):
        assert paired.counts[place] == sum(clips == clip)
        for seed in range(3):
            total = sum(d[seed, item] for item in range(20) if clips[item] == clip)
            assert paired.sums[seed, place] == pytest.approx(total)
    assert paired.mean == pytest.approx(d.mean())


def test_the_interval_is_a_slow_loops() -> None:
    rng = np.random.default_rng(1)
    d, clips = rng.normal(0.3, 1, size=(4, 60)), rng.integers(0, 25, 60)
    means = []
    for _ in range(3000):
        seeds = rng.integers(0, 4, 4)
        items = np.concatenate(
            [np.flatnonzero(clips == c) for c in rng.choice(np.unique(clips), len(np.unique(clips)))]
        )
        means.append(d[seeds][:, items].mean())
    interval = bootstrap(Paired.of(d, clips))
    assert interval.mean == pytest.approx(d.mean())
    assert (interval.low, interval.high) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.03)


def test_items_of_a_clip_are_no_more_evidence_than_the_clip() -> None:
    rng = np.random.default_rng(2)
    d, clips = rng.normal(size=(3, 40)), np.arange(40)
    once, tenfold = bootstrap(Paired.of(d, clips)), bootstrap(Paired.of(np.tile(d, 10), np.tile(clips, 10)))
    assert (once.low, once.high) == pytest.approx((tenfold.low, tenfold.high))


def test_seeds_that_agree_on_the_clips_leave_the_clips_error() -> None:
    rng = np.random.default_rng(3)
    row = rng.normal(size=400)
    interval = bootstrap(Paired.of(np.tile(row, (5, 1)), np.arange(400)))
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * row.std() / 20, rel=0.05)


@pytest.mark.parametrize(
    ("sd", "least", "most"),
    [((0.0, 1.0, 0.0), 0.91, 0.985), ((0.02, 0.5, 0.5), 0.92, 1.0), ((0.3, 0.5, 0.5), 0.75, 0.95)],
    ids=["clips", "all", "mostly seeds: of five, too short, as the docstring says"],
)
def test_intervals_cover_the_truth_about_as_often_as_they_say(
    sd: tuple[float, float, float], least: float, most: float
) -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        interval = bootstrap(simulate(rng, 5, 100, 0.2, sd), resamples=400)
        covered += interval.low <= 0.2 <= interval.high
    assert least <= covered / 400 <= most


def test_a_gain_is_claimed_where_there_is_one_and_seldom_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    sd = (0.01, 0.3, 0.5)
    verdicts = {
        truth: [bootstrap(simulate(rng, 5, 250, truth, sd), resamples=400).verdict for _ in range(200)]
        for truth in (-0.1, 0.0, 0.1)
    }
    assert verdicts[0.1].count("gain") > 190
    assert verdicts[-0.1].count("loss") > 190
    assert verdicts[0.0].count("open") > 184


def test_it_is_fast_and_the_same_each_time() -> None:
    paired = simulate(np.random.default_rng(6), 5, 700, 0.1, (0.1, 1, 1))
    begun = time.perf_counter()
    first = bootstrap(paired)
    assert time.perf_counter() - begun < 5  # a tenth of it where nothing else is at work
    assert bootstrap(paired) == first


def test_components_are_those_that_were_put_in() -> None:
    rng = np.random.default_rng(7)
    found = [components(simulate(rng, 8, 120, 0.5, (0.3, 0.6, 0.9))) for _ in range(300)]
    means = [np.mean([getattr(one, name) for one in found]) for name in ("seed", "clip", "rest")]
    assert means == pytest.approx([0.09, 0.36, 0.81], rel=0.06)


def test_components_are_a_loops_mean_squares() -> None:
    paired = simulate(np.random.default_rng(8), 4, 9, 0.5, (0.5, 0.5, 0.1))
    d = paired.sums
    of_seeds = sum((row.mean() - d.mean()) ** 2 for row in d) * 9 / 3
    of_clips = sum((column.mean() - d.mean()) ** 2 for column in d.T) * 4 / 8
    rest = sum((d[s, c] - d[s].mean() - d[:, c].mean() + d.mean()) ** 2 for s in range(4) for c in range(9)) / (3 * 8)
    found = components(paired)
    expected = ((of_seeds - rest) / 9, (of_clips - rest) / 4, rest)
    assert (found.seed, found.clip, found.rest) == pytest.approx(expected)


def test_so_many_clips_do_and_one_less_does_not() -> None:
    paired = simulate(np.random.default_rng(9), 5, 300, 0.04, (0.01, 0.5, 0.5))
    v, mean = components(paired), abs(paired.mean)

    def error(seeds: int, clips: int) -> float:
        return float(np.sqrt(v.seed / seeds + v.clip / clips + v.rest / seeds / clips))

    many = needed(paired)
    assert many.clips is not None
    assert many.clips > 300
    assert 1.959964 * error(5, many.clips) < mean <= 1.959964 * error(5, many.clips - 2)


def test_a_repeat_of_the_needed_size_shows_it_about_half_of_the_time() -> None:
    rng, sd = np.random.default_rng(10), (0.0, 0.4, 0.4)
    clips = round((sd[1] ** 2 + sd[2] ** 2 / 5) / (0.05 / 1.96) ** 2)
    shown = [bootstrap(simulate(rng, 5, clips, 0.05, sd), resamples=300).verdict for _ in range(200)]
    assert 0.35 < shown.count("gain") / 200 < 0.6


def test_where_seeds_differ_most_clips_alone_never_settle_it() -> None:
    rng = np.random.default_rng(11)
    d = np.array([[0.5], [-0.4], [0.3], [-0.3], [0.05]]) + 0.1 * rng.normal(size=(5, 200))
    many = needed(Paired(d, np.ones(200)))
    assert many.clips is None
    assert many.seeds is not None
    assert many.seeds > 5


def test_more_are_needed_than_did_not_do() -> None:
    paired = Paired(np.random.default_rng(13).normal(0.5, 1, size=(4, 60)), np.ones(60))  # settled many times over
    many = needed(paired)
    assert (many.clips, many.seeds) == (61, 5)


def test_of_one_seed_only_clips_are_known() -> None:
    one = Paired(np.random.default_rng(12).normal(0.1, 1, size=(1, 50)), np.ones(50))
    many = needed(one)
    assert many.seeds is None
    assert many.clips is not None


def test_no_difference_is_never_settled() -> None:
    none = Paired(np.zeros((3, 10)), np.ones(10))
    assert bootstrap(none).verdict == "open"
    assert (needed(none).clips, needed(none).seeds) == (None, None)


@pytest.mark.parametrize("shape", [(2, 3), (0, 4), (4,)])
def test_what_does_not_belong_together_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        Paired.of(np.zeros(shape), np.arange(4))
