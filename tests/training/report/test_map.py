from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from training.features import Items
from training.report.frame import Panel
from training.report.map import flatten
from training.report.report import Findings, Report
from training.report.scatter import show_map


def test_the_plane_is_the_one_of_most_variance() -> None:
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    spread = np.array([5.0, 3.0, 0.5, 0.2, 0.1, 0.0])
    z = (rng.normal(size=(400, 6)) * spread) @ basis.T + 7
    flat = flatten(z.astype(np.float32))
    left, singular, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    for axis in range(2):
        expected = left[:, axis] * singular[axis]
        loading = right[axis][np.abs(right[axis]).argmax()]
        np.testing.assert_allclose(flat.places[:, axis], expected * np.sign(loading), atol=1e-3)
    assert flat.share == pytest.approx(float((singular[:2] ** 2).sum() / (singular**2).sum()), rel=1e-5)


def test_what_is_far_apart_on_the_map_is_at_least_as_far_apart_in_z() -> None:
    z = np.random.default_rng(1).normal(size=(30, 8))
    places = flatten(z).places
    for one in range(30):
        for other in range(one):
            assert np.linalg.norm(places[one] - places[other]) <= np.linalg.norm(z[one] - z[other]) + 1e-9


def test_points_that_do_not_vary_or_have_one_dimension_have_a_map() -> None:
    still = flatten(np.ones((3, 4)))
    assert still.places.tolist() == [[0, 0]] * 3
    assert np.isnan(still.share)
    line = flatten(np.array([[1.0], [3.0]]))
    assert line.places.tolist() == [[-1, 0], [1, 0]]
    assert line.share == pytest.approx(1)
    with pytest.raises(ValueError, match=r"\[N, d\], not \[0, 4\]"):
        flatten(np.empty((0, 4)))


def relabel(report: Report, labels: list[str]) -> Findings:
    assert report.findings
    samples = {
        modality: dataclasses.replace(sample, items=Items(sample.items.numbers, labels, sample.items.clips))
        for modality, sample in report.findings.samples.items()
    }
    return dataclasses.replace(report.findings, samples=samples)


def marks(panel: Panel) -> int:
    return panel.drawing.count("M") - panel.drawing.count("<text M")


def test_every_item_has_a_mark_in_the_look_of_its_class_and_kind(report: Report) -> None:
    panel = show_map(relabel(report, ["b", "a", "b"]))
    assert marks(panel) == 6
    for look in ("marks image of-0", "marks sound of-0", "marks image of-1", "marks sound of-1"):
        assert f'class="{look}"' in panel.drawing
    assert [key.name for key in panel.keys] == ["image", "sound", "a", "b"]
    assert "3 images and 3 sounds of split val" in panel.about


def test_without_classes_the_modalities_have_the_colours(report: Report) -> None:
    panel = show_map(relabel(report, ["", "", ""]))
    assert marks(panel) == 6
    assert 'class="marks image"' in panel.drawing
    assert [key.look for key in panel.keys] == ["marks image", "marks sound"]
    assert "<text" not in panel.drawing


def test_of_many_classes_the_most_frequent_are_coloured(report: Report) -> None:
    findings = relabel(report, ["", "", ""])
    many = {
        modality: dataclasses.replace(
            sample,
            z=np.tile(sample.z, (8, 1)),
            items=Items(
                np.arange(24, dtype=np.int32), [f"{n:02d}" for n in (*range(12), *range(2, 14))], np.arange(24)
            ),
        )
        for modality, sample in findings.samples.items()
    }
    panel = show_map(dataclasses.replace(findings, samples=many))
    assert [key.name for key in panel.keys[2:]] == [f"{n:02d}" for n in range(2, 12)]
    assert 'class="marks image others"' in panel.drawing
    assert panel.about.endswith("The 10 most frequent of 14 classes are coloured.")
