"""A catalogue whose files lie elsewhere: `check` says which are gone and from where, `root` says where they are now."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from index.catalogue import CatalogueError, Item
from index.check import check
from index.local import LocalCatalogue
from index.root import set_root


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A catalogue of `media/a.jpg` and `media/in/b.jpg`, copied into a folder from which they can't be seen."""
    (tmp_path / "media" / "in").mkdir(parents=True)
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", 8, tmp_path / "media")
    for path in ("a.jpg", "in/b.jpg"):
        (tmp_path / "media" / path).write_bytes(b"picture")
        catalogue.put([Item(Path(path).stem, "image", path, "image/jpeg")], np.eye(1, 8, dtype=np.float32))
    catalogue.close()
    return Path(shutil.copytree(tmp_path / "index", tmp_path / "far" / "away" / "index"))


def test_check_names_the_root_and_the_paths(moved: Path, tmp_path: Path) -> None:
    [finding] = check(moved)
    root = tmp_path / "far" / "away" / "media"
    assert finding == (
        f"2 items without a file in its place below {root}; put them back, say where they lie with "
        f"'bma index root {moved} DIR', or remove the items, with 'bma index sync' or over HTTP: a.jpg, in/b.jpg"
    )


def test_the_files_are_found_where_they_are_said_to_lie(moved: Path, tmp_path: Path) -> None:
    assert set_root(moved, tmp_path / "media") == {"found": 2, "missing": 0}
    assert check(moved) == []
    catalogue = LocalCatalogue.open(moved)
    assert catalogue.root == tmp_path / "media"
    assert [catalogue.file(item).read_bytes() for item in catalogue.list()] == [b"picture"] * 2
    catalogue.close()
    (tmp_path / "media" / "a.jpg").unlink()
    assert set_root(moved, tmp_path / "media") == {"found": 1, "missing": 1}


def test_a_folder_with_not_one_of_the_files_is_refused(moved: Path, tmp_path: Path) -> None:
    set_root(moved, tmp_path / "media")
    with pytest.raises(CatalogueError, match=r"not one of the 2 files of .* lies below .*, such as a\.jpg; name"):
        set_root(moved, tmp_path / "far")
    with pytest.raises(CatalogueError, match="is no folder; name the one"):
        set_root(moved, tmp_path / "nowhere")
    assert check(moved) == []


def test_a_catalogue_without_files_by_reference_takes_any_folder(tmp_path: Path) -> None:
    LocalCatalogue.create(tmp_path / "index", "f", 8, tmp_path / "index").close()
    assert set_root(tmp_path / "index", tmp_path) == {"found": 0, "missing": 0}
