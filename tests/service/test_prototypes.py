"""Classes of the catalogue's labels, which nobody trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from index.catalogue import Item
from index.local import LocalCatalogue
from service import prototypes
from service.problems import Problem
from service.prototypes import Shelf


def ask(http: httpx.Client, file: bytes, modality: str = "image", **parameters: Any) -> dict[str, float]:
    answer = http.post("/v1/classify", files={modality: file}, params=parameters)
    assert answer.status_code == 200, answer.text
    classes = answer.json()["results"][0]["classes"]
    probabilities = [entry["probability"] for entry in classes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)
    return {entry["label"]: entry["probability"] for entry in classes}


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


@pytest.fixture
def catalogue(catalogue_folder: Path) -> Iterator[LocalCatalogue]:
    catalogue = LocalCatalogue.open(catalogue_folder)
    yield catalogue
    catalogue.close()


@pytest.mark.parametrize("modality", ["image", "sound"])
@pytest.mark.parametrize("kind", ["image", "sound", "both"])
def test_probabilities_are_a_softmax_over_cosines_to_the_mean_of_each_labels_items(
    http: httpx.Client, demo_folder: Path, catalogue: LocalCatalogue, modality: str, kind: str
) -> None:
    pattern = "images/*_val-*.jpg" if modality == "image" else "sounds/*_val-*.wav"
    file = sorted(demo_folder.glob(pattern))[0].read_bytes()
    z = http.post("/v1/embed", files={modality: file}).json()["results"][0]["z"]
    labels = ["boat", "train", "hair dryer"]
    logits = []
    for label in labels:
        items = [item for item in catalogue.list() if item.label == label]
        means = []
        for one in ("image", "sound") if kind == "both" else (kind,):
            vectors = catalogue.vectors([item.id for item in items if item.modality == one]).astype(np.float64)
            means.append(vectors.mean(axis=0))
        logits.append(np.dot(z, unit(np.mean(means, axis=0))) / 0.1)
    expected = np.exp(logits) / np.exp(logits).sum()
    told = ask(http, file, modality, labels=",".join(labels), prototypes=kind)
    assert told == pytest.approx(dict(zip(labels, expected, strict=True)), abs=2e-3)


def test_labels_are_repeated_or_separated_or_all(http: httpx.Client, demo_folder: Path) -> None:
    file = sorted(demo_folder.glob("images/*_val-*.jpg"))[0].read_bytes()
    once = ask(http, file, labels=["boat", "hair dryer"])
    assert once.keys() == {"boat", "hair dryer"}
    for same in (["boat,hair dryer"], ["boat, hair dryer", "boat"], ["hair dryer", "", "boat"]):
        assert ask(http, file, labels=same) == pytest.approx(once, abs=1e-5)
    assert len(ask(http, file, labels="*")) == 10
    assert ask(http, file, labels="") == ask(http, file)  # none are named: the class head answers


def test_many_long_labels_may_be_separated_by_commas(shelf: httpx.Client, images: list[bytes]) -> None:
    labels = [f"a label of which there are many {number}" for number in range(10)]
    for label, number in zip(labels, range(10), strict=True):
        data = {"id": f"item-{number}", "label": label}
        assert shelf.post("/v1/items", files={"image": images[0]}, data=data).status_code in (200, 201)
    assert ask(shelf, images[0], labels=",".join(labels)).keys() == set(labels)
    answer = shelf.post("/v1/classify", files={"image": images[0]}, params={"labels": 257 * "a" + ",b"})
    assert answer.json()["detail"] == "query 'labels' may have 256 characters, not 257; shorten it."


def test_prototypes_are_of_labels(http: httpx.Client, images: list[bytes]) -> None:
    answer = http.post("/v1/classify", files={"image": images[0]}, params={"prototypes": "image"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("query 'prototypes': is of labels of the catalogue; name some")


def test_labels_that_the_catalogue_does_not_have_are_refused(http: httpx.Client, demo_folder: Path) -> None:
    file = sorted(demo_folder.glob("images/*_val-*.jpg"))[0].read_bytes()
    for labels, words in (("cat", "label 'cat'"), ("boat,cat", "label 'cat'"), ("x" * 300, "256 characters")):
        answer = http.post("/v1/classify", files={"image": file}, params={"labels": labels})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert http.post("/v1/classify?labels=%00", files={"image": file}).status_code == 422
    assert http.post("/v1/classify?labels=boat&prototypes=smell", files={"image": file}).status_code == 422


def test_a_label_added_is_there_and_one_with_commas_is_one(
    shelf: httpx.Client, images: list[bytes], sounds: list[bytes]
) -> None:
    assert shelf.post("/v1/classify?labels=*", files={"image": images[0]}).status_code == 422
    shelf.post("/v1/items", files={"image": images[0]}, data={"label": "horn, car"}).raise_for_status()
    shelf.post("/v1/items", files={"sound": sounds[0]}, data={"label": "whistle"}).raise_for_status()
    shelf.post("/v1/items", files={"sound": sounds[1]}).raise_for_status()  # without a label
    assert ask(shelf, images[0], labels="*").keys() == {"horn, car", "whistle"}
    assert ask(shelf, images[0], labels="horn, car") == {"horn, car": 1.0}
    assert ask(shelf, images[0], labels="*", prototypes="image") == {"horn, car": 1.0}
    answer = shelf.post("/v1/classify?labels=whistle&prototypes=image", files={"image": images[0]})
    assert answer.status_code == 422
    assert "No image" in answer.json()["detail"]


def test_what_is_read_of_a_catalogue_is_bounded(catalogue: LocalCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prototypes, "EACH", 1)
    first = next(item for item in catalogue.list() if item.label == "boat" and item.modality == "image")
    made = Shelf(catalogue).prototypes(["boat"], "image")
    np.testing.assert_allclose(made.vectors[0], catalogue.vectors([first.id])[0], atol=1e-6)
    monkeypatch.setattr(prototypes, "ALL", 59)
    with pytest.raises(Problem, match="name the labels"):
        Shelf(catalogue).prototypes(["*"], "both")
    with pytest.raises(Problem, match="may name 2 labels"):
        Shelf(catalogue, 2).prototypes(["boat", "train,drone"], "both")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, whose only entry can be set; making prototypes takes no time by it."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_prototypes_are_kept_until_the_catalogue_changes(
    catalogue: LocalCatalogue, empty_catalogue: Path, now: list[float]
) -> None:
    boats = [item for item in catalogue.list() if item.label == "boat"][:2]
    vectors = catalogue.vectors([item.id for item in boats])
    with closing(LocalCatalogue.open(empty_catalogue, writable=True)) as writer:
        writer.put(boats[:1], vectors[:1])
        with closing(LocalCatalogue.open(empty_catalogue)) as reader:
            shelf = Shelf(reader)
            made = shelf.prototypes(["boat"], "both")
            now[0] += 1000
            assert shelf.prototypes(["boat"], "both") is made
            assert shelf.prototypes(["boat"], boats[0].modality) is not made
            writer.put(boats[1:], vectors[1:])  # as another process
            assert not np.allclose(shelf.prototypes(["boat"], "both").vectors, made.vectors)


def test_prototypes_are_kept_for_a_second_where_changes_can_not_be_told(
    catalogue: LocalCatalogue, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "changes", lambda: None)  # as of one in Milvus
    shelf = Shelf(catalogue)
    made = shelf.prototypes(["boat"], "both")
    assert shelf.prototypes(["boat"], "both") is made
    now[0] += prototypes.FRESH + 0.1
    assert shelf.prototypes(["boat"], "both") is not made


def test_prototypes_that_take_long_are_kept_though_the_catalogue_changes(
    catalogue: LocalCatalogue, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, change = catalogue.list, [1]

    def slowly(*arguments: Any) -> Iterator[Item]:
        now[0] += 2
        return listed(*arguments)

    monkeypatch.setattr(catalogue, "list", slowly)
    monkeypatch.setattr(catalogue, "changes", lambda: change[0])
    shelf = Shelf(catalogue)
    made = shelf.prototypes(["boat"], "both")
    change[0] += 1
    now[0] += prototypes.REST * 2 - 1
    assert shelf.prototypes(["boat"], "both") is made
    now[0] += 2
    assert shelf.prototypes(["boat"], "both") is not made


def test_what_was_asked_long_ago_is_forgotten(catalogue: LocalCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prototypes, "KEPT", 2)
    shelf = Shelf(catalogue)
    boat, train = shelf.prototypes(["boat"], "both"), shelf.prototypes(["train"], "both")
    assert shelf.prototypes(["boat"], "both") is boat
    shelf.prototypes(["drone"], "both")
    assert shelf.prototypes(["boat"], "both") is boat
    assert shelf.prototypes(["train"], "both") is not train
