from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.packed import PackedData
from training.features import Items
from training.model.bundle import load_bundle
from training.model.embedder import Embedder
from training.model.memory import MODALITIES
from training.model.preprocess import windows
from training.report import sample as samples
from training.report.report import Report
from training.report.sample import Sample, take_sample
from training.report.usage import find_slots, measure_agreement, measure_alikeness, measure_usage


def made_up(weights: list[list[float]], queries: list[int], first: list[int]) -> Sample:
    table = np.array(weights, np.float32)
    items = Items(np.arange(len(table), dtype=np.int32), [""] * len(table), np.arange(len(table)))
    z = np.ones((len(table), 2), np.float32)
    counts = np.array(queries)
    entropies, recalled = np.zeros(len(first), np.float32), np.zeros((len(table), 1), np.float32)
    return Sample("sound", items, len(table), z, table, counts, entropies, np.array(first), recalled)


def test_usage_equals_a_slow_loop(report: Report, tiny_data: PackedData) -> None:
    """Addressing by Eq. 1 and 2 for every query of the split, one slot after the other, in float64."""
    assert report.bundle
    assert report.findings
    model, preprocessor = report.bundle.model.double(), report.bundle.preprocessor
    try:
        for modality, usage in zip(MODALITIES, report.findings.usages, strict=True):
            total, effective, first = np.zeros(8), [], set()
            for number in report.findings.samples[modality].items.numbers.tolist():
                if modality == "image":
                    x = preprocessor.image(torch.from_numpy(np.array(tiny_data.images[number]))[None])
                else:
                    wave = torch.from_numpy(np.array(tiny_data.wave(number)))
                    x = preprocessor.sound(windows(wave, preprocessor.config.window_samples))
                for f in model.encode(x.double(), modality):
                    weights = slow_addressing(f.tolist(), model.memory.key(modality).tolist(), model.memory.tau_m)
                    total += weights
                    effective.append(math.exp(-sum(w * math.log(w) for w in weights)))
                    first.add(int(np.argmax(weights)))
            assert usage.queries == len(effective)
            np.testing.assert_allclose(usage.mean, total / len(effective), rtol=1e-3)
            np.testing.assert_allclose(usage.effective, effective, rtol=1e-3)
            assert usage.never == 8 - len(first)
    finally:
        model.float()


def slow_addressing(f: list[float], key: list[list[float]], tau: float) -> list[float]:
    def cosine(a: list[float], b: list[float]) -> float:
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    powers = [math.exp(cosine(f, slot) / tau) for slot in key]
    return [power / sum(powers) for power in powers]


def test_shares_and_slots_that_nobody_chooses_first() -> None:
    usage = measure_usage(made_up([[0.5, 0.3, 0.15, 0.05]], [1], [0]))
    assert usage.covering == (1, 3, 4)
    assert usage.never == 3
    assert usage.mean.sum() == pytest.approx(1)


def test_each_query_counts_the_same() -> None:
    usage = measure_usage(made_up([[1, 0], [0, 1]], [3, 1], [0, 0, 0, 1]))
    assert usage.mean.tolist() == [0.75, 0.25]


def test_the_most_used_slots_come_with_those_who_address_them_most() -> None:
    sample = made_up([[0.7, 0.3, 0.0], [0.2, 0.5, 0.3], [0.6, 0.4, 0.0]], [1, 1, 1], [0, 1, 0])
    slots = find_slots([sample], [measure_usage(sample)], many=2, k=2)
    assert [slot.number for slot in slots] == [0, 1]
    assert [place for place, _ in slots[0].exemplars["sound"]] == [0, 2]
    assert [place for place, _ in slots[1].exemplars["sound"]] == [1, 2]
    assert slots[1].exemplars["sound"][0][1] == pytest.approx(0.5)


def test_a_sample_sees_what_the_embedder_sees(report: Report, tiny_data: PackedData) -> None:
    assert report.bundle
    assert report.findings
    embedder = Embedder(report.bundle, "cpu", "fp32")
    for modality, sample in report.findings.samples.items():
        read = tiny_data.images.__getitem__ if modality == "image" else tiny_data.wave
        items = [np.array(read(number)) for number in sample.items.numbers.tolist()]
        embedding = embedder.embed_images(items) if modality == "image" else embedder.embed_sounds(items)
        np.testing.assert_allclose(sample.z, embedding.z, atol=1e-4)
        np.testing.assert_allclose(sample.weights.sum(axis=1), 1, atol=1e-5)


def test_large_splits_are_sampled_evenly(
    report: Report, tiny_data: PackedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report.bundle
    embedder = Embedder(report.bundle, "cpu", "fp32")
    monkeypatch.setattr(samples, "MOST_ITEMS", 3)
    sample = take_sample(tiny_data, embedder, "test", "image")
    whole = [number for row, (number, _) in zip(tiny_data.rows, tiny_data.index, strict=True) if row.split == "test"]
    assert sample.items.numbers.tolist() == [whole[0], whole[2], whole[5]]
    assert sample.total == 6
    monkeypatch.setattr(samples, "MOST_WINDOWS", 2)
    assert len(take_sample(tiny_data, embedder, "test", "sound").items.numbers) < 3


def test_alikeness_is_the_cosine_of_every_pair_that_recalls_anything(report: Report) -> None:
    assert report.findings
    for sample in report.findings.samples.values():
        cosines = []
        for one in range(len(sample.recalled)):
            for other in range(one + 1, len(sample.recalled)):
                a, b = sample.recalled[one].tolist(), sample.recalled[other].tolist()
                dot = sum(x * y for x, y in zip(a, b, strict=True))
                cosines.append(dot / math.hypot(*a) / math.hypot(*b))
        np.testing.assert_allclose(measure_alikeness(sample), cosines, rtol=1e-5)
    silent = made_up([[1, 0], [0, 1]], [1, 1], [0, 1])
    assert measure_alikeness(silent).shape == (0,)


def test_what_is_recalled_is_the_other_half_of_h(report: Report, tiny_run: Path) -> None:
    assert report.findings
    memory = load_bundle(tiny_run / "model").model.memory
    for modality, sample in report.findings.samples.items():
        expected = sample.weights @ memory.value(modality).detach().numpy()  # a mean over windows is linear
        np.testing.assert_allclose(sample.recalled, expected, atol=1e-4)


def with_labels(sample: Sample, labels: list[str]) -> Sample:
    return dataclasses.replace(sample, items=Items(sample.items.numbers, labels, sample.items.clips))


def test_agreement_is_one_for_slots_of_a_class_and_chance_for_slots_of_all() -> None:
    labels = ["a", "a", "b", "b"]
    linked = with_labels(made_up([[1, 0], [1, 0], [0, 1], [0, 1]], [1] * 4, [0, 0, 1, 1]), labels)
    loose = with_labels(made_up([[0.5, 0.5]] * 4, [1] * 4, [0] * 4), labels)
    assert measure_agreement([linked, linked]) == pytest.approx((1, 0.5))
    assert measure_agreement([linked, loose]) == pytest.approx((0.5, 0.5))
    turned = with_labels(linked, labels[::-1])
    assert measure_agreement([linked, turned]) == pytest.approx((0, 0.5))
    assert measure_agreement([with_labels(linked, [""] * 4)] * 2) is None
