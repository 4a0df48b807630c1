"""Milvus over several clients, where it fails, and where it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from index.catalogue import (
    MODALITIES,
    CatalogueError,
    FileGone,
    Item,
    ItemTooLarge,
    Modality,
    NotWritable,
    Refused,
    Unreachable,
)
from index.content import content_hash
from index.milvus import MilvusCatalogue
from index.milvus_address import Address, is_milvus
from index.milvus_rows import ordered
from index.milvus_wire import Wire
from index.stores import open_catalogue

D = 4
ROOT = Path(__file__).parents[2]


def item(id: str, modality: Modality = "image", label: str = "") -> Item:
    return Item(id, modality, "a.jpg", "image/jpeg", label)


def unit(count: int) -> npt.NDArray[np.float32]:
    return np.eye(D, dtype=np.float32)[np.arange(count) % D]


def ids(catalogue: MilvusCatalogue) -> list[str]:
    return [entry.id for entry in catalogue.list()]


def test_two_clients_see_each_others_changes_at_once(milvus_address: Callable[..., Address]) -> None:
    one = MilvusCatalogue.create(milvus_address(), "f", D)
    two = MilvusCatalogue.open(one.address, writable=True)
    for n in range(10):
        one.put([item(f"a{n}")], unit(1))
        assert two.get(f"a{n}") is not None
        two.put([item(f"b{n}", "sound"), item(f"a{n}", "sound", "moved")], unit(2))
        assert one.count() == {"image": 0, "sound": 2}
        assert [hit.item.label for hit in one.search(unit(2)[1:], "sound", 1)[0]] == ["moved"]
        assert ids(one) == ids(two) == [f"b{n}", f"a{n}"]
        assert two.delete([f"a{n}"]) == [f"a{n}"]
        assert one.delete([f"a{n}", f"b{n}"]) == [f"b{n}"]
        assert two.count() == {"image": 0, "sound": 0}
    one.close()
    two.put([item("after")], unit(1))
    assert ids(two) == ["after"]
    two.close()


def test_another_process_sees_them_too(milvus_address: Callable[..., Address]) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    catalogue.put([item("here")], unit(1))
    code = (
        "import sys, numpy as np\nfrom index.catalogue import Item\nfrom index.stores import open_catalogue\n"
        "catalogue = open_catalogue(sys.argv[1], writable=True)\n"
        "print(*[item.id for item in catalogue.list()])\n"
        "catalogue.put([Item('there', 'image', 'a', 'image/png')], np.eye(4, dtype=np.float32)[:1])\n"
        "catalogue.close()\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(catalogue.address)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["here"]), done.stderr
    assert ids(catalogue) == ["here", "there"]
    catalogue.close()


@pytest.mark.parametrize("failing", ["upsert", "delete"])
@pytest.mark.parametrize("at", [1, 2])
def test_what_fails_half_way_is_undone(
    milvus_address: Callable[..., Address], monkeypatch: pytest.MonkeyPatch, failing: str, at: int
) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    catalogue.put([item("a", label="old"), item("b", "sound", "old")], unit(2))
    before, calls = list(catalogue.list()), []
    works: Callable[..., None] = getattr(Wire, failing)

    def fails(wire: Wire, modality: Modality, rows: Any) -> None:
        calls.append(modality)
        if len(calls) == at:
            raise CatalogueError("Milvus is gone")
        works(wire, modality, rows)

    monkeypatch.setattr(Wire, failing, fails)
    with pytest.raises(CatalogueError, match="gone"):
        catalogue.put([item("a", "sound", "new"), item("b", "image", "new"), item("c"), item("d", "sound")], unit(4))
    assert list(catalogue.list()) == before
    assert catalogue.vectors(["a", "b"]).tobytes() == unit(2).tobytes()
    catalogue.close()


def test_an_item_that_a_crash_left_in_both_is_one_again_once_it_is_put(milvus_address: Callable[..., Address]) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    catalogue.put([item("a", label="old")], unit(1))
    wire = Wire(catalogue.address)
    [row] = wire.query("image", 'id in ["a"]', ["*"])
    wire.upsert("sound", [{**row, "label": "newer", "number": row["number"] + 1}])
    got = catalogue.get("a")
    assert got is not None
    assert (got.modality, got.label) == ("sound", "newer")
    catalogue.put([item("a", label="put")], unit(1))
    assert [(entry.modality, entry.label) for entry in catalogue.list()] == [("image", "put")]
    wire.upsert("sound", [row])
    assert catalogue.delete(["a"]) == ["a"]
    assert ids(catalogue) == []
    wire.close()
    catalogue.close()


def test_order_is_read_in_small_pieces_and_across_gaps(milvus_address: Callable[..., Address]) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    for start in (0, 30, 31):
        names = [f"i{n}" for n in range(start, {0: 30, 30: 31, 31: 50}[start])]
        catalogue.put([item(name, "sound" if name[-1] in "147" else "image") for name in names], unit(len(names)))
        time.sleep(0.02)
    wire = Wire(catalogue.address)
    ahead = wire.query("image", 'id in ["i2", "i3"]', ["*"])
    late = time.time_ns() + 10**12  # of a client whose clock is ahead, and twice the same
    wire.upsert("image", [{**row, "number": late} for row in ahead])
    expected = [f"i{n}" for n in range(50) if n not in (2, 3)] + ["i2", "i3"]
    for most in (7, 1000):
        assert [row["id"] for _, row in ordered(wire, 0, None, most)] == expected
    first = catalogue.page(49)
    assert first.cursor is not None
    assert [entry.id for entry in (*first.items, *catalogue.page(49, first.cursor).items)] == expected
    wire.close()
    catalogue.close()


def test_ties_go_to_what_came_first_however_many_there_are(milvus_address: Callable[..., Address]) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    catalogue.put([item(f"i{n}") for n in range(200)], np.tile(unit(1), (200, 1)))
    wire = Wire(catalogue.address)
    rows = wire.query("image", "number > 0", ["*"])
    numbers = sorted((row["number"] for row in rows), reverse=True)
    wire.upsert("image", [{**row, "number": number} for row, number in zip(rows, numbers, strict=True)])
    wire.close()
    expected = ids(catalogue)
    assert expected != sorted(expected, key=lambda id: int(id[1:]))
    for k in (1, 50, 200):
        assert [hit.item.id for hit in catalogue.search(unit(1), "image", k)[0]] == expected[:k]
    catalogue.close()


def test_contents_that_no_item_has_are_collected_once_they_are_old(milvus_address: Callable[..., Address]) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    data = [b"one", b"two", b"three"]
    held = {content_hash(part): part for part in data}
    items = [Item(f"i{n}", "image", "", "image/png", content=hash) for n, hash in enumerate(held)]
    catalogue.put(items, unit(3), held)
    catalogue.delete(["i1", "i2"])
    assert catalogue.collect() == 0  # too young: another client may be putting them
    assert catalogue.content is not None
    for hash in held:
        os.utime(catalogue.content.path(hash), (1, 1))
    catalogue.put([Item("again", "image", "", "image/png", content=items[2].content)], unit(1))
    assert catalogue.delete(["again"]) == ["again"]
    assert catalogue.collect() == 1
    assert sorted(catalogue.content.hashes()) == sorted([items[0].content, items[2].content])
    catalogue.close()


def test_items_that_milvus_can_not_hold_are_refused_whole(milvus_address: Callable[..., Address]) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    for bad, says in (
        (item("b", label="é" * 40_000), "the label of item b takes more than 65535 bytes in Milvus; say less"),
        (
            Item("b", "image", "a", "i", tags=tuple(map(str, range(5000)))),
            "has 5002 tags and fields; Milvus holds 4096; give fewer",
        ),
        (Item("b", "image", "a", "i", metadata={"x": "y" * 40_000}), "are too long for Milvus; use less than 32 kB"),
        (Item("b", "image", "", "i"), "must have a path or a content"),
    ):
        with pytest.raises(ItemTooLarge if bad.path else ValueError, match=says):
            catalogue.put([item("a"), bad], unit(2))
    assert ids(catalogue) == []
    large = [Item(f"i{n}", "image", "a", "i", metadata={"x": "y" * 30_000}) for n in range(120)]
    catalogue.put(large, unit(120))  # 14 MB: several requests
    assert catalogue.count()["image"] == 120
    catalogue.close()


def test_what_can_not_be_opened_says_why_in_one_sentence(
    milvus_uri: str, milvus_address: Callable[..., Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sentence(address: Address) -> str:
        with pytest.raises(CatalogueError) as caught:
            MilvusCatalogue.open(address)
        assert isinstance(caught.value, Unreachable) == ("can't be reached" in str(caught.value))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    nobody = Address.parse("milvus+http://127.0.0.1:9/sounds")
    assert sentence(nobody).startswith("Milvus at http://127.0.0.1:9 can't be reached; start it, or correct")
    nothing = milvus_address()
    assert f"{nothing} is no catalogue; make one with 'bma index migrate" in sentence(nothing)
    MilvusCatalogue.create(nothing, "f", D).close()
    with pytest.raises(CatalogueError, match="already is a catalogue"):
        MilvusCatalogue.create(nothing, "f", D)

    wire = Wire(nothing)
    settings = wire.settings()
    monkeypatch.setattr(Wire, "settings", lambda self: {**(settings or {}), "dimension": D + 1})
    assert f"has image vectors of length {D}, not {D + 1}" in sentence(nothing)
    monkeypatch.setattr(Wire, "settings", lambda self: {**(settings or {}), "schema": 9})
    assert "has schema 9, not 1" in sentence(nothing)
    monkeypatch.undo()
    wire.close()
    image = Address(milvus_uri, f"{nothing.name}_image")
    assert "holds something else than a catalogue" in sentence(image)


def test_a_server_that_goes_away_is_one_sentence(milvus_address: Callable[..., Address]) -> None:
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    other = MilvusCatalogue.open(catalogue.address)
    with pytest.raises(NotWritable, match="opened for reading"):
        other.drop()
    catalogue.drop()
    with pytest.raises(Refused, match="has refused") as caught:
        other.count()
    assert "\n" not in str(caught.value)
    other.close()
    with pytest.raises(CatalogueError, match=r"can't be reached|has refused"):
        other.count()
    catalogue.close()


def test_what_a_server_has_let_go_of_is_loaded_again(milvus_address: Callable[..., Address]) -> None:
    """As after it was started anew."""
    catalogue = MilvusCatalogue.create(milvus_address(), "f", D)
    catalogue.put([item("a")], unit(1))

    asked: list[tuple[str, tuple[Any, ...]]] = [
        ("get", ("a",)),
        ("vectors", (["a"],)),
        ("page", (1,)),
        ("labels", ()),
        ("search", (unit(1), "image", 1)),
        ("put", ([item("b")], unit(1))),
        ("delete", (["a"],)),
    ]
    for name, arguments in asked:
        for modality in MODALITIES:
            catalogue._wire._client.release_collection(catalogue._wire.collection(modality))
        getattr(catalogue, name)(*arguments)
    assert ids(catalogue) == ["b"]
    catalogue.close()


def test_without_pymilvus_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(CatalogueError, match=r"needs pymilvus; .* pip install '\.\[milvus\]\'"):
        open_catalogue("milvus+http://127.0.0.1:19530/sounds")


def test_addresses() -> None:
    address = Address.parse("milvus+https://host/name?root=/a&content=/b%20c&database=d&index=FLAT")
    assert address == Address("https://host:19530", "name", Path("/a"), Path("/b c"), "d", "FLAT")
    assert str(address) == "milvus+https://host:19530/name"
    assert str(Address.parse("milvus+http:/[::1]:7/n")) == "milvus+http://[::1]:7/n"  # as a Path spells it
    assert is_milvus("milvus+http:/h/n")
    assert not is_milvus("runs/milvus")
    for text, says in (
        ("milvus+http://host", "names no catalogue in Milvus; write it like milvus"),
        ("milvus+http://host/a-b", "names no catalogue"),
        ("milvus+http://host:x/a", "not a URL"),
        ("milvus+http://host/a?rot=/x", "knows no 'rot'; it takes root, content, database, index"),
        ("milvus+http://host/a?index=PQ", "there is no index 'PQ'; use HNSW, FLAT, AUTOINDEX"),
        ("milvus+http://user:secret@host/a", "set BMA_MILVUS_TOKEN"),
        ("milvus+http://user:secret@host/", "names no catalogue"),
    ):
        with pytest.raises(CatalogueError, match=says) as caught:
            Address.parse(text)
        assert "secret" not in str(caught.value)


def test_files_want_folders_in_the_address(milvus_uri: str, milvus_address: Callable[..., Address]) -> None:
    bare = Address(milvus_uri, milvus_address().name)
    catalogue = MilvusCatalogue.create(bare, "f", D)
    with pytest.raises(FileGone, match=r"name the folder that holds it with \?root="):
        catalogue.file(item("a"))
    with pytest.raises(CatalogueError, match="names no folder for contents; add &content="):
        catalogue.put([Item("a", "image", "", "i", content=content_hash(b"x"))], unit(1), {content_hash(b"x"): b"x"})
    catalogue.close()
