"""Sources: what they are called, how they open, and errors that are one sentence."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from training.model.media import source
from training.model.media.source import EmptyMedia, MediaError, MissingMedia, name_of, open_source


def test_a_given_name_wins_over_the_paths() -> None:
    assert name_of(Path("a/b.png"), "dog") == "dog"
    assert name_of(Path("a/b.png"), None) == str(Path("a/b.png"))
    assert name_of(b"x", None) == "the data"
    assert name_of(b"x", "dog") == "dog"


def test_bytes_and_paths_give_the_same_stream(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"0123456789")
    for origin in (b"0123456789", file):
        with open_source(origin, "f") as stream:
            assert stream.tell() == 0
            assert stream.read(4) == b"0123"
            stream.seek(8)
            assert stream.read() == b"89"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    told: list[str] = []

    def look() -> None:
        with pytest.raises(MissingMedia) as caught:
            open_source(tmp_path / "pipe", "f")
        told.append(str(caught.value))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(10)
    assert told == ["f is no file but a pipe, a device or the like; name a file"]


def test_nothing_to_read_is_told_apart_from_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for origin, kind in (
        (b"", EmptyMedia),
        (tmp_path / "empty", EmptyMedia),
        (tmp_path / "none", MissingMedia),
        (tmp_path, MissingMedia),
    ):
        with pytest.raises(kind, match=r"^f .*; (send|copy|check) ") as caught:
            open_source(origin, "f")
        assert type(caught.value) is kind


def test_an_error_is_its_name_and_its_reason() -> None:
    kinds = [kind for kind in vars(source).values() if isinstance(kind, type) and issubclass(kind, MediaError)]
    assert len(kinds) == 6
    for kind in kinds:
        error = kind("dog.png", "is odd; try another")
        assert (str(error), error.name, error.reason) == (
            "dog.png is odd; try another",
            "dog.png",
            "is odd; try another",
        )


def test_a_nameless_stream_reads_and_seeks_but_has_no_name(tmp_path: Path) -> None:
    file = tmp_path / "secret.m3u8"
    file.write_bytes(b"0123")
    with file.open("rb") as stream:
        bare = source.nameless(stream)
        assert not hasattr(bare, "name")
        bare.seek(2)
        assert bare.read() == b"23"
        assert bare.tell() == 4
