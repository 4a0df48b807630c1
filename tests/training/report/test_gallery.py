from __future__ import annotations

import numpy as np

from training.report.gallery import find_answers, spread
from training.report.report import Report


def test_hits_are_those_of_a_search_through_all(report: Report) -> None:
    assert report.findings
    sounds, images = report.findings.samples["sound"], report.findings.samples["image"]
    for answer in find_answers(sounds, images, 4, k=2):
        query = sounds.z[answer.query].astype(np.float64)
        scores = {place: float(query @ z.astype(np.float64)) for place, z in enumerate(images.z)}
        best = sorted(scores, key=lambda place: -scores[place])[:2]
        assert [hit.item for hit in answer.hits] == best
        for hit in answer.hits:
            assert abs(hit.score - scores[hit.item]) < 1e-5
            assert hit.right == (images.items.labels[hit.item] == sounds.items.labels[answer.query])


def test_queries_are_spread_over_the_classes() -> None:
    classes = ["a"] * 50 + ["b"] * 3 + ["c"]
    chosen = [classes[place] for place in spread(classes, 6)]
    assert sorted(chosen) == ["a", "a", "a", "b", "b", "c"]
    many = [f"{number:02d}" for number in range(40)]
    assert len(set(spread(many, 12))) == 12
    assert {0, 39} <= set(spread(many, 12))
    assert spread(["a", "a"], 12) == [0, 1]
