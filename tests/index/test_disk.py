"""Disks that are full or read-only: real ones, of a few megabytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import CatalogueError, Item, NotWritable
from index.check import check
from index.content import content_hash
from index.local import LocalCatalogue
from index.tuning import Tuning

D = 64
TUNING = Tuning(exact=300)


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or not mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)):
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def unit(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    normed: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normed


def batch(number: int) -> list[Item]:
    return [Item(f"i{number}-{n}", "image", "a.jpg", "image/jpeg") for n in range(50)]


def fill(catalogue: LocalCatalogue) -> None:
    for number in range(1000):
        catalogue.put(batch(number), unit(50, number))


def test_a_full_disk_refuses_in_one_sentence_and_loses_nothing(disk: Path) -> None:
    (disk / "a.jpg").write_bytes(b"a")
    filler = disk / "filler"
    filler.write_bytes(bytes(400_000))
    catalogue = LocalCatalogue.create(disk / "index", "f", D, disk, TUNING)
    with pytest.raises(CatalogueError, match=r"can't be written .*; nothing has changed$"):
        fill(catalogue)
    acknowledged = catalogue.count()["image"] // 50
    assert acknowledged > 3
    data = os.urandom(600_000)
    sound = Item("s", "sound", "", "audio/wav", content=content_hash(data))
    with pytest.raises(CatalogueError, match="nothing has changed"):
        catalogue.put([sound], unit(1), {sound.content: data})
    assert catalogue.count() == {"image": 50 * acknowledged, "sound": 0}
    assert catalogue.search(unit(1), "image", 1)[0][0].item.id == "i0-0"
    filler.unlink()
    catalogue.put(batch(acknowledged), unit(50, acknowledged))
    catalogue.delete(["i0-0"])
    catalogue.upkeep.stop()
    catalogue.close()
    assert check(disk / "index", deep=True) == []
    again = LocalCatalogue.open(disk / "index", writable=True, tuning=TUNING)
    assert again.count() == {"image": 50 * (acknowledged + 1) - 1, "sound": 0}
    again.close()


def test_a_full_disk_can_not_hold_a_new_catalogue(disk: Path) -> None:
    (disk / "filler").write_bytes(bytes(3 * 2**20 - 20_000))
    with pytest.raises(CatalogueError, match=r"can't be written .* name another folder"):
        LocalCatalogue.create(disk / "index", "f", D, disk)
    assert not [file for file in (disk / "index").iterdir() if "sqlite" in file.name]


def test_a_snapshot_without_room_costs_a_log_line_only(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    catalogue = LocalCatalogue.create(disk / "index", "f", D, disk, Tuning(exact=300, background=False))
    catalogue.put([Item(f"i{n}", "image", "a.jpg", "image/jpeg") for n in range(1000)], unit(1000))
    room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(room - 100_000))
    catalogue.upkeep.finish()
    assert "could not be written" in caplog.text
    assert not catalogue.neighbours("image").is_exact
    assert not list((disk / "index" / "faiss").iterdir())
    assert catalogue.search(unit(1), "image", 1)[0][0].item.id == "i0"
    catalogue.close()


def test_a_read_only_disk_can_be_searched_and_not_written(disk: Path) -> None:
    catalogue = LocalCatalogue.create(disk / "index", "f", D, disk, TUNING)
    catalogue.put(batch(0), unit(50))
    catalogue.close()
    assert mount("-o", "remount,ro", str(disk))
    with pytest.raises(NotWritable, match="let this user write there, or name another folder"):
        LocalCatalogue.open(disk / "index", writable=True)
    reader = LocalCatalogue.open(disk / "index")
    assert reader.search(unit(1), "image", 1)[0][0].item.id == "i0-0"
    with pytest.raises(NotWritable):
        reader.delete(["i0-0"])
    reader.close()
    with pytest.raises(CatalogueError, match="can't be written"):
        LocalCatalogue.create(disk / "another", "f", D, disk)
