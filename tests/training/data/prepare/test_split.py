"""Which split a clip is in where a data set does not say: by names alone."""

from __future__ import annotations

from collections import Counter

import pytest

from training.data.prepare.split import assign, take_val

NAMES = [f"clip {number}" for number in range(3000)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_about_the_share_becomes_val(share: float) -> None:
    assert len(take_val(NAMES, share)) == pytest.approx(3000 * share, abs=80)
    assert take_val(NAMES, 0) == set()


def test_a_name_stays_where_it_is() -> None:
    chosen = take_val(NAMES, 0.1)
    assert take_val(NAMES[::-1][:500], 0.1) == chosen & set(NAMES[-500:])
    assert chosen < take_val(NAMES, 0.2)


def test_splits_depend_on_names_alone() -> None:
    clips = [f"clip {number}" for number in range(3000)]
    splits = assign(clips, clips)
    counts = Counter(splits.values())
    assert counts["train"] == pytest.approx(2400, abs=100)
    assert counts["val"] == pytest.approx(300, abs=60)
    assert assign(clips[::-1], clips[:100]) == splits
    assert {**assign(clips[:500], clips[:500])}.items() <= splits.items()


@pytest.mark.parametrize("count", range(1, 9))
def test_few_clips_with_pairs_reach_the_splits_that_matter(count: int) -> None:
    reached = {1: {"train"}, 2: {"train", "test"}}.get(count, {"train", "val", "test"})
    for trial in range(100):
        pairs = [f"{trial} {number}" for number in range(count)]
        splits = assign([*pairs, "another"], pairs)
        assert {splits[clip] for clip in pairs} == reached
        assert splits["another"] == assign(["another"], [])["another"]
