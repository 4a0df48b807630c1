"""The journal: read back as written, and after a kill at any byte up to the last whole line."""

from pathlib import Path

import pytest

from training.data.journal import Entry, Journal

HEADER = {"schema": 1, "source": "ab"}
ENTRIES = [
    Entry("images/ä.jpg", "0f", (3072,)),
    Entry("images/b.jpg", "", ("is empty (0 bytes); copy the file again",)),
    Entry("sounds/c.wav", "1e", (800, "ends at 1.00 s", 20)),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A journal of the three entries."""
    with (tmp_path / "journal.jsonl").open("a+b") as stream:
        journal = Journal(stream, HEADER)
        for entry in ENTRIES:
            journal.add(entry)
    return tmp_path / "journal.jsonl"


def test_entries_tell_sizes_and_reasons() -> None:
    assert ENTRIES[2].sizes == [800, 20]
    assert ENTRIES[2].reasons == ["ends at 1.00 s"]


def test_cut_at_any_byte_it_goes_on_after_the_last_whole_line(file: Path) -> None:
    whole = file.read_bytes()
    for end in range(len(whole) + 1):
        file.write_bytes(whole[:end])
        with file.open("a+b") as stream:
            journal = Journal(stream, HEADER)
            kept = max(0, whole[:end].count(b"\n") - 1)
            assert journal.entries == ENTRIES[:kept]
            for entry in ENTRIES[kept:]:
                journal.add(entry)
        assert file.read_bytes() == whole


def test_what_is_not_kept_is_forgotten(file: Path) -> None:
    whole = file.read_bytes()
    with file.open("a+b") as stream:
        journal = Journal(stream, HEADER)
        journal.keep(1)
        assert journal.entries == ENTRIES[:1]
        for entry in ENTRIES[1:]:
            journal.add(entry)
        assert journal.entries == ENTRIES
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "line", [b"{}\n", b"[]\n", b"3\n", b"\xff\n", b'{"file": 1, "digest": 2, "parts": 3}\n', b"\n"]
)
def test_a_line_that_makes_no_sense_ends_it(file: Path, line: bytes) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole + line)
    with file.open("a+b") as stream:
        assert Journal(stream, HEADER).entries == ENTRIES
    assert file.read_bytes() == whole


def test_another_header_begins_it_anew(file: Path) -> None:
    with file.open("a+b") as stream:
        assert Journal(stream, {**HEADER, "source": "cd"}).entries == []
    assert file.read_bytes().count(b"\n") == 1
