"""The shape of a whole evaluation, and what it takes from its parts."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.data.pack import open_data
from training.data.packed import PackedData
from training.data.rows import Row, read_rows, write_rows
from training.evaluate import EvaluationError, evaluate, measure, raw_probe
from training.features import Features
from training.model.embedder import Embedder
from training.model.memory import Modality
from training.neighbours import NEIGHBOURS
from training.probe import STRENGTHS
from training.retrieval import retrieval_scores

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


@pytest.fixture(scope="module")
def features(tiny_run: Path, tiny_data: PackedData) -> Features:
    return Features(tiny_data, Embedder(tiny_run / "model", "cpu", "fp32"))


CLASSIFIED = {"probe", "knn", "chance", "strength", "neighbours", "chosen_on", "left_out", "tested"}
CLASSIFIED |= {"classes", "confusion", "class_recall", "data"}
HITS = [f"hit@{k}" for k in range(1, 6)]
RECALLS = [f"recall@{k}" for k in (1, 5, 10)]


def test_the_keys_of_an_evaluation(features: Features) -> None:
    scores = evaluate(features)
    measured = {*HITS, *RECALLS, "map", "median_rank"}
    retrieval = measured | {"chance", "chances", "queries", "targets", "classes", "class_hit@1", "data"}
    assert {key: set(part) for key, part in scores.items()} == {
        "image": CLASSIFIED,
        "sound": CLASSIFIED,
        "sound_to_image": retrieval,
        "image_to_sound": retrieval,
        "n": {f"{modality}_{split}" for modality in ("image", "sound") for split in ("train", "val", "test")},
    }
    assert set(scores["sound_to_image"]["chances"]) == measured
    assert scores["n"] == {
        "image_train": 13,
        "image_val": 3,
        "image_test": 6,
        "sound_train": 13,
        "sound_val": 3,
        "sound_test": 6,
    }
    shares = [scores[part][name] for part in ("image", "sound") for name in ("probe", "knn")]
    shares += [scores[way][name] for way in ("sound_to_image", "image_to_sound") for name in (*HITS, *RECALLS, "map")]
    assert all(0 <= share <= 1 for share in shares)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_chance_is_beside_every_score(features: Features) -> None:
    scores = evaluate(features)  # two test items of each of three classes
    assert scores["image"]["chance"] == scores["sound"]["chance"] == pytest.approx(1 / 3)
    assert scores["sound_to_image"]["chance"] == pytest.approx(1 / 3)
    chances = scores["sound_to_image"]["chances"]
    assert chances["hit@1"] == pytest.approx(1 / 3)
    assert chances["hit@2"] == pytest.approx(1 - 4 / 6 * 3 / 5)
    assert chances["recall@5"] == pytest.approx(5 / 6)
    assert chances["recall@10"] == chances["hit@5"] == pytest.approx(1)
    assert chances["median_rank"] == 2


def test_scores_by_class_add_up_to_those_of_all(features: Features) -> None:
    scores = evaluate(features)
    for modality in ("image", "sound"):
        part = scores[modality]
        assert part["classes"] == ["blue", "green", "red"]
        confusion = np.array(part["confusion"])
        assert confusion.sum(axis=1).tolist() == [2, 2, 2]
        assert confusion.trace() / confusion.sum() == part["probe"]
        assert part["class_recall"] == (confusion.diagonal() / 2).tolist()
    for way in ("sound_to_image", "image_to_sound"):
        assert scores[way]["classes"] == ["blue", "green", "red"]
        assert np.mean(scores[way]["class_hit@1"]) == pytest.approx(scores[way]["hit@1"])
        assert (scores[way]["queries"], scores[way]["targets"]) == (6, 6)


def test_what_was_chosen_is_said(features: Features, relabel: Relabel) -> None:
    part = evaluate(features)["image"]
    assert part["strength"] in STRENGTHS
    assert part["neighbours"] in NEIGHBOURS
    assert part["chosen_on"] == "val"
    without_val = Features(relabel(lambda row: None if row.split == "val" else row), features.embedder)
    part = evaluate(without_val)["image"]
    assert (part["strength"], part["neighbours"], part["chosen_on"]) == (STRENGTHS[2], 5, None)


def test_probes_of_an_easily_learned_set_are_good(features: Features) -> None:
    scores = evaluate(features)
    assert scores["image"]["probe"] >= 5 / 6
    assert scores["sound"]["probe"] >= 5 / 6


def test_retrieval_reads_z_of_the_test_split(features: Features) -> None:
    sounds, sound = features.split("test", "sound")
    images, image = features.split("test", "image")
    expected = retrieval_scores(sound.z, image.z, sounds.labels, images.labels)
    found = evaluate(features)["sound_to_image"]
    assert {name: found[name] for name in expected} == expected


def test_every_score_is_the_mean_of_its_outcomes(features: Features) -> None:
    measured = measure(features)
    for part, names in {
        **dict.fromkeys(("image", "sound"), ("probe", "knn")),
        **dict.fromkeys(("sound_to_image", "image_to_sound"), (*HITS, *RECALLS, "map")),
    }.items():
        modality: Modality = "image" if part.startswith("image") else "sound"
        clips = features.split("test", modality)[0].clips
        for name in names:
            outcome = measured.outcomes[f"{part}.{name}"]
            assert outcome.values.dtype == np.float64
            assert outcome.clips.dtype == np.int64
            assert outcome.values.mean() == outcome.score == measured.scores[part][name]
            assert outcome.clips.tolist() == clips.tolist()


def test_probes_may_be_fitted_on_another_set(features: Features, relabel: Relabel) -> None:
    """As if the other set were the only one; retrieval stays where it was."""

    def two_classes(row: Row) -> Row | None:
        return None if row.label == "blue" else replace(row, label=f"a {row.label} thing")

    other = Features(relabel(two_classes), features.embedder)
    transfer, own, alone = measure(features, probe=other), measure(features), measure(other)
    assert transfer.scores["n"] == alone.scores["n"]
    assert transfer.scores["n"]["image_test"] == 4
    for modality in ("image", "sound"):
        assert transfer.scores[modality] == alone.scores[modality]
        assert transfer.scores[modality]["data"] == str(other.data.folder)
        assert transfer.scores[modality]["classes"] == ["a green thing", "a red thing"]
        outcome = transfer.outcomes[f"{modality}.probe"]
        assert outcome.clips.tolist() == alone.outcomes[f"{modality}.probe"].clips.tolist()
    for way in ("sound_to_image", "image_to_sound"):
        assert transfer.scores[way] == own.scores[way]
        assert transfer.scores[way]["data"] == str(features.data.folder)


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
    assert scores["image"]["probe"] in (0.75, 1.0)  # of the four test images of known classes
    assert scores["n"]["image_test"] == 6
    assert (scores["image"]["tested"], scores["image"]["left_out"]) == (4, 2)
    assert scores["image"]["classes"] == ["green", "red"]
    assert scores["sound_to_image"]["classes"] == ["blue", "green", "red"]


def test_a_class_without_test_items_has_no_recall(features: Features, relabel: Relabel) -> None:
    def untested(row: Row) -> Row | None:
        return None if row.split == "test" and row.label == "blue" else row

    part = evaluate(Features(relabel(untested), features.embedder))["sound"]
    assert part["classes"] == ["blue", "green", "red"]
    assert part["class_recall"][0] is None
    assert part["confusion"][0] == [0, 0, 0]
    assert part["chance"] == 0.5


def test_stretches_of_a_file_are_scored_together_too(features: Features, relabel: Relabel) -> None:
    def halves(row: Row) -> Iterator[Row]:
        if not (row.sound and row.split == "test"):
            yield row
            return
        yield replace(row, duration=0.2)
        yield replace(row, image="", id=f"{row.id}-2", start=0.2)
        if row.label == "blue":
            yield replace(row, label="of no class that is known", image="", start=0.1, duration=0.15)

    measured = measure(Features(relabel(halves), features.embedder))
    scores = measured.scores
    assert scores["n"]["sound_test"] == 14
    assert set(scores["image"]) == CLASSIFIED
    assert set(scores["sound"]) == CLASSIFIED | {"probe_clip", "probe_clip_chance"}
    assert scores["sound"]["probe_clip_chance"] == pytest.approx(1 / 3)
    files = scores["sound"]["probe_clip"] * 6
    assert files == pytest.approx(round(files))
    assert files >= 5
    outcome = measured.outcomes["sound.probe_clip"]
    assert outcome.score == scores["sound"]["probe_clip"]
    assert len(set(outcome.clips.tolist())) == len(outcome.clips) == 6
