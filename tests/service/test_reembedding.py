"""`bma index rebuild --model`: the same items under another model."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.archive import DOCUMENT
from index.catalogue import Item
from index.check import check
from index.local import LocalCatalogue
from service.cli import main
from service.indexing import build_catalogue
from training.model.embedder import Embedder

Run = Callable[..., Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `bma index …`; its JSON, or what it said where it failed."""

    def run(*arguments: str | Path, status: int = 0) -> Any:
        assert main(["index", *map(str, arguments), "--json"]) == status
        told = capsys.readouterr()
        assert told.err.count("\n") == (1 if status else 0)
        return told.err if status else json.loads(told.out)

    return run


@pytest.fixture
def old(demo_folder: Path, bundle_folder: Path, tmp_path: Path) -> Path:
    """A catalogue as of another model: two pictures by reference, a piece of a sound, and one added by hand."""
    media, folder = tmp_path / "media", tmp_path / "index"
    media.mkdir()
    for file in (*sorted(demo_folder.glob("images/*.jpg"))[:2], *sorted(demo_folder.glob("sounds/*.wav"))[:1]):
        shutil.copy(file, media)
    a, b, sound = (file.name for file in sorted(media.iterdir(), key=lambda file: (file.suffix, file.name)))
    (media / "rows.csv").write_text(
        f"split,image,sound,id,start,duration\ntest,{a},{sound},1,0.5,1\ntest,{b},,2,,\n", encoding="utf-8"
    )
    build_catalogue(Embedder(bundle_folder, "cpu"), media, folder)
    data = (media / a).read_bytes()
    hash = hashlib.sha256(data).hexdigest()
    catalogue = LocalCatalogue.open(folder, writable=True)
    vector = catalogue.vectors(["1:image"])
    catalogue.put([Item("mine", "image", "", "image/jpeg", content=hash, metadata={"start": 3})], vector, {hash: data})
    with catalogue.database.writing() as connection:
        connection.execute("UPDATE settings SET value = 'another' WHERE key = 'fingerprint'")
        connection.execute("COMMIT")
    catalogue.close()
    return folder


def vectors(folder: Path) -> dict[str, Any]:
    catalogue = LocalCatalogue.open(folder)
    found = {item.id: catalogue.vectors([item.id])[0] for item in catalogue.list()}
    catalogue.close()
    return found


def test_a_catalogue_of_another_model_says_how_to_go_on(run: Run, old: Path, bundle_folder: Path) -> None:
    told = run("build", bundle_folder, old.parent / "media", "--out", old, "--device", "cpu", status=1)
    assert "was made with another model (another, not" in told
    assert f"'bma index rebuild {old} --model BUNDLE'" in told


def test_all_items_are_embedded_again(run: Run, old: Path, bundle_folder: Path) -> None:
    before = vectors(old)
    assert run("rebuild", old, "--model", bundle_folder, "--device", "cpu") == {"embedded": 4, "removed": 0}
    after = vectors(old)
    assert after.keys() == before.keys()
    for id, z in after.items():  # the same bundle in truth, so the same vectors: of the same stretch of the sound
        np.testing.assert_allclose(z, before[id], atol=1e-3)
    assert check(old, True) == []
    told = run("sync", bundle_folder, old.parent / "media", "--out", old, "--device", "cpu")
    assert (told["unchanged"], told["removed"]) == (3, 0)


def test_files_that_are_gone_are_said_and_removed_on_demand(run: Run, old: Path, bundle_folder: Path) -> None:
    pictures = sorted((old.parent / "media").glob("*.jpg"))
    pictures[1].unlink()
    pictures[0].write_bytes(b"no picture")
    told = run("rebuild", old, "--model", bundle_folder, "--device", "cpu", status=1)
    assert f"2 items of {old} can't be read" in told
    assert "put their files back, or remove the items with --remove-unreadable" in told
    with (old / "unreadable.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["file"] for row in csv.DictReader(stream)} == {picture.name for picture in pictures}
    assert run("info", old)["model"] == "another"
    done = run("rebuild", old, "--model", bundle_folder, "--device", "cpu", "--remove-unreadable")
    assert done == {"embedded": 0, "removed": 2}  # the others were kept from the first time
    assert vectors(old).keys() == {"1:sound", "mine"}


def test_the_commands_that_need_no_model(run: Run, catalogue_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(catalogue_folder, tmp_path / "index"))
    catalogue = LocalCatalogue.open(catalogue_folder)
    root = catalogue.root
    catalogue.close()
    info = run("info", catalogue_folder)
    assert info["indexes"]["image"] == {"kind": "flat", "lists": 0, "vectors": 30}
    assert info["bytes"]["database"] > 10_000
    assert info["schema"] == 2
    assert run("check", catalogue_folder) == {"findings": [], "images": 30, "sounds": 30}
    assert run("export", catalogue_folder, tmp_path / "out") == {"images": 30, "sounds": 30, "contents": 0}
    assert (tmp_path / "out" / DOCUMENT).is_file()
    assert run("import", tmp_path / "out", "--out", tmp_path / "back")["added"] == 60
    back = LocalCatalogue.open(tmp_path / "back")
    assert back.root == root
    back.close()
    assert run("compact", tmp_path / "back")["contents"] == 0
    assert run("rebuild", tmp_path / "back")["image"] == {"count": 30, "kind": "flat", "lists": 0}
    assert run("check", "--deep", tmp_path / "back") == {"findings": [], "images": 30, "sounds": 30}
    assert len(vectors(folder)) == 60


def test_check_says_what_is_wrong_and_ends_with_1(
    bma: Callable[..., Any], catalogue_folder: Path, tmp_path: Path
) -> None:
    done = bma("index", "check", catalogue_folder)
    assert (done.returncode, done.stdout) == (0, "nothing wrong: 30 images, 30 sounds\n")
    folder = Path(shutil.copytree(catalogue_folder, tmp_path / "elsewhere" / "index"))  # away from its files
    done = bma("index", "check", folder)
    assert done.returncode == 1
    assert "60 items without a file in its place" in done.stdout
    assert json.loads(bma("index", "check", folder, "--json").stdout)["findings"]
