"""Which items a split has, and that their embeddings are the embedder's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.pack import open_data
from training.data.packed import PackedData
from training.data.rows import Row, write_rows
from training.features import Features, find_items, select
from training.model.embedder import Embedder


@pytest.fixture(scope="module")
def features(tiny_run: Path, tiny_data: PackedData) -> Features:
    return Features(tiny_data, Embedder(tiny_run / "model", "cpu", "fp32"))


def test_items_of_a_split_are_its_own(tiny_data: PackedData) -> None:
    for split in ("train", "val", "test"):
        for modality, column in (("image", 0), ("sound", 1)):
            items = find_items(tiny_data, split, "image" if modality == "image" else "sound")
            expected = [
                (tiny_data.index[number, column], row.label, tiny_data.clips[number])
                for number, row in enumerate(tiny_data.rows)
                if row.split == split and getattr(row, modality)
            ]
            assert list(zip(items.numbers, items.labels, items.clips, strict=True)) == expected


def test_labelled_items_are_asked_for_unless_said_otherwise(tiny_data: PackedData) -> None:
    assert len(find_items(tiny_data, "unpaired", "image").numbers) == 0
    assert len(find_items(tiny_data, "unpaired", "image", labelled=False).numbers) == 4


def test_an_item_in_several_rows_counts_once_with_its_first_label(tiny_rows: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(tiny_rows.parent / "images")
    image, other = "images/train-00.jpg", "images/train-01.jpg"
    rows = [Row("train", "a", image), Row("train", "b", other), Row("train", "c", image), Row("test", "d", image)]
    write_rows(tmp_path / "rows.csv", rows)
    data = open_data(tmp_path, 32, 8000)
    assert find_items(data, "train", "image").labels == ["a", "b"]
    assert find_items(data, "test", "image").labels == ["d"]


def test_files_that_could_not_be_read_are_no_items(tiny_rows: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(tiny_rows.parent / "images")
    write_rows(tmp_path / "rows.csv", [Row("train", "a", "none.jpg"), Row("train", "b", "images/train-00.jpg")])
    assert find_items(open_data(tmp_path, 32, 8000), "train", "image").labels == ["b"]


def test_embeddings_are_the_embedders(features: Features, tiny_data: PackedData) -> None:
    items, embedding = features.split("test", "sound")
    expected = features.embedder.embed_sounds([tiny_data.wave(int(number)) for number in items.numbers])
    assert np.array_equal(embedding.h, expected.h)
    assert np.array_equal(embedding.z, expected.z)
    items, embedding = features.split("test", "image")
    expected = features.embedder.embed_images([tiny_data.images[number] for number in items.numbers])
    assert np.array_equal(embedding.h, expected.h)
    np.testing.assert_allclose(np.linalg.norm(embedding.z, axis=1), 1, rtol=1e-5)


def test_chunks_make_no_difference(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = features.split("train", "sound")[1].h
    monkeypatch.setattr("training.features.CHUNK", 4)
    chunked = Features(features.data, features.embedder).split("train", "sound")[1].h
    np.testing.assert_allclose(chunked, expected, atol=1e-5)


def test_a_split_is_embedded_once(features: Features) -> None:
    assert features.split("val", "image") is features.split("val", "image")


def test_a_split_without_items_is_empty(features: Features) -> None:
    items, embedding = features.split("unpaired", "image")
    assert items.labels == []
    assert embedding.h.shape == (0, 32)
    assert embedding.z.shape == (0, 128)


def test_labels_become_numbers_of_the_names_given(features: Features) -> None:
    assert features.names == ["blue", "green", "red"]
    data = features.labelled("val", "image", ["red", "green"])
    assert data.labels.tolist() == [0, 1]
    assert data.features.shape == (2, 32)


def test_select_keeps_rows_with_their_labels() -> None:
    rows = torch.arange(4)[:, None].float()
    result = select(rows, ["b", "x", "a", "b"], ["a", "b"])
    assert result.features[:, 0].tolist() == [0, 2, 3]
    assert result.labels.tolist() == [1, 0, 1]
    assert select(rows, ["x"] * 4, ["a"]).features.shape == (0, 1)
