"""What becomes val where a data set has no such split: a share, by names alone."""

from __future__ import annotations

import pytest

from training.data.prepare.split import take_val

NAMES = [f"clip {number}" for number in range(3000)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_about_the_share_becomes_val(share: float) -> None:
    assert len(take_val(NAMES, share)) == pytest.approx(3000 * share, abs=80)
    assert take_val(NAMES, 0) == set()


def test_a_name_stays_where_it_is() -> None:
    chosen = take_val(NAMES, 0.1)
    assert take_val(NAMES[::-1][:500], 0.1) == chosen & set(NAMES[-500:])
    assert chosen < take_val(NAMES, 0.2)
