"""Files of the same bytes, and what belongs together because of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.prepare import copies
from training.data.prepare.copies import Groups, find_copies


def test_files_of_the_same_bytes(tmp_path: Path) -> None:
    contents = {"a": b"one", "b": b"two", "c": b"one", "d": b"three", "e": b"two", "f": b"one", "g": b"", "h": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = find_copies([*(tmp_path / name for name in contents), tmp_path / "gone"])
    assert sorted("".join(file.name for file in same) for same in found) == ["acf", "be", "gh"]


def test_a_file_of_a_size_of_its_own_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("a", b"one"), ("b", b"three"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    read: list[str] = []

    def digest(file: Path) -> str:
        read.append(file.name)
        return file.name

    monkeypatch.setattr(copies, "file_digest", digest)
    assert find_copies(tmp_path / name for name in "abc") == []
    assert sorted(read) == ["a", "c"]


NAMES = st.sampled_from("abcdefghij")


@given(st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=8))
def test_groups_are_what_is_connected(lists: list[list[str]]) -> None:
    groups = Groups()
    for names in lists:
        groups.join(names)
    reach = {name: {name} for name in "abcdefghij"}
    for _ in range(len(reach)):  # a slow reference: spread until nothing changes
        for names in lists:
            together = set().union(*(reach[name] for name in names))
            for name in together:
                reach[name] = together | reach[name]
    for one, other in itertools.product(reach, repeat=2):
        assert (groups.of(one) == groups.of(other)) == (other in reach[one])
    for name, together in reach.items():
        assert groups.of(name) == min(together)
        assert (groups.of(name) in groups.joined) == (len(together) > 1)
