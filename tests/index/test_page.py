"""Listing a catalogue page by page."""

from pathlib import Path

import numpy as np
import pytest

from index.catalogue import Item
from index.filter import Filter
from index.local import LocalCatalogue


@pytest.fixture
def catalogue(tmp_path: Path) -> LocalCatalogue:
    catalogue = LocalCatalogue.create(tmp_path / "catalogue", "fingerprint", 4, tmp_path)
    items = [Item(f"i{n}", "image", f"{n}.png", "image/png", label="odd" if n % 2 else "even") for n in range(7)]
    catalogue.put(items, np.eye(4, dtype=np.float32)[[n % 4 for n in range(7)]])
    return catalogue


def walk(catalogue: LocalCatalogue, limit: int, filter: Filter | None = None) -> list[list[str]]:
    pages, cursor = [], ""
    while True:
        page = catalogue.page(limit, cursor, filter)
        pages.append([item.id for item in page.items])
        if page.cursor is None:
            return pages
        cursor = page.cursor


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_hold_every_item_once_and_in_order(catalogue: LocalCatalogue, limit: int) -> None:
    pages = walk(catalogue, limit)
    assert [id for page in pages for id in page] == [f"i{n}" for n in range(7)]
    assert all(len(page) == limit for page in pages[:-1])


def test_pages_of_a_filter_hold_what_passes(catalogue: LocalCatalogue) -> None:
    assert walk(catalogue, 2, Filter.parse('{"label": "odd"}')) == [["i1", "i3"], ["i5"]]


def test_a_deleted_item_does_not_lose_the_place(catalogue: LocalCatalogue) -> None:
    first = catalogue.page(3)
    catalogue.delete(["i2"])
    assert [item.id for item in catalogue.page(3, first.cursor or "").items] == ["i3", "i4", "i5"]


def test_an_empty_catalogue_is_one_empty_page(tmp_path: Path) -> None:
    assert walk(LocalCatalogue.create(tmp_path / "empty", "fingerprint", 4, tmp_path), 5) == [[]]
