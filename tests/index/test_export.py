"""Export and import: all of a catalogue comes back, and of what is damaged nothing does."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.archive import DOCUMENT, ITEMS, VECTORS, Archive, bring_in
from index.catalogue import CatalogueError, Item, Modality
from index.check import check
from index.export import export
from index.local import LocalCatalogue
from tests.index.fake import DIMENSION, vector

ROOT = Path(__file__).parents[2]


def an_item(number: int, data: bytes = b"") -> Item:
    """By reference where there are no bytes."""
    hash = hashlib.sha256(data).hexdigest() if data else ""
    modality: Modality = "image" if number % 3 else "sound"
    path = "" if data else f"{number}.png"
    return Item(str(number), modality, path, "image/png", content=hash, stamp=f"s{number}")


def put(catalogue: LocalCatalogue, items: list[Item], datas: list[bytes]) -> None:
    vectors = np.stack([vector(item.id.encode()) for item in items])
    contents = {hashlib.sha256(data).hexdigest(): data for data in datas if data}
    catalogue.put(items, vectors, contents)


def held(catalogue: LocalCatalogue) -> dict[str, tuple[Item, bytes, npt.NDArray[np.float32]]]:
    """All that a catalogue holds."""
    found = {}
    for item in catalogue.list():
        data = catalogue.file(item).read_bytes() if item.content else b""
        found[item.id] = (replace(item, updated=""), data, catalogue.vectors([item.id])[0])
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) == list(other) and all(
        one[id][:2] == other[id][:2] and np.array_equal(one[id][2], other[id][2]) for id in one
    )


def read_in(src: Path, out: Path, root: Path | None = None) -> dict[str, int]:
    """As `bma index import` does."""
    from service.cli import _parser

    arguments = ["index", "import", str(src), "--out", str(out)] + (["--root", str(root)] if root else [])
    parsed = _parser().parse_args(arguments)
    parsed.json = True
    parsed.run(parsed)
    return {}


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[LocalCatalogue]:
    (tmp_path / "media").mkdir()
    for number in range(300):
        (tmp_path / "media" / f"{number}.png").touch()
    catalogue = LocalCatalogue.create(tmp_path / "index", "f", DIMENSION, tmp_path / "media")
    datas = [b"" if number % 2 else f"content {number % 6}".encode() for number in range(30)]
    put(catalogue, [an_item(number, data) for number, data in enumerate(datas)], datas)
    yield catalogue
    catalogue.close()


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
items = st.builds(
    Item,
    id=st.text("abcXYZ019._:-", min_size=1, max_size=12).filter(lambda id: id not in (".", "..")),
    modality=st.sampled_from(["image", "sound"]),
    path=st.just(""),
    media_type=texts,
    label=texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    metadata=st.dictionaries(
        texts, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-9, 9) | texts
    ),
    stamp=texts,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(items, st.binary(max_size=30)), max_size=8, unique_by=lambda pair: pair[0].id))
def test_what_goes_out_comes_back(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[Item, bytes]]) -> None:
    folder = tmp_path_factory.mktemp("trip")
    catalogue = LocalCatalogue.create(folder / "index", "f", DIMENSION, folder)
    back = LocalCatalogue.create(folder / "back", "f", DIMENSION, folder)
    try:
        if pairs:
            whole = [
                replace(item, content=hashlib.sha256(data).hexdigest()) if data else replace(item, path=f"{n}.png")
                for n, (item, data) in enumerate(pairs)
            ]
            put(catalogue, whole, [data for _, data in pairs])
        done = export(catalogue, folder / "out", folder)
        assert done["images"] + done["sounds"] == len(pairs)
        archive = Archive(folder / "out")
        archive.verify()
        assert bring_in(archive, back) == {"added": len(pairs), "changed": 0, "unchanged": 0}
        assert same(held(back), held(catalogue))
        assert bring_in(archive, back) == {"added": 0, "changed": 0, "unchanged": len(pairs)}
    finally:
        catalogue.close()
        back.close()


def test_an_export_is_plain_files(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    assert export(catalogue, tmp_path / "out") == {"images": 20, "sounds": 10, "contents": 3}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [DOCUMENT, "content", ITEMS, VECTORS]
    lines = (tmp_path / "out" / ITEMS).read_text().splitlines()
    array = np.load(tmp_path / "out" / VECTORS, mmap_mode="r")
    assert (array.shape, array.dtype) == ((30, DIMENSION), np.float32)
    assert [json.loads(line)["id"] for line in lines] == [str(number) for number in range(30)]
    assert np.array_equal(array, catalogue.vectors([str(number) for number in range(30)]))
    assert json.loads(lines[0]).keys() == vars(an_item(0)).keys()
    document = json.loads((tmp_path / "out" / DOCUMENT).read_text())
    for name in (ITEMS, VECTORS):
        assert document["sha256"][name] == hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest()
    with pytest.raises(CatalogueError, match="already exists; name a new folder"):
        export(catalogue, tmp_path / "out")


def test_an_empty_catalogue_goes_out_and_comes_back(tmp_path: Path) -> None:
    empty = LocalCatalogue.create(tmp_path / "index", "f", DIMENSION, tmp_path)
    export(empty, tmp_path / "out")
    archive = Archive(tmp_path / "out")
    archive.verify()
    assert bring_in(archive, empty)["added"] == 0
    empty.close()


def test_an_export_goes_on_while_others_change_the_catalogue(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    count = 0

    class Changing:
        """Removes and replaces items under the export's hands."""

        fingerprint, dimension = "f", DIMENSION
        count, file = catalogue.count, catalogue.file

        def vectors(self, ids: list[str]) -> npt.NDArray[np.float32]:
            nonlocal count
            count += 1
            if count == 1:
                catalogue.delete(["3"])
            elif count == 2:
                put(catalogue, [replace(an_item(4), label="new")], [b""])
            return catalogue.vectors(ids)

    changing: Any = Changing()
    changing.list = catalogue.list
    assert export(changing, tmp_path / "out")["images"] == 20  # 3 was a sound; 4, put anew, comes last or not at all
    archive = Archive(tmp_path / "out")
    archive.verify()
    ids = [item.id for _, some in archive.chunks() for item in some]
    assert "3" not in ids


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def a_content(folder: Path) -> Path:
    return next(file for file in (folder / "content").rglob("*") if file.is_file())


def rewrite(folder: Path, key: str, value: object) -> None:
    document = json.loads((folder / DOCUMENT).read_text())
    (folder / DOCUMENT).write_text(json.dumps({**document, key: value}))


def forge(folder: Path, line: str) -> None:
    """Another first line, with a hash that fits."""
    lines = (folder / ITEMS).read_text().splitlines()
    (folder / ITEMS).write_text("\n".join([line, *lines[1:]]) + "\n")
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (ITEMS, VECTORS)}
    rewrite(folder, "sha256", hashes)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a byte of the items": lambda folder: flip(folder / ITEMS, 40),
    "a byte of the vectors": lambda folder: flip(folder / VECTORS, 200),
    "a byte of a content": lambda folder: flip(a_content(folder), 3),
    "items cut off": lambda folder: (folder / ITEMS).write_bytes((folder / ITEMS).read_bytes()[:-50]),
    "vectors cut off": lambda folder: (folder / VECTORS).write_bytes((folder / VECTORS).read_bytes()[:-50]),
    "a content cut off": lambda folder: a_content(folder).write_bytes(b""),
    "no items": lambda folder: (folder / ITEMS).unlink(),
    "no vectors": lambda folder: (folder / VECTORS).unlink(),
    "no content": lambda folder: a_content(folder).unlink(),
    "no document": lambda folder: (folder / DOCUMENT).unlink(),
    "a document cut off": lambda folder: (folder / DOCUMENT).write_text('{"format": 1, "fi'),
    "a document of nothing": lambda folder: (folder / DOCUMENT).write_text('{"format": 1}'),
    "a list for a document": lambda folder: (folder / DOCUMENT).write_text("[]"),
    "a wrong count": lambda folder: rewrite(folder, "images", 19),
    "a later format": lambda folder: rewrite(folder, "format", 2),
    "a dimension of no vector": lambda folder: rewrite(folder, "dimension", 5),
    "no JSON": lambda folder: forge(folder, "{"),
    "no item": lambda folder: forge(folder, '{"id": "0"}'),
    "an item of a wrong kind": lambda folder: forge(folder, json.dumps({**vars(an_item(0)), "label": 3})),
    "an id that is none": lambda folder: forge(folder, json.dumps({**vars(an_item(0, b"x")), "id": "../x"})),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_refused_and_nothing_has_changed(
    catalogue: LocalCatalogue, tmp_path: Path, damage: str
) -> None:
    export(catalogue, tmp_path / "out", catalogue.root)
    other = LocalCatalogue.create(tmp_path / "other", "f", DIMENSION, catalogue.root)
    other.close()
    DAMAGE[damage](tmp_path / "out")
    for place in ("other", "new"):
        with pytest.raises(CatalogueError) as refused:
            read_in(tmp_path / "out", tmp_path / place)
        words = str(refused.value)
        assert words.startswith(str(tmp_path / "out"))
        assert ";" in words
        assert "\n" not in words
    assert not (tmp_path / "new").exists()
    other = LocalCatalogue.open(tmp_path / "other")
    assert list(other.list()) == []
    other.close()


def test_another_model_and_another_root_are_refused(
    catalogue: LocalCatalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(catalogue, tmp_path / "out", catalogue.root)
    LocalCatalogue.create(tmp_path / "another", "another", DIMENSION, catalogue.root).close()
    with pytest.raises(CatalogueError, match="was made with another model"):
        read_in(tmp_path / "out", tmp_path / "another")
    LocalCatalogue.create(tmp_path / "elsewhere", "f", DIMENSION, tmp_path).close()
    with pytest.raises(CatalogueError, match="name another catalogue with --out"):
        read_in(tmp_path / "out", tmp_path / "elsewhere")
    read_in(tmp_path / "out", tmp_path / "elsewhere", root=tmp_path)
    (tmp_path / "media").rename(tmp_path / "moved")
    with pytest.raises(CatalogueError, match=r"is not there, below which the files .*; name it with --root"):
        read_in(tmp_path / "out", tmp_path / "new")
    read_in(tmp_path / "out", tmp_path / "new", root=tmp_path / "moved")
    new = LocalCatalogue.open(tmp_path / "new")
    assert new.root == tmp_path / "moved"
    assert same(held(new), held(catalogue))
    new.close()
    assert check(tmp_path / "new", True) == []


def test_an_import_replaces_what_differs_and_keeps_the_rest(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    export(catalogue, tmp_path / "out", catalogue.root)
    put(catalogue, [replace(an_item(1), label="other"), an_item(99)], [])
    catalogue.delete(["2"])
    archive = Archive(tmp_path / "out")
    archive.verify()
    assert bring_in(archive, catalogue) == {"added": 1, "changed": 1, "unchanged": 28}
    assert catalogue.get("99") is not None


SLOW = """
import sys, time
from pathlib import Path
from index import archive, batch
from index.local import LocalCatalogue
from service.cli import main

archive.CHUNK = 7
real = LocalCatalogue.put
def put(*arguments):
    time.sleep(0.01)
    real(*arguments)
    print("put", flush=True)
LocalCatalogue.put = put
sys.exit(main(["index", "import", sys.argv[1], "--out", sys.argv[2], "--json"]))
"""


def test_an_import_that_is_killed_goes_on(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    more = [an_item(number, b"" if number % 2 else f"content {number}".encode()) for number in range(30, 300)]
    put(catalogue, more, [f"content {number}".encode() for number in range(30, 300)])
    export(catalogue, tmp_path / "out", catalogue.root)
    command = [sys.executable, "-c", SLOW, str(tmp_path / "out"), str(tmp_path / "new")]
    before = 0
    for puts in (1, 3, 5):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(puts):
            process.stdout.readline()
        time.sleep(0.004 * puts)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        new = LocalCatalogue.open(tmp_path / "new", writable=True)
        count = sum(new.count().values())
        new.close()
        assert before + 7 * puts <= count < 300
        before = count
        assert check(tmp_path / "new", True) == []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.replace("put\n", ""))
    assert told == {"added": 300 - before, "changed": 0, "unchanged": before}
    new = LocalCatalogue.open(tmp_path / "new")
    assert same(held(new), held(catalogue))
    new.close()


def test_an_export_that_is_killed_leaves_nothing_in_its_place(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from index import export as e; from index.local import LocalCatalogue\n"
        "e._write_whole = lambda *_: os.kill(os.getpid(), 9)\n"
        "e.export(LocalCatalogue.open(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(catalogue.folder), str(tmp_path / "out")], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert (tmp_path / ".out.draft").is_dir()
    export(catalogue, tmp_path / "out")
    assert not (tmp_path / ".out.draft").exists()


def test_a_damaged_content_is_not_exported(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    item = next(item for item in catalogue.list() if item.content)
    catalogue.file(item).write_bytes(b"something else")
    with pytest.raises(CatalogueError, match=f"the content of item {item.id} is damaged"):
        export(catalogue, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir() if "out" in file.name] == []


def test_a_folder_that_can_not_be_written_is_said(catalogue: LocalCatalogue, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CatalogueError, match="can't be written"):
        export(catalogue, tmp_path / "file" / "out")
    shutil.rmtree(tmp_path / "file", ignore_errors=True)
